"""Who is at the other end of a socket, read without changing anything.

Channels' own middleware ends a session whose hash it cannot verify, and knows no ``SECRET_KEY_FALLBACKS``:
opening a page would sign people out. A socket only reads.
"""

from functools import partial
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.models import AnonymousUser
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.crypto import constant_time_compare
from django.utils.http import is_same_domain

Scope = dict[str, Any]


def header(scope: Scope, name: bytes) -> str | None:
    """Return a header of the handshake; None when it is absent or there twice with different values."""
    values = {value for key, value in scope["headers"] if key == name}
    return values.pop().decode("latin-1") if len(values) == 1 else None


def is_host_allowed(scope: Scope) -> bool:
    """Whether the Host header names us; ASGI servers check it for no socket, and Django only for HTTP."""
    domain, _ = split_domain_port(header(scope, b"host") or "")
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    return bool(domain) and validate_host(domain, allowed)


def is_origin_allowed(scope: Scope) -> bool:
    """Whether the page that opens the socket is one of ours: the request's own origin or a trusted one.

    A client without Origin is no browser: it may come in, as nobody (see ``session_key``).
    """
    origins = {value for key, value in scope["headers"] if key == b"origin"}
    if not origins:
        return True
    origin = header(scope, b"origin")
    if origin is None:
        return False
    return origin in _own_origins(scope) or any(
        map(partial(_is_trusted, origin), settings.CSRF_TRUSTED_ORIGINS)
    )


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


def session_key(scope: Scope) -> str | None:
    """Return the session that the cookies name; for a socket none without an Origin that was checked.

    Browsers name the origin with every handshake, but not with every request (see ``requests.enter``).
    """
    if scope["type"] == "websocket" and header(scope, b"origin") is None:
        return None
    cookies: dict[str, str] = {}
    for name, value in scope["headers"]:
        if name == b"cookie":
            cookies |= parse_cookie(value.decode("latin-1"))
    return cookies.get(settings.SESSION_COOKIE_NAME) or None


def load_user(key: str | None) -> Any:
    """Return the user of a session, AnonymousUser when it has none; reads the database, writes nothing."""
    if not key:
        return AnonymousUser()
    session = import_module(settings.SESSION_ENGINE).SessionStore(key).load()
    path = session.get(BACKEND_SESSION_KEY)
    if SESSION_KEY not in session or path not in settings.AUTHENTICATION_BACKENDS:
        return AnonymousUser()
    user = load_backend(path).get_user(get_user_model()._meta.pk.to_python(session[SESSION_KEY]))
    if user is None or not _is_hash_valid(user, session.get(HASH_SESSION_KEY, "")):
        return AnonymousUser()
    return user


def _is_hash_valid(user: Any, session_hash: str) -> bool:
    if not hasattr(user, "get_session_auth_hash"):
        return True
    valid = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(session_hash, candidate) for candidate in valid)
