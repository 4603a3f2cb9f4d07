"""Origins: the hosts, schemes and pages that requests and WebSockets are accepted from."""

import pytest

from realtime.access import origins
from realtime.access.handshake import Handshake
from realtime.access.visitors import ANONYMOUS, Visitor


def handshake(*headers: tuple[bytes, bytes], scheme: str = "", type: str = "websocket") -> Handshake:
    own = {"scheme": scheme} if scheme else {}
    return Handshake.from_scope({"type": type, "headers": list(headers), **own})


# ---------------------------------------------------------------- origin


@pytest.mark.parametrize(
    "origin, host, scheme, is_allowed",
    [
        ("http://tide.example", "tide.example", "", True),
        ("https://tide.example", "tide.example", "", True),
        ("http://tide.example", "tide.example", "ws", True),
        ("https://tide.example", "tide.example", "wss", True),
        ("https://tide.example", "tide.example", "ws", False),
        ("http://tide.example", "tide.example", "wss", False),
        ("http://tide.example:8000", "tide.example:8000", "", True),
        ("http://tide.example:8000", "tide.example", "", False),
        ("http://tide.example", "tide.example:8000", "", False),
        ("http://tide.example:8001", "tide.example:8000", "", False),
        ("http://sub.tide.example", "tide.example", "", False),
        ("http://tide.example", "sub.tide.example", "", False),
        ("http://tide.example.evil.example", "tide.example", "", False),
        ("http://eviltide.example", "tide.example", "", False),
        ("http://tide.example@evil.example", "tide.example", "", False),
        ("http://tide.example/", "tide.example", "", False),
        ("ftp://tide.example", "tide.example", "", False),
        ("null", "tide.example", "", False),
        ("null", "null", "", False),
        ("", "tide.example", "", False),
        ("http://[", "tide.example", "", False),
        ("http://[::1]:8000", "[::1]:8000", "", True),
        ("file://", "tide.example", "", False),
        ("*", "tide.example", "", False),
        ("http://a/../tide.example", "a/../tide.example", "", False),
    ],
)
def test_a_page_may_open_a_socket_to_its_own_origin(origin, host, scheme, is_allowed):
    """The same scheme, host and port; either scheme if the server does not know its own."""
    opened = handshake((b"host", host.encode()), (b"origin", origin.encode()), scheme=scheme)

    assert origins.is_origin_allowed(opened) is is_allowed


@pytest.mark.parametrize(
    "origin, is_allowed",
    [
        ("https://trusted.example", True),
        ("http://trusted.example", False),
        ("https://sub.trusted.example", False),
        ("https://a.wild.example", True),
        ("https://a.b.wild.example", True),
        ("http://a.wild.example", False),
        ("https://a.wild.example.evil.example", False),
        ("https://evilwild.example", False),
    ],
)
def test_trusted_origins_are_allowed_as_django_allows_them_to_post_forms(settings, origin, is_allowed):
    """CSRF_TRUSTED_ORIGINS is read as Django reads it: * stands for any subdomain."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example", "https://*.wild.example"]
    opened = handshake((b"host", b"tide.example"), (b"origin", origin.encode()))

    assert origins.is_origin_allowed(opened) is is_allowed


def test_two_different_origins_are_refused():
    """Otherwise a proxy that adds an origin of its own would make any page a trusted one."""
    two = [(b"origin", b"http://tide.example"), (b"origin", b"http://evil.example")]

    assert not origins.is_origin_allowed(handshake((b"host", b"tide.example"), *two))
    assert not origins.is_origin_allowed(handshake((b"host", b"tide.example"), *reversed(two)))
    assert origins.is_origin_allowed(handshake((b"host", b"tide.example"), two[0], two[0]))


@pytest.mark.parametrize("is_allowed", [True, False])
@pytest.mark.parametrize("type", ["websocket", "http"])
def test_a_client_without_an_origin_is_anonymous_or_refused(settings, type, is_allowed):
    """As the settings say. Its cookies do not count: only browsers send an origin, and cookies by themselves."""
    settings.REALTIME = {"ALLOW_WITHOUT_ORIGIN": is_allowed}
    request = handshake((b"host", b"localhost"), (b"cookie", b"sessionid=abc"), type=type)

    assert bool(origins.refusal(request)) is not is_allowed
    assert request.visitor == ANONYMOUS


def test_by_default_a_client_without_an_origin_is_refused(settings):
    """The error names the setting that accepts it."""
    settings.REALTIME = {}

    assert "ALLOW_WITHOUT_ORIGIN" in origins.refusal(handshake((b"host", b"localhost")))


@pytest.mark.parametrize(
    "site, is_allowed", [("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False)]
)
def test_a_request_without_an_origin_is_judged_by_its_site(settings, site, is_allowed):
    """Browsers name no origin in a GET request to the page's own; its cookies count in that case."""
    settings.REALTIME = {}
    request = handshake(
        (b"host", b"localhost"),
        (b"cookie", b"sessionid=abc"),
        (b"sec-fetch-site", site.encode()),
        type="http",
    )

    assert bool(origins.refusal(request)) is not is_allowed
    assert request.visitor == (Visitor("abc") if is_allowed else ANONYMOUS)


