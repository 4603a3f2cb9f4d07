"""The addresses of a server, made from any one of them that a user may have at hand."""

from urllib.parse import quote, urlsplit, urlunsplit

SOCKET_PATH = "realtime/ws/"
_SOCKET_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def socket_address(url: str, ticket: str = "") -> str:
    """Return the address of the WebSocket of a site, given that of its root or of the socket itself.

    Raises: ValueError, if it is not an address of http, https, ws or wss.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in _SOCKET_SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is not the address of a site; write https://example.org/")
    path = parts.path if parts.path.endswith(SOCKET_PATH) else f"{parts.path.rstrip('/')}/{SOCKET_PATH}"
    query = f"ticket={quote(ticket)}" if ticket else parts.query
    return urlunsplit((_SOCKET_SCHEMES[parts.scheme], parts.netloc, path, query, ""))


def page_address(url: str, path: str) -> str:
    """Return the address of a page of the same site; raises as ``socket_address``."""
    parts = urlsplit(socket_address(url))
    root = parts.path.removesuffix(SOCKET_PATH)
    scheme = "https" if parts.scheme == "wss" else "http"
    return urlunsplit((scheme, parts.netloc, f"{root}{path}", "", ""))


def origin_of(url: str) -> str:
    """Return the origin of the site's pages; raises as ``socket_address``."""
    parts = urlsplit(page_address(url, ""))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
