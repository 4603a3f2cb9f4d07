"""Polling: 304, and waiting for a change."""

import asyncio

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
    assert nothing == {"position": answer["position"], "messages": []}
    assert service.hub.connections == []
