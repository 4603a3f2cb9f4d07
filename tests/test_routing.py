"""Routes: the addresses of sockets, streams, polls, calls and tickets."""

import logging

import pytest
from django.urls import Resolver404
from django.urls.resolvers import RegexPattern, URLPattern, URLResolver

from realtime import routing
from realtime.transports.call_endpoint import call
from realtime.transports.polling import poll
from realtime.transports.sse import stream
from realtime.transports.ticket_endpoint import ticket
from tests.support.asgi import ended, socket_scope


def resolver(patterns: list[URLPattern]) -> URLResolver:
    return URLResolver(RegexPattern(r"^/"), patterns)


HTTP = resolver(routing.http_urlpatterns)
SOCKETS = resolver([*routing.websocket_urlpatterns, routing.unknown_websocket])


@pytest.mark.parametrize(
    "path, application, arguments",
    [
        ("/realtime/ws/", routing.expect_upgrade, {}),
        ("/realtime/sse/", stream, {}),
        ("/realtime/topics/boards/", poll, {"topic": "boards"}),
        ("/realtime/topics/entries.7/", poll, {"topic": "entries.7"}),
        ("/realtime/topics/a/b/", poll, {"topic": "a/b"}),
        ("/realtime/calls/", call, {}),
        ("/realtime/ticket/", ticket, {}),
    ],
)
def test_an_address_leads_to_its_application(path, application, arguments):
    """The name of a topic may contain any character; the feed decides whether it exists."""
    match = HTTP.resolve(path)

    assert (match.func, match.kwargs) == (application, arguments)


@pytest.mark.parametrize("path", ["/", "/realtime/", "/realtime/sse", "/realtime/topics//", "/admin/"])
def test_other_addresses_are_left_to_django(path):
    """Pages, static files and errors are Django's."""
    with pytest.raises(Resolver404):
        HTTP.resolve(path)


@pytest.mark.parametrize("path, is_known", [("/realtime/ws/", True), ("/realtime/ws", False), ("/", False)])
def test_a_socket_at_an_unknown_address_has_a_route(path, is_known):
    """Channels' router raises ValueError for a path without a route."""
    assert (SOCKETS.resolve(path).func is not routing.close_unknown) is is_known


@pytest.mark.parametrize(
    "path", ["/", "/nothing/", "/realtime/ws", "/realtime/ws/x", "/" + "x" * 5000, "/a\nb"]
)
async def test_a_socket_at_an_unknown_address_is_closed_with_a_code(application, lines, path):
    """Accepted first, for browsers to see the code; one line in the log, without a traceback."""
    sent = await ended(application, socket_scope(path))

    assert [(event["type"], event.get("code")) for event in sent] == [
        ("websocket.accept", None), ("websocket.close", 4404),
    ]  # fmt: skip
    (line,) = lines(logging.WARNING)
    assert line.startswith("socket refused: no address")
    assert "\n" not in line
    assert len(line) < 300
