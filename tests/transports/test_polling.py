"""Polling: 304, and waiting for a change."""

import asyncio
from functools import reduce
from operator import xor

import pytest

from realtime.boards.models import Board
from realtime.engine.codes import Code
from realtime.engine.session import Ending
from tests.conftest import until
from tests.support.transports import Request


async def test_a_poll_without_news_is_answered_304(application, topic, in_database):
    """If-None-Match is compared with the ETag, which is the position."""
    path = f"/realtime/topics/{topic}/"
    _, headers, answer = await Request(application, path).fetch()
    assert headers["etag"] == f'"{answer["position"]}"'

    status, same, nothing = await Request(
        application, path, headers={"if-none-match": headers["etag"]}
    ).fetch()

    assert (status, same["etag"], nothing) == (304, headers["etag"], None)


async def test_a_long_poll_waits_for_the_first_change(application, service, topic, quay, in_database):
    """But no longer than ``wait`` allows."""
    path = f"/realtime/topics/{topic}/"
    _, _, answer = await Request(application, path).fetch()
    since = ("since", answer["position"])
    waiting = asyncio.create_task(Request(application, path, [since, ("wait", "20")]).fetch())
    await until(lambda: service.hub.connections)

    await in_database(quay.entries.create, label="awaited")
    _, _, answer = await waiting
    _, _, nothing = await Request(
        application, path, [("since", answer["position"]), ("wait", "0.05")]
    ).fetch()

    assert [change["row"]["label"] for change in answer["messages"][0]["changes"]] == ["awaited"]
    assert (nothing["position"], nothing["messages"]) == (answer["position"], [])
    assert service.hub.connections == []


@pytest.mark.parametrize("format", ["rows", "html"])
async def test_an_answer_carries_the_digest_of_the_rows_that_the_client_has_then(
    application, service, quay, in_database, format
):
    """The xor of what it was sent: with the snapshot, with changes, and with nothing new."""
    topic, digests = f"entries.{quay.pk}", {}

    async def poll(since: str, *more: tuple[str, str]) -> dict:
        given = [("format", format), *([("since", since)] if since else []), *more]
        _, _, answer = await Request(application, f"/realtime/topics/{topic}/", given).fetch()
        for message in answer["messages"]:
            for row in message.get("rows", message.get("changes")):
                digests[row["key"]] = row["digest"]
        assert answer["digest"] == reduce(xor, digests.values(), 0)
        return answer

    snapshot = await poll("")
    waiting = asyncio.create_task(poll(snapshot["position"], ("wait", "20")))
    await until(lambda: service.hub.connections)
    await in_database(quay.entries.create, label="second")
    await until(waiting.done)
    changes = await waiting
    assert len(digests) == len(snapshot["messages"][0]["rows"]) + 1
    assert (await poll(changes["position"]))["messages"] == []


async def test_html_of_a_feed_without_a_template_is_refused_with_words(application, live, in_database):
    """As over the other transports."""
    await in_database(live, Board, name="bare", fields=["slug"])

    status, _, answer = await Request(application, "/realtime/topics/bare/", [("format", "html")]).fetch()

    assert status == 404
    assert "its feed has no row template" in str(answer)


@pytest.mark.parametrize("names_it", ["since", "if-none-match"])
@pytest.mark.parametrize("format", ["rows", "html"])
async def test_a_poll_waits_although_its_topic_must_be_read_first(
    application, service, topic, quay, in_database, format, names_it
):
    """A process that does not hold the topic reads it, which is no news for a client that has these rows."""
    path = f"/realtime/topics/{topic}/"
    _, _, answer = await Request(application, path, [("format", format)]).fetch()
    position = answer["position"]
    service.hub._shared.clear()
    given = [("format", format), ("wait", "60"), *([("since", position)] if names_it == "since" else [])]
    headers = {"if-none-match": f'"{position}"'} if names_it == "if-none-match" else {}
    waiting = [asyncio.create_task(Request(application, path, given, headers=headers).fetch()) for _ in "ab"]
    await until(lambda: topic in service.hub._shared and service.hub._shared[topic].is_loaded)
    await until(lambda: len(service.hub._shared[topic].subscribers) == len(waiting))
    for _ in range(100):  # a poll that the reading has woken answers within these steps
        await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)

    await in_database(quay.entries.create, label="awaited")

    for status, _, answer in await asyncio.gather(*waiting):
        assert status == 200
        assert "awaited" in str(answer["messages"])


