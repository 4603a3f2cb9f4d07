"""The door: host and origin of a handshake or request, and whose cookies count."""

import pytest

from realtime.access import origins as auth
from realtime.access.visitors import NOBODY, Visitor


def scope(*headers: tuple[bytes, bytes], scheme: str = "", type: str = "websocket") -> dict:
    return {"type": type, "headers": list(headers), **({"scheme": scheme} if scheme else {})}


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
def test_a_page_may_open_a_socket_to_where_it_came_from(origin, host, scheme, is_allowed):
    """The same scheme, host and port; where the server does not know its scheme, either of the two."""
    handshake = scope((b"host", host.encode()), (b"origin", origin.encode()), scheme=scheme)

    assert auth.is_origin_allowed(handshake) is is_allowed


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
def test_trusted_origins_are_those_that_may_post_forms(settings, origin, is_allowed):
    """CSRF_TRUSTED_ORIGINS means what it means to Django, a * for any subdomain included."""
    settings.CSRF_TRUSTED_ORIGINS = ["https://trusted.example", "https://*.wild.example"]
    handshake = scope((b"host", b"tide.example"), (b"origin", origin.encode()))

    assert auth.is_origin_allowed(handshake) is is_allowed


def test_two_origins_are_none():
    """A proxy that adds its own must not lend its name to a page."""
    two = [(b"origin", b"http://tide.example"), (b"origin", b"http://evil.example")]

    assert not auth.is_origin_allowed(scope((b"host", b"tide.example"), *two))
    assert not auth.is_origin_allowed(scope((b"host", b"tide.example"), *reversed(two)))
    assert auth.is_origin_allowed(scope((b"host", b"tide.example"), two[0], two[0]))


@pytest.mark.parametrize("is_allowed", [True, False])
@pytest.mark.parametrize("type", ["websocket", "http"])
def test_a_client_that_names_no_origin_comes_in_as_nobody_or_not_at_all(settings, type, is_allowed):
    """As the settings say; only browsers send one, and only browsers send cookies by themselves."""
    settings.REALTIME = {"ALLOW_WITHOUT_ORIGIN": is_allowed}
    asked = scope((b"host", b"localhost"), (b"cookie", b"sessionid=abc"), type=type)

    assert bool(auth.refusal(asked)) is not is_allowed
    assert auth.visitor(asked) == NOBODY


def test_without_a_setting_programs_stay_outside(settings):
    """Closed by default."""
    settings.REALTIME = {}

    assert "ALLOW_WITHOUT_ORIGIN" in auth.refusal(scope((b"host", b"localhost")))


@pytest.mark.parametrize(
    "site, is_allowed", [("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False)]
)
def test_a_browsers_request_says_where_it_comes_from(settings, site, is_allowed):
    """It names no origin where page and address have the same, and its cookies count all the same."""
    settings.REALTIME = {}
    asked = scope(
        (b"host", b"localhost"),
        (b"cookie", b"sessionid=abc"),
        (b"sec-fetch-site", site.encode()),
        type="http",
    )

    assert bool(auth.refusal(asked)) is not is_allowed
    assert auth.visitor(asked) == (Visitor("abc") if is_allowed else NOBODY)


# ---------------------------------------------------------------- TLS, which ends at a proxy


@pytest.fixture
def tls(settings) -> None:
    """What HTTPS=1 sets of all that is asked here."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


# What a server says itself, and what its proxy says.
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


def forwarded(own: str, proto: bytes | None, *headers: tuple[bytes, bytes]) -> dict:
    said = [] if proto is None else [(b"x-forwarded-proto", proto)]
    return scope((b"host", b"tide.example"), *said, *headers, scheme=own)


@pytest.mark.parametrize("own, proto", BY_TLS.values(), ids=BY_TLS.keys())
def test_behind_a_proxy_our_own_pages_are_those_that_come_by_tls(tls, own, proto):
    """Without a word in CSRF_TRUSTED_ORIGINS, whatever the server believes; a page in the clear is a stranger's."""
    assert auth.is_scheme_allowed(forwarded(own, proto))
    assert auth.is_origin_allowed(forwarded(own, proto, (b"origin", b"https://tide.example")))
    assert not auth.is_origin_allowed(forwarded(own, proto, (b"origin", b"http://tide.example")))


@pytest.mark.parametrize("own, proto", IN_THE_CLEAR.values(), ids=IN_THE_CLEAR.keys())
def test_nothing_is_served_in_the_clear_where_pages_come_by_tls(tls, own, proto):
    """Django sends the reader of a page to https; here it is refused, whatever the origin."""
    assert not auth.is_scheme_allowed(forwarded(own, proto))
    assert not auth.is_origin_allowed(forwarded(own, proto, (b"origin", b"http://tide.example")))


@pytest.mark.parametrize("own, proto", [*BY_TLS.values(), *IN_THE_CLEAR.values()])
def test_without_a_proxy_in_the_settings_its_header_says_nothing(own, proto):
    """Anybody could send it."""
    assert auth.is_scheme_allowed(forwarded(own, proto))
    assert auth.scheme(forwarded(own, proto)) == auth.scheme(forwarded(own, None))


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
def test_the_host_must_be_one_of_ours(settings, host, is_allowed):
    """As for HTTP; no server checks it for sockets."""
    settings.ALLOWED_HOSTS = ["tide.example", ".wild.example"]

    assert auth.is_host_allowed(scope((b"host", host))) is is_allowed


def test_no_host_or_two_of_them_are_not_ours(settings):
    """Whoever sends that wants one part to believe the one, and another part the other."""
    settings.ALLOWED_HOSTS = ["*"]

    assert not auth.is_host_allowed(scope())
    assert not auth.is_host_allowed(scope((b"host", b"a.example"), (b"host", b"b.example")))


@pytest.mark.parametrize("is_debug", [True, False])
def test_while_developing_this_machine_is_allowed(settings, is_debug):
    """As Django does it with an empty list."""
    settings.ALLOWED_HOSTS, settings.DEBUG = [], is_debug

    assert auth.is_host_allowed(scope((b"host", b"localhost:8000"))) is is_debug


# ---------------------------------------------------------------- session


def cookie(text: str) -> dict:
    return scope((b"origin", b"http://tide.example"), (b"cookie", text.encode("latin-1")))


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
    ],
)
def test_the_session_is_found_among_other_cookies(text, key):
    """Whatever other applications of the host have set: as Django finds it for a page."""
    assert auth.session_key(cookie(text)) == key


def test_cookies_may_come_in_several_headers():
    """As HTTP/2 sends them."""
    handshake = scope((b"origin", b"http://tide.example"), (b"cookie", b"a=b"), (b"cookie", b"sessionid=abc"))

    assert auth.session_key(handshake) == "abc"
