"""The addresses of a server, made from any one of them."""

import pytest

from realtime.client.addresses import origin_of, page_address, socket_address


@pytest.mark.parametrize(
    "url, expected",
    [
        ("https://example.org", "wss://example.org/realtime/ws/"),
        ("http://127.0.0.1:8000/", "ws://127.0.0.1:8000/realtime/ws/"),
        ("127.0.0.1:8000", "ws://127.0.0.1:8000/realtime/ws/"),
        ("https://example.org/boards", "wss://example.org/boards/realtime/ws/"),
        ("wss://example.org/boards/realtime/ws/", "wss://example.org/boards/realtime/ws/"),
        ("ws://[::1]:8000/realtime/ws/", "ws://[::1]:8000/realtime/ws/"),
    ],
)
def test_a_site_may_be_named_by_its_root_or_by_its_socket(url, expected):
    """With a script prefix or without; the page's scheme is that of the socket."""
    assert socket_address(url) == expected


def test_a_ticket_is_a_parameter_of_the_socket():
    assert socket_address("http://h/", "a&b") == "ws://h/realtime/ws/?ticket=a%26b"


def test_pages_and_origin_are_those_of_the_same_site():
    """Also for a site below a path, and for an address with a password in it."""
    assert page_address("wss://h/sub/realtime/ws/", "realtime/ticket/") == "https://h/sub/realtime/ticket/"
    assert origin_of("https://ann:secret@h:8443/sub") == "https://h:8443"


@pytest.mark.parametrize("url", ["ftp://h/", "http://", "", "file:///etc/passwd"])
def test_another_kind_of_address_is_refused(url):
    """With an example of a right one."""
    with pytest.raises(ValueError, match=r"write https://example\.org/"):
        socket_address(url)
