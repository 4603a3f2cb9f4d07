"""The handshake: what a request or WebSocket arrived with, read from its ASGI scope."""

from typing import Any

import pytest

from realtime.access.handshake import BadQuery, Handshake
from realtime.access.visitors import ANONYMOUS, Visitor


def handshake(*headers: tuple[bytes, bytes], **others: Any) -> Handshake:
    return Handshake.from_scope({"type": "websocket", "headers": list(headers), **others})


# ---------------------------------------------------------------- headers


def test_a_header_that_contradicts_itself_has_no_value():
    """Otherwise one component would believe the first, and another the second."""
    repeated = handshake((b"host", b"a.example"), (b"host", b"b.example"), (b"x", b"1"), (b"x", b"1"))

    assert repeated.host is None
    assert repeated.header("x") == "1"
    assert repeated.header("absent") is None


def test_an_origin_that_contradicts_itself_is_not_an_absent_one():
    """An absent origin may be accepted; a contradictory one never is, and its cookies do not count."""
    two = handshake((b"origin", b"http://a"), (b"origin", b"http://b"), (b"cookie", b"sessionid=abc"))

    assert (two.has_origin, two.origin, two.visitor) == (True, None, ANONYMOUS)
    assert not handshake().has_origin


def test_a_request_has_what_its_scope_has():
    """And a scope may lack values that a server does not have."""
    request = Handshake.from_scope(
        {
            "type": "http",
            "method": "POST",
            "path": "/realtime/calls/",
            "headers": [],
            "scheme": "https",
            "client": ["10.0.0.7", 9],
            "url_route": {"kwargs": {"topic": "boards"}},
        }
    )
    minimal = handshake()

    assert (request.kind, request.method, request.path) == ("http", "POST", "/realtime/calls/")
    assert (request.scheme, request.client, request.peer_address) == ("https", "10.0.0.7:9", "10.0.0.7")
    assert request.url_kwargs == {"topic": "boards"}
    assert (minimal.scheme, minimal.client, minimal.peer_address) == (None, "?", "")
    assert (minimal.subprotocols, minimal.ticket, minimal.parameters) == ((), "", {})


# ---------------------------------------------------------------- query string


@pytest.mark.parametrize(
    "query, ticket",
    [
        (b"ticket=abc", "abc"),
        (b"a=b&ticket=x&ticket=abc", "abc"),
        (b"ticket=", ""),
        (b"t=abc", ""),
        (b"\xff", ""),
        (b"a&" * 499 + b"ticket=abc", "abc"),
        (b"a&" * 500 + b"ticket=abc", ""),  # each parameter takes time, in every handshake
    ],
    ids=lambda value: str(value)[-20:],
)
def test_a_ticket_is_found_in_the_query_string(query, ticket):
    """The last one, if several are given."""
    assert handshake(query_string=query).ticket == ticket


def test_parameters_may_repeat_and_be_empty():
    """In their order."""
    assert handshake(query_string=b"topic=a&topic=b%20c&since=").parameters == {
        "topic": ["a", "b c"],
        "since": [""],
    }


@pytest.mark.parametrize(
    "query", [b"\xff", b"topic=%ff", b"a&" * 501], ids=["no ASCII", "no UTF-8", "too many"]
)
def test_parameters_that_cannot_be_read_are_refused(query):
    """Instead of being read differently from what the client meant."""
    with pytest.raises(BadQuery, match="cannot be parsed"):
        _ = handshake(query_string=query).parameters


# ---------------------------------------------------------------- address


@pytest.mark.parametrize(
    "client, forwarded, proxies, address",
    [
        (["1.1.1.1", 9], [], 0, "1.1.1.1"),
        (["1.1.1.1", 9], [b"6.6.6.6"], 0, "1.1.1.1"),
        (["1.1.1.1", 9], [b"6.6.6.6, 2.2.2.2"], 1, "2.2.2.2"),
        (["1.1.1.1", 9], [b"6.6.6.6, 2.2.2.2, 3.3.3.3"], 2, "2.2.2.2"),
        (["1.1.1.1", 9], [b"6.6.6.6", b"2.2.2.2"], 1, "2.2.2.2"),
        (["1.1.1.1", 9], [b"2.2.2.2"], 3, "2.2.2.2"),
        (["1.1.1.1", 9], [], 1, "1.1.1.1"),
        (["1.1.1.1", 9], [b"nonsense"], 1, "1.1.1.1"),
        (None, [], 0, None),
        (["", 0], [b"2.2.2.2"], 1, "2.2.2.2"),
        (["2001:db8:1:2:3:4:5:6", 9], [], 0, "2001:db8:1:2::/64"),
        (["::ffff:1.1.1.1", 9], [], 0, "1.1.1.1"),
    ],
)
def test_an_address_is_the_one_that_our_own_proxies_saw(settings, client, forwarded, proxies, address):
    """Addresses that the client itself wrote into the header do not count."""
    settings.REALTIME = {"PROXIES": proxies}
    headers = [(b"x-forwarded-for", value) for value in forwarded]

    assert handshake(*headers, client=client).address == address


# ---------------------------------------------------------------- session


def cookie(text: str) -> Handshake:
    return handshake((b"origin", b"http://tide.example"), (b"cookie", text.encode("latin-1")))


@pytest.mark.parametrize(
    "text, key",
    [
        ("sessionid=abc", "abc"),
        ("a=b; sessionid=abc; c=d", "abc"),
        ("sessionid=", None),
        ("", None),
        ("other=abc", None),
        ("xsessionid=abc", None),
        ("sessionid", None),
        (";;;=;", None),
        ("é=ü; sessionid=abc", "abc"),
        ('prefs={"theme": "dark"}; sessionid=abc', "abc"),
        ("sessionid=abc; list[0]=x, y", "abc"),
        ("flag; sessionid=abc", "abc"),
        ("a=b c d; sessionid=abc", "abc"),
        ("sessionid=a\x00c", None),
        ("a=b;" * 299 + "sessionid=abc", "abc"),
        ("a=b;" * 300 + "sessionid=abc", None),  # more than any browser sends, and each takes time
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_the_session_is_found_among_other_cookies(text, key):
    """Whatever other applications of the host have set; as Django finds it for a page."""
    assert cookie(text).session_key == key


def test_cookies_may_come_in_several_headers():
    """As HTTP/2 sends them."""
    several = handshake(
        (b"origin", b"http://tide.example"), (b"cookie", b"a=b"), (b"cookie", b"sessionid=abc")
    )

    assert several.session_key == "abc"
    assert several.visitor == Visitor("abc")