# ---------------------------------------------------------------- TLS, which ends at a proxy


@pytest.fixture
def tls(settings) -> None:
    """The settings of HTTPS=1 that matter here."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


# The scheme that the server reports, and the one that its proxy reports.
BY_TLS = {
    "daphne": ("", b"https"),
    "uvicorn that trusts the proxy": ("wss", b"https"),
    "uvicorn that does not": ("ws", b"https"),
    "Traefik": ("", b"wss"),
    "two proxies": ("ws", b"https, http"),
    "TLS of uvicorn's own": ("wss", None),
    "TLS of daphne's own": ("", None),
}
IN_THE_CLEAR = {
    "daphne": ("", b"http"),
    "uvicorn": ("ws", b"http"),
    "a request": ("http", None),
    "two proxies": ("wss", b"http, https"),
    "nonsense": ("", b"https\x00"),
    "past the proxy": ("ws", None),
}


def forwarded(own: str, proto: bytes | None, *headers: tuple[bytes, bytes]) -> Handshake:
    reported = [] if proto is None else [(b"x-forwarded-proto", proto)]
    return handshake((b"host", b"tide.example"), *reported, *headers, scheme=own)


@pytest.mark.parametrize("own, proto", BY_TLS.values(), ids=BY_TLS.keys())
def test_behind_a_proxy_our_own_pages_are_those_served_over_tls(tls, own, proto):
    """Without an entry in CSRF_TRUSTED_ORIGINS, whatever the server reports; a page served over http is foreign."""
    assert origins.is_scheme_allowed(forwarded(own, proto))
    assert origins.is_origin_allowed(forwarded(own, proto, (b"origin", b"https://tide.example")))
    assert not origins.is_origin_allowed(forwarded(own, proto, (b"origin", b"http://tide.example")))


@pytest.mark.parametrize("own, proto", IN_THE_CLEAR.values(), ids=IN_THE_CLEAR.keys())
def test_nothing_is_served_over_http_if_pages_are_served_over_tls(tls, own, proto):
    """Django redirects requests for pages to https; these are refused, whatever their origin."""
    assert not origins.is_scheme_allowed(forwarded(own, proto))
    assert not origins.is_origin_allowed(forwarded(own, proto, (b"origin", b"http://tide.example")))


@pytest.mark.parametrize("own, proto", [*BY_TLS.values(), *IN_THE_CLEAR.values()])
def test_without_a_proxy_in_the_settings_its_header_is_ignored(own, proto):
    """Any client could send it."""
    assert origins.is_scheme_allowed(forwarded(own, proto))
    assert forwarded(own, proto).scheme == forwarded(own, None).scheme


# ---------------------------------------------------------------- host


@pytest.mark.parametrize(
    "host, is_allowed",
    [
        (b"tide.example", True),
        (b"tide.example:8000", True),
        (b"TIDE.example", True),
        (b"tide.example.", True),
        (b"a.wild.example", True),
        (b"evil.example", False),
        (b"tide.example.evil.example", False),
        (b"", False),
        (b"[", False),
        (b"[::1", False),
        (b"tide.example:http", False),
        (b"tide.example/path", False),
        (b"tide.example\r\nx: y", False),
        (b"\xff\xfe", False),
    ],
)
def test_the_host_must_be_allowed(settings, host, is_allowed):
    """As for HTTP; no server checks it for WebSockets."""
    settings.ALLOWED_HOSTS = ["tide.example", ".wild.example"]

    assert origins.is_host_allowed(handshake((b"host", host))) is is_allowed


def test_a_missing_host_or_two_hosts_are_refused(settings):
    """Two hosts are an attack: one component would believe the first, and another the second."""
    settings.ALLOWED_HOSTS = ["*"]

    assert not origins.is_host_allowed(handshake())
    assert not origins.is_host_allowed(handshake((b"host", b"a.example"), (b"host", b"b.example")))


@pytest.mark.parametrize("is_debug", [True, False])
def test_in_debug_mode_this_machine_is_allowed(settings, is_debug):
    """As Django does if ALLOWED_HOSTS is empty."""
    settings.ALLOWED_HOSTS, settings.DEBUG = [], is_debug

    assert origins.is_host_allowed(handshake((b"host", b"localhost:8000"))) is is_debug
