"""Server-Sent Events: several topics in one stream, ids, heartbeats, and the end of a stream."""

from realtime.boards.models import Entry
from tests.support.transports import Request


async def events(request: Request, count: int) -> list[str]:
    return [(await request.chunk())[0] for _ in range(count)]


async def event_with(request: Request, text: str) -> str:
    """Return the next event that contains a text."""
    while True:
        event, _ = await request.chunk()
        if text in event:
            return event


async def test_several_topics_share_a_stream(application, topic, quay, in_database):
    """An id names the position of each, in the order of the address, and resumes all of them."""
    asked = [("topic", topic), ("topic", "nope"), ("topic", "boards")]
    request = Request(application, "/realtime/sse/", asked)
    await request.start()
    retry, welcome, error, first, second = await events(request, 5)
    await request.leave()

    assert retry == "retry: 2000\n\n"
    assert "id:" not in welcome
    assert '"code":4404' in error
    id = second.split("\n")[0].removeprefix("id: ")
    one, none, other = id.split(",")
    assert (f'"position":"{one}"' in first, none, f'"position":"{other}"' in second) == (True, "", True)

    await in_database(quay.entries.create, label="missed")
    again = Request(application, "/realtime/sse/", asked, headers={"last-event-id": id})
    await again.start()
    missed = await event_with(again, '"label":"missed"')
    await again.leave()
    assert missed.startswith("id: ")
    assert '"type":"changes"' in missed


async def test_an_unfinished_snapshot_has_no_id(application, topic, quay, in_database):
    """A client with such an id would resume without the other parts."""
    await in_database(
        quay.entries.bulk_create, [Entry(board=quay, label=f"{n}", note="x" * 400) for n in range(1500)]
    )
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()
    first = await event_with(request, '"more":true')
    last = await event_with(request, '"more":false')
    await request.leave()

    assert "id:" not in first
    assert "id:" in last


async def test_a_stream_has_a_heartbeat(application, topic, settings):
    """A comment for proxies, and an event for pages that listen for it."""
    settings.REALTIME = {**settings.REALTIME, "HEARTBEAT_SECONDS": 0.15}
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()

    *_, beat = await events(request, 4)
    await request.leave()

    assert beat.startswith(": heartbeat\nevent: heartbeat\nid: ")
    assert f'"positions":{{"{topic}":' in beat


async def test_a_stopping_server_ends_its_streams(application, service, topic):
    """With a bye that says when to reconnect."""
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()
    await events(request, 3)

    service.dismiss()
    bye, has_more = await request.chunk()
    last, has_more = await request.chunk()

    assert '"code":4512' in bye
    assert (last, has_more) == ("", False)
    await request.leave()


async def test_a_stream_whose_client_has_left_leaves_nothing(application, service, topic):
    """No connection, no subscriber."""
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()
    await events(request, 3)
    assert len(service.hub.connections) == 1

    await request.leave()

    assert (service.hub.connections, service.hub.subscriptions) == ([], 0)


async def test_no_stream_is_begun_for_a_client_that_has_left(application, service, topic):
    """Each of its topics would be read for it."""
    topics = [("topic", "boards"), ("topic", topic)]
    request = Request(application, "/realtime/sse/", topics)
    await request.send_input({"type": "http.request", "body": b""})

    await request.leave()

    assert request.future.done()
    assert await request.receive_nothing()
    assert (service.hub.connections, service.hub.subscriptions) == ([], 0)
