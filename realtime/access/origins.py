"""The door: where a request or handshake comes from, and whose cookies it brings. Costs no query."""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from ..conf import get_conf
from .visitors import NOBODY, Visitor

Scope = dict[str, Any]

_OWN_SITES = ("same-origin", "none")  # none: typed into the address bar
_FOREIGN_SITES = ("same-site", "cross-site")


def header(scope: Scope, name: bytes) -> str | None:
    """Return a header of the handshake; None when it is absent or there twice with different values."""
    values = {value for key, value in scope["headers"] if key == name}
    return values.pop().decode("latin-1") if len(values) == 1 else None


def refusal(scope: Scope) -> str:
    """Return why whoever asks is not let in, empty when it is."""
    if not is_host_allowed(scope):
        return f"host {header(scope, b'host')!r} is not in ALLOWED_HOSTS"
    if not is_scheme_allowed(scope):
        return PLAIN_HTTP
    if not is_origin_allowed(scope):
        if not _names_origin(scope):
            return "no Origin; REALTIME['ALLOW_WITHOUT_ORIGIN'] would let programs in"
        return f"origin {header(scope, b'origin')!r} is not ours; see CSRF_TRUSTED_ORIGINS"
    if header(scope, b"sec-fetch-site") in _FOREIGN_SITES and scope["type"] == "http":
        return "asked for by a page of another site"
    return ""


def is_host_allowed(scope: Scope) -> bool:
    """Whether the Host header names us; ASGI servers check it for no socket, and Django only for HTTP."""
    domain, _ = split_domain_port(header(scope, b"host") or "")
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    return bool(domain) and validate_host(domain, allowed)


def is_origin_allowed(scope: Scope) -> bool:
    """Whether the page that asks is one of ours: of the request's own origin or a trusted one.

    A client that names none is no browser, and comes in where the settings say so (see ``visitor``).
    """
    if not _names_origin(scope):
        return get_conf().allow_without_origin or header(scope, b"sec-fetch-site") in _OWN_SITES
    origin = header(scope, b"origin")
    if origin is None:
        return False
    return origin in _own_origins(scope) or any(
        map(partial(_is_trusted, origin), settings.CSRF_TRUSTED_ORIGINS)
    )


def _names_origin(scope: Scope) -> bool:
    return any(key == b"origin" for key, _ in scope["headers"])


def _is_trusted(origin: str, trusted: str) -> bool:
    """Whether an origin is one of ``CSRF_TRUSTED_ORIGINS``, read as Django does: ``https://*.example.com`` too."""
    scheme, _, host = trusted.partition("://")
    if not host.startswith("*."):
        return origin == trusted
    theirs, _, domain = origin.partition("://")
    return theirs == scheme and is_same_domain(domain, host.removeprefix("*"))


def _own_origins(scope: Scope) -> set[str]:
    """Return our own origins for this handshake."""
    host = header(scope, b"host") or ""
    known = "https" if settings.SECURE_SSL_REDIRECT else scheme(scope)
    origins = {f"{either}://{host}" for either in ([known] if known else ["http", "https"])}
    return {origin for origin in origins if urlsplit(origin).netloc == host}


PLAIN_HTTP = "it came by http and pages come by https; a proxy says which in X-Forwarded-Proto"


def is_scheme_allowed(scope: Scope) -> bool:
    """Whether it came by TLS, or need not: where Django redirects pages to https, nothing goes out in the clear."""
    return not settings.SECURE_SSL_REDIRECT or scheme(scope) != "http"


def scheme(scope: Scope) -> str | None:
    """Return what the browser speaks, http or https; None where nobody says (daphne's sockets).

    A proxy that the settings trust has the first word, as in Django: a server believes some, or none.
    """
    if settings.SECURE_PROXY_SSL_HEADER:
        name, secure = settings.SECURE_PROXY_SSL_HEADER
        said = header(scope, name.removeprefix("HTTP_").replace("_", "-").lower().encode())
        if said is not None:
            # wss: Traefik's word for a socket by TLS.
            return "https" if said.partition(",")[0].strip() in {secure, "wss"} else "http"
    own = scope.get("scheme", "")
    return {"ws": "http", "wss": "https"}.get(own, own) or None


def visitor(scope: Scope) -> Visitor:
    """Return who the cookies say it is; nobody without a sign that a page of ours has sent them.

    Browsers name the origin with every handshake of a socket, and where a request comes from with others.
    """
    is_vouched_for = header(scope, b"origin") is not None or header(scope, b"sec-fetch-site") in _OWN_SITES
    return Visitor(session_key(scope)) if is_vouched_for else NOBODY


def session_key(scope: Scope) -> str | None:
    cookies: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"cookie":
            cookies |= parse_cookie(value.decode("latin-1"))
    key = cookies.get(settings.SESSION_COOKIE_NAME, "")
    # One that no database takes must not spoil the question about those of others.
    return key if key and key.isprintable() else None
