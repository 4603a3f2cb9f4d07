"""The handshake: the headers, addresses and query of one request or WebSocket, read once from its ASGI scope.

Each transport makes one at its entry, and all later code reads it by name. ``RealtimeApplication`` makes another only
for a body, an answer that waits for its client, or a refusal. Costs no database query.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Self
from urllib.parse import parse_qs

from django.conf import settings
from django.http import HttpRequest, parse_cookie
from django.middleware.locale import LocaleMiddleware
from django.utils.module_loading import import_string
from django.utils.translation import get_language_from_request

from ..conf import get_conf
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..runtime.addresses import client_address
from ..runtime.asgi_types import Scope
from ..runtime.client_log import client_name
from .visitors import ANONYMOUS, Visitor

PROXY_HINT = "the request passed a proxy: if it is yours, set REALTIME['PROXIES']"

OWN_SITES = ("same-origin", "none")
"""Values of ``Sec-Fetch-Site`` for requests by our own pages; "none": typed into the address bar."""

MAX_HEADERS = 100
"""How many headers a request may have: no browser or proxy sends half as many, and some servers accept thousands."""
MAX_PARAMETERS = 500
"""How many parameters of a query string are parsed, and how many cookies (``MAX_COOKIES``): parsing each takes time."""
MAX_COOKIES = 300

Headers = Mapping[str, Sequence[str]]


class BadQuery(RealtimeError):
    """The query string of an address cannot be parsed, or has an impossible parameter."""

    code = Code.BAD_MESSAGE

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True, slots=True)
class Handshake:
    """One request or WebSocket handshake. The properties parse when they are read: each is read once or twice."""

    kind: Literal["http", "websocket"]
    method: str
    path: str
    query_string: bytes
    headers: Headers
    """The values of each header in their order, by its name in lower case."""
    scheme: Literal["http", "https"] | None
    """The scheme between browser and proxy or server; None if neither reports it (WebSockets of daphne)."""
    peer_address: str
    """The address of the client or proxy that opened the TCP connection; empty if unknown (a Unix socket)."""
    client: str
    """``peer_address`` with its port, for the log."""
    address: str | None
    """The client's address for limits, as our own proxies report it: an IPv4 address or an IPv6 network (/64)."""
    subprotocols: tuple[str, ...]
    url_kwargs: Mapping[str, Any]
    """The parts of the path that the route's pattern captured."""

    @classmethod
    def from_scope(cls, scope: Scope) -> Self:
        """Return the handshake of an ASGI scope of type "http" or "websocket"."""
        headers = _headers(scope)
        peer = [str(part) for part in scope.get("client") or ()]
        peer_address = peer[0] if peer else ""
        return cls(
            kind=scope["type"],
            method=scope.get("method", "GET"),
            path=scope.get("path", ""),
            query_string=scope.get("query_string", b""),
            headers=headers,
            scheme=_scheme(headers, scope.get("scheme", "")),
            peer_address=peer_address,
            client=client_name(peer),
            address=client_address(headers.get("x-forwarded-for", ()), peer_address),
            subprotocols=tuple(scope.get("subprotocols", ())),
            url_kwargs=scope.get("url_route", {}).get("kwargs", {}),
        )

    def header(self, name: str) -> str | None:
        """Return a header's value; None if the header is absent, or repeated with different values."""
        return _single(self.headers, name)

    @property
    def host(self) -> str | None:
        return self.header("host")

    @property
    def origin(self) -> str | None:
        """The origin of the page that made the request; None if ``has_origin`` is false, or if several are named."""
        return self.header("origin")

    @property
    def has_origin(self) -> bool:
        return "origin" in self.headers

    @property
    def site(self) -> str | None:
        """How the site of the requesting page relates to ours, as the browser reports it (``Sec-Fetch-Site``)."""
        return self.header("sec-fetch-site")

    @property
    def may_be_of_own_proxy(self) -> bool:
        """Whether the address that the limits use may be that of a proxy of ours that the settings do not name."""
        return not get_conf().proxies and bool(self.header("x-forwarded-for"))

    @property
    def session_key(self) -> str | None:
        """The key in the session cookie, whether or not such a session exists.

        None if the key has unprintable characters: some databases refuse such a text, which would fail a query for the
        sessions of many visitors. None also if there are more cookies than any browser sends.
        """
        key = self._cookie(settings.SESSION_COOKIE_NAME)
        return key if key and key.isprintable() else None

    @property
    def language(self) -> str:
        """The language of a page for this request: the visitor's, where Django's middleware chooses it."""
        if not translates_pages(tuple(settings.MIDDLEWARE)):
            return settings.LANGUAGE_CODE
        request = HttpRequest()
        request.COOKIES = {settings.LANGUAGE_COOKIE_NAME: self._cookie(settings.LANGUAGE_COOKIE_NAME)}
        request.META = {"HTTP_ACCEPT_LANGUAGE": self.header("accept-language") or ""}
        return get_language_from_request(request)

    def _cookie(self, name: str) -> str:
        """Return the value of a cookie; empty if there is none, or if there are more than any browser sends."""
        values = self.headers.get("cookie", ())
        if sum(value.count(";") + 1 for value in values) > MAX_COOKIES:
            return ""
        cookies: dict[str, str] = {}
        for value in values:
            cookies |= parse_cookie(value)
        return cookies.get(name, "")

    @property
    def visitor(self) -> Visitor:
        """The bearer of the session cookie; ANONYMOUS unless the browser shows that a page sent the cookie.

        Browsers name the origin in each WebSocket handshake, and the origin or the site in each request.
        """
        is_sent_by_page = self.origin is not None or self.site in OWN_SITES
        return Visitor(self.session_key) if is_sent_by_page else ANONYMOUS

    @property
    def ticket(self) -> str:
        """The ticket in the query string; empty if there is none, or if there are too many parameters."""
        try:
            return _parsed(self.query_string.decode("latin-1")).get("ticket", [""])[-1]
        except ValueError:
            return ""

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The parameters of the query string.

        Raises: BadQuery, if they are not UTF-8 or too many.
        """
        try:
            return _parsed(self.query_string.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise BadQuery(f"the query string cannot be parsed: {error}") from error


@cache
def translates_pages(middleware: tuple[str, ...]) -> bool:
    """Return whether one of these classes chooses a language for each request."""
    loaded = [import_string(name) for name in middleware]
    return any(isinstance(each, type) and issubclass(each, LocaleMiddleware) for each in loaded)


def _parsed(query: str, **options: Any) -> dict[str, list[str]]:
    """Raises: ValueError."""
    return parse_qs(query, max_num_fields=MAX_PARAMETERS, **options)


def _headers(scope: Scope) -> Headers:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return headers


def _single(headers: Headers, name: str) -> str | None:
    values = set(headers.get(name, ()))
    return values.pop() if len(values) == 1 else None


def _scheme(headers: Headers, own: str) -> Literal["http", "https"] | None:
    """Return the scheme that a trusted proxy's header reports, otherwise ``own``, the server's.

    The header has priority, as in Django: only some servers take their own scheme from it.
    """
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        reported = _single(headers, name.removeprefix("HTTP_").replace("_", "-").lower())
        if reported is not None:
            # Traefik reports wss for a WebSocket over TLS.
            return "https" if reported.partition(",")[0].strip() in {secure, "wss"} else "http"
    if own in ("http", "ws"):
        return "http"
    return "https" if own in ("https", "wss") else None
