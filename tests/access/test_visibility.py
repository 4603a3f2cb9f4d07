"""Who sees what: each kind of visitor, each board, each kind of message, each way in."""

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
"""Of a row that only staff may know of."""
END = "the end of the story"


def sign_in_as(name: str, sign_in: Callable[[Any], str]) -> dict[str, str]:
    """Return what a visitor of that name brings: a session, a ticket, nothing."""
    is_staff = "staff" in name
    user = get_user_model().objects.create_user(
        "visitor", is_staff=is_staff, is_superuser="superuser" in name
    )
    session = sign_in(user)
    if name == "nobody":
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
    "nobody": False,
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
    """All there are: those of a public board, those of one for staff, and the two lists."""
    return [
        f"entries.{quay.pk}", f"board.{quay.pk}", "boards",
        f"entries.{safe.pk}", f"board.{safe.pk}", "staffboards",
    ]  # fmt: skip


@pytest.fixture
def story(quay, safe, in_database) -> Callable[[], Awaitable[None]]:
    """Do everything that can be done to rows that only staff may see; then something that all see."""

    def tell() -> None:
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
        await in_database(tell)

    return asynchronously


async def by_socket(encoding: str, connect, topics, story, last, session=None, ticket=None) -> str:
    """Return all that a socket hears until the last words have come, as text."""
    peer = connect(
        session=session, subprotocols=[f"realtime.v1.{encoding}"], query=f"ticket={ticket}" if ticket else ""
    )
    await peer.connect(PATIENCE_SECONDS)
    heard: list[dict[str, Any]] = []

    async def say(**message: Any) -> None:
        if encoding == "json":
            await peer.send_to(text_data=json.dumps(message))
        else:
            await peer.send_to(bytes_data=msgspec.msgpack.encode(message))

    async def hear(is_last: Callable[[dict[str, Any]], bool]) -> None:
        while not heard or not is_last(heard[-1]):
            event = await peer.receive_output(PATIENCE_SECONDS)
            heard.append(
                json.loads(event["text"]) if encoding == "json" else msgspec.msgpack.decode(event["bytes"])
            )

    for topic in topics:
        await say(type="subscribe", topic=topic, format="html" if topic == "boards" else "rows")
        await hear(lambda message, topic=topic: message.get("topic") == topic)
    await story()
    await hear(lambda message: all(words in str(heard) for words in last))
    await say(type="ping")
    await hear(lambda message: message["type"] == "heartbeat")
    return json.dumps(heard)


async def by_stream(application, topics, story, last, session=None, ticket=None) -> str:
    """Return all that a stream of events brings until the last words have come."""
    parameters = [("topic", topic) for topic in topics] + ([("ticket", ticket)] if ticket else [])
    stream = Request(application, "/realtime/sse/", parameters, headers=cookie(session))
    await stream.start()
    text = ""
    while text.count('"type":"snapshot"') + text.count('"type":"error"') < len(topics):
        text += (await stream.chunk())[0]
    await story()
    while not all(words in text for words in last):
        text += (await stream.chunk())[0]
    await stream.leave()
    return text


async def by_polls(application, topics, story, last, session=None) -> str:
    """Return all that polls of each topic answer, before and after, until the last words have come."""
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
        elif all(words in text for words in last):
            break
    return text


def cookie(session: str | None) -> dict[str, str]:
    if session is None:
        return {}
    return {"cookie": f"{django_settings.SESSION_COOKIE_NAME}={session}", "sec-fetch-site": "same-origin"}


@pytest.mark.parametrize("way", ["json", "msgpack", "stream", "polls"])
@pytest.mark.parametrize("name, may_see", VISITORS.items(), ids=VISITORS.keys())
async def test_each_visitor_hears_what_it_may_see_and_nothing_else(
    connect, application, service, topics, story, safe, sign_in, in_database, name, may_see, way
):
    """Not in a snapshot, an upsert, a delete, a move, a notice, a position or an error."""
    brings = await in_database(sign_in_as, name, sign_in)
    if way == "polls" and "ticket" in brings:
        pytest.skip("a ticket is good for one request")

    last = [END, *(["s3cret move", "s3cret title"] if may_see else [])]

    if way == "stream":
        heard = await by_stream(application, topics, story, last, **brings)
    elif way == "polls":
        heard = await by_polls(application, topics, story, last, **brings)
    else:
        heard = await by_socket(way, connect, topics, story, last, **brings)

    assert END in heard, "what is public is heard by all"
    assert ("s3cret" in heard) is may_see
    assert (f'"{safe.title}"' in heard) is may_see
    if may_see:
        assert [words for words in [*last, "Combination"] if words not in heard] == []
    else:
        assert str(KEY) not in heard
        assert f'"entries.{safe.pk}": "' not in heard, "a position in a heartbeat"
        assert heard.count("4403") >= 3
    if way != "polls":
        assert "for everyone" in heard
        assert ("s3cret notice" in heard) is may_see