async def test_a_poll_waits_on_although_a_subscriber_was_notified_in_vain(application, service, topic, quay):
    """A topic also notifies when it can be read again, and when it reaches a position that another client named."""
    path = f"/realtime/topics/{topic}/"
    _, _, answer = await Request(application, path).fetch()
    given = [("since", answer["position"]), ("wait", "0.3")]
    began = asyncio.get_running_loop().time()
    waiting = asyncio.create_task(Request(application, path, given).fetch())
    await until(lambda: service.hub.connections)

    for _ in range(3):
        service.hub._shared[topic]._fan_out.notify()
        await asyncio.sleep(0)

    _, _, answer = await waiting
    assert answer["messages"] == []
    assert asyncio.get_running_loop().time() - began >= 0.3


@pytest.mark.parametrize("unknown", ["other.1", "{epoch}.9999999999999"], ids=["epoch", "offset"])
async def test_a_poll_from_an_unknown_position_gets_the_rows_at_once(application, topic, unknown):
    """However long it would wait: its client has to replace what it shows."""
    path = f"/realtime/topics/{topic}/"
    _, _, answer = await Request(application, path).fetch()
    since = unknown.format(epoch=answer["position"].partition(".")[0])

    _, _, answer = await Request(application, path, [("since", since), ("wait", "60")]).fetch()

    assert [message["type"] for message in answer["messages"]] == ["snapshot"]


async def test_a_stopping_server_ends_a_poll_that_waits(application, service, topic):
    """With what it has; the client asks again, and another server answers."""
    path = f"/realtime/topics/{topic}/"
    _, _, answer = await Request(application, path).fetch()
    given = [("since", answer["position"]), ("wait", "60")]
    waiting = asyncio.create_task(Request(application, path, given).fetch())
    await until(lambda: service.hub.connections)

    service.dismiss()

    status, _, answer = await waiting
    assert (status, answer["messages"]) == (200, [])


@pytest.mark.parametrize("is_known", [False, True], ids=["since", "if none match"])
async def test_an_answer_says_that_the_page_is_to_load_itself_again(application, service, topic, is_known):
    """A page that polls is reloaded like one with a connection, although nothing has changed."""
    path = f"/realtime/topics/{topic}/"
    _, _, answer = await Request(application, path).fetch()
    headers = {"if-none-match": f'"{answer["position"]}"'} if is_known else {}
    given = [("since", answer["position"]), ("wait", "60")]
    waiting = asyncio.create_task(Request(application, path, given, headers=headers).fetch())
    await until(lambda: service.hub.connections)

    (poll,) = service.hub.connections
    poll.end(Ending(Code.CLOSED, "reload", 0.0, reload=True))

    status, _, answer = await waiting
    assert (status, answer["messages"]) == (200, [])
    assert answer["ephemeral"] == [
        {"type": "bye", "code": 4510, "reason": "reload", "retry_after_seconds": 0.0, "reload": True}
    ]


@pytest.mark.parametrize("wait", ["0", "60"])
async def test_no_answer_is_made_for_a_client_that_has_left(application, topic, wait):
    """A client that sends polls and leaves, again and again, must cost as little as possible."""
    request = Request(application, f"/realtime/topics/{topic}/", [("wait", wait)])
    await request.send_input({"type": "http.request", "body": b""})

    await request.leave()

    assert request.future.done()
    assert await request.receive_nothing()
