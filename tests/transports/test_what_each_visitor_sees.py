"""The rows of each board that each kind of visitor is sent, in each kind of message, over each transport."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session

from realtime import notices
from realtime.access import tickets
from realtime.access.visitors import Visitor
from realtime.boards.models import Board, Entry
from tests.conftest import PATIENCE_SECONDS
from tests.support.transports import Request

KEY = 777_777
"""The key of a row that only staff may see."""
END = "the end of the story"


def sign_in_as(name: str, sign_in: Callable[[Any], str]) -> dict[str, str]:
    """Return the credentials of a kind of visitor: a session, a ticket, none."""
    is_staff = "staff" in name
    user = get_user_model().objects.create_user(
        "visitor", is_staff=is_staff, is_superuser="superuser" in name
    )
    session = sign_in(user)
    if name == "anonymous":
        return {}
    if "ticket" in name:
        return {"ticket": tickets.issue(Visitor(session))}
    if "deactivated" in name:
        get_user_model().objects.update(is_active=False)
    if "deleted" in name:
        user.delete()
    if "expired" in name:
        Session.objects.update(expire_date="2020-01-01T00:00:00Z")
    if "signed out" in name:
        Session.objects.all().delete()
    if "once" in name:
        get_user_model().objects.update(is_staff=False)
    return {"session": session}


VISITORS = {
    "anonymous": False,
    "reader": False,
    "superuser": False,
    "staff": True,
    "staff by ticket": True,
    "reader by ticket": False,
    "staff, deactivated": False,
    "staff, deleted": False,
    "staff, expired": False,
    "staff, signed out": False,
    "staff once": False,
}
"""Each kind, and whether it may see the boards for staff."""


@pytest.fixture
def topics(quay, safe) -> list[str]:
    """All topics: those of a public board, those of a board for staff, and the two lists."""
    return [
        f"entries.{quay.pk}", f"board.{quay.pk}", "boards",
        f"entries.{safe.pk}", f"board.{safe.pk}", "staffboards",
    ]  # fmt: skip


@pytest.fixture
def story(quay, safe, in_database) -> Callable[[], Awaitable[None]]:
    """A function that makes every kind of change to rows that only staff may see; then one that anyone may see."""

    def change() -> None:
        Entry.objects.create(pk=KEY, board=safe, label="s3cret insert")
        Entry.objects.filter(pk=KEY).update(value="s3cret update")
        Entry.objects.filter(board=quay).first().delete()
        moved = Entry.objects.create(board=quay, label="harmless")
        Entry.objects.filter(pk=moved.pk).update(board=safe, label="s3cret move")
        Board.objects.filter(pk=safe.pk).update(title="s3cret title")
        notices.broadcast("s3cret notice", f"entries.{safe.pk}")
        Entry.objects.filter(pk=KEY).delete()
        notices.broadcast("for everyone")
        Entry.objects.create(board=quay, label=END)

    async def asynchronously() -> None:
        await in_database(change)

    return asynchronously


async def by_socket(encoding: str, connect, topics, story, last, session=None, ticket=None) -> str:
    """Return all that a socket receives until the last texts have arrived."""
    peer = connect(
        session=session, subprotocols=[f"realtime.v1.{encoding}"], query=f"ticket={ticket}" if ticket else ""
    )
    await peer.connect(PATIENCE_SECONDS)
    received: list[dict[str, Any]] = []

    async def say(**message: Any) -> None:
        if encoding == "json":
            await peer.send_to(text_data=json.dumps(message))
        else:
            await peer.send_to(bytes_data=msgspec.msgpack.encode(message))

    async def receive(is_last: Callable[..., bool]) -> None:
        while not received or not is_last(received[-1]):
            event = await peer.receive_output(PATIENCE_SECONDS)
            received.append(
                json.loads(event["text"]) if encoding == "json" else msgspec.msgpack.decode(event["bytes"])
            )

    for topic in topics:
        await say(type="subscribe", topic=topic, format="html" if topic == "boards" else "rows")
        await receive(lambda message, topic=topic: message.get("topic") == topic)
    await story()
    await receive(lambda message: all(text in str(received) for text in last))
    await say(type="ping")
    await receive(lambda message: message["type"] == "heartbeat")
    return json.dumps(received)


async def by_stream(application, topics, story, last, session=None, ticket=None) -> str:
    """Return all events of a stream until the last texts have arrived."""
    parameters = [("topic", topic) for topic in topics] + ([("ticket", ticket)] if ticket else [])
    stream = Request(application, "/realtime/sse/", parameters, headers=cookie(session))
    await stream.start()
    text = ""
    while text.count('"type":"snapshot"') + text.count('"type":"error"') < len(topics):
        text += (await stream.chunk())[0]
    await story()
    while not all(expected in text for expected in last):
        text += (await stream.chunk())[0]
    await stream.leave()
    return text


async def by_polls(application, topics, story, last, session=None) -> str:
    """Return all answers to polls of each topic, before and after the story, until the last texts have arrived."""
    text = ""
    positions: dict[str, str] = {}
    for number in range(20):
        for topic in topics:
            parameters = [("since", positions[topic]), ("wait", "0.2")] if topic in positions else []
            request = Request(application, f"/realtime/topics/{topic}/", parameters, headers=cookie(session))
            _, _, answer = await request.fetch()
            positions |= {topic: answer["position"]} if "position" in answer else {}
            text += json.dumps(answer)
        if not number:
            await story()
        elif all(expected in text for expected in last):
            break
    return text


def cookie(session: str | None) -> dict[str, str]:
    if session is None:
        return {}
    return {"cookie": f"{django_settings.SESSION_COOKIE_NAME}={session}", "sec-fetch-site": "same-origin"}


@pytest.mark.combinations("way", "name")
@pytest.mark.parametrize("way", ["json", "msgpack", "stream", "polls"])
@pytest.mark.parametrize("name, may_see", VISITORS.items(), ids=VISITORS.keys())
async def test_each_visitor_is_sent_what_it_may_see_and_nothing_else(
    connect, application, service, topics, story, safe, sign_in, in_database, name, may_see, way
):
    """Not in a snapshot, an upsert, a delete, a move, a notice, a position or an error."""
    brings = await in_database(sign_in_as, name, sign_in)
    if way == "polls" and "ticket" in brings:
        pytest.skip("a ticket is good for one request")

    last = [END, *(["s3cret move", "s3cret title"] if may_see else [])]
    if may_see and way != "polls":
        last.append("s3cret notice")
    if way != "polls":
        last += ["for everyone", *(["s3cret notice"] if may_see else [])]

    if way == "stream":
        received = await by_stream(application, topics, story, last, **brings)
    elif way == "polls":
        received = await by_polls(application, topics, story, last, **brings)
    else:
        received = await by_socket(way, connect, topics, story, last, **brings)

    assert END in received, "what is public is received by all"
    assert ("s3cret" in received) is may_see
    assert (f'"{safe.title}"' in received) is may_see
    if may_see:
        assert [words for words in [*last, "Combination"] if words not in received] == []
    else:
        assert str(KEY) not in received
        assert f'"entries.{safe.pk}": "' not in received, "a position in a heartbeat"
        assert received.count("4403") >= 3
    if way != "polls":
        assert "for everyone" in received
        assert ("s3cret notice" in received) is may_see
