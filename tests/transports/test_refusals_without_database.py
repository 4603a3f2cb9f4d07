"""Foreign handshakes are refused without the database or the channel layer: this module has neither to use."""

import pytest
from asgiref.testing import ApplicationCommunicator

from realtime.consumers import RealtimeConsumer
from realtime.transports.call_endpoint import call
from realtime.transports.polling import poll
from realtime.transports.sse import stream
from realtime.transports.ticket_endpoint import ticket

FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"host": "evil.example", "origin": "http://evil.example"},
    {"host": "localhost", "cookie": "sessionid=" + "x" * 32, "origin": "http://localhost.evil.example"},
]


def scope(kind: str, headers: dict[str, str], method: str = "GET") -> dict:
    given = {"host": "localhost", **headers}
    return {
        "type": kind, "method": method, "path": "/realtime/", "query_string": b"ticket=x&topic=boards",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "subprotocols": [], "client": ["127.0.0.1", 9], "url_route": {"kwargs": {"topic": "boards"}},
    }  # fmt: skip


@pytest.fixture(autouse=True)
def no_layer(settings):
    """A layer that does not exist: any use of it is an error."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "nothing.Layer"}}


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_socket_is_refused_without_a_query(headers):
    """A flood of handshakes must not become a flood of queries."""
    socket = ApplicationCommunicator(RealtimeConsumer.as_asgi(), scope("websocket", headers))
    await socket.send_input({"type": "websocket.connect"})

    assert (await socket.receive_output(10))["type"] == "websocket.close"


@pytest.mark.parametrize("headers", [*FOREIGN, {"sec-fetch-site": "cross-site"}], ids=str)
@pytest.mark.parametrize("view, method", [(stream, "GET"), (poll, "GET"), (call, "POST"), (ticket, "POST")])
async def test_a_request_is_refused_without_a_query(view, method, headers):
    """Its body is not read either."""
    request = ApplicationCommunicator(view, scope("http", headers, method))

    assert (await request.receive_output(10))["status"] == 403
