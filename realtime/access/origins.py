"""Origins: which hosts, schemes and pages requests and WebSockets are accepted from. Costs no database query."""

from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain

from ..conf import get_conf
from .handshake import OWN_SITES, Handshake

_FOREIGN_SITES = ("same-site", "cross-site")

PLAIN_HTTP = (
    "requested over http, but pages are served over https; the proxy must report which in X-Forwarded-Proto"
)


def refusal(handshake: Handshake) -> str:
    """Return why a handshake is refused, empty if it is accepted."""
    if not is_host_allowed(handshake):
        return f"host {handshake.host!r} is not in ALLOWED_HOSTS"
    if not is_scheme_allowed(handshake):
        return PLAIN_HTTP
    if not is_origin_allowed(handshake):
        if not handshake.has_origin:
            return "no Origin; REALTIME['ALLOW_WITHOUT_ORIGIN'] would accept programs"
        return f"origin {handshake.origin!r} is not ours; see CSRF_TRUSTED_ORIGINS; a proxy must pass Host unchanged"
    if handshake.site in _FOREIGN_SITES and handshake.kind == "http":
        return "requested by a page of another site; streams, polls and calls serve pages of this site only"
    return ""


def is_host_allowed(handshake: Handshake) -> bool:
    """Whether ``ALLOWED_HOSTS`` has the Host header; ASGI servers do not check it, and Django does only for HTTP."""
    domain, _ = split_domain_port(handshake.host or "")
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    return bool(domain) and validate_host(domain, allowed)


def is_origin_allowed(handshake: Handshake) -> bool:
    """Whether the origin of the page that made the request is the request's own or a trusted one.

    A client that names no origin is not a browser: the settings decide whether it is accepted, and its cookies are
    ignored.
    """
    if not handshake.has_origin:
        return get_conf().allow_without_origin or handshake.site in OWN_SITES
    origin = handshake.origin
    if origin is None:
        return False
    return origin in _own_origins(handshake) or any(
        map(partial(_is_trusted, origin), settings.CSRF_TRUSTED_ORIGINS)
    )


def _is_trusted(origin: str, trusted: str) -> bool:
    """Whether one of ``CSRF_TRUSTED_ORIGINS`` covers an origin, as Django reads it: also ``https://*.example.com``."""
    scheme, _, host = trusted.partition("://")
    if not host.startswith("*."):
        return origin == trusted
    origin_scheme, _, domain = origin.partition("://")
    return origin_scheme == scheme and is_same_domain(domain, host.removeprefix("*"))


def _own_origins(handshake: Handshake) -> set[str]:
    host = handshake.host or ""
    known = "https" if settings.SECURE_SSL_REDIRECT else handshake.scheme
    origins = {f"{scheme}://{host}" for scheme in ([known] if known else ["http", "https"])}
    return {origin for origin in origins if urlsplit(origin).netloc == host}


def is_scheme_allowed(handshake: Handshake) -> bool:
    """Whether the scheme is https, or http is allowed: where Django redirects to https, nothing is served over http."""
    return not settings.SECURE_SSL_REDIRECT or handshake.scheme != "http"
