"""From an ASGI ``send`` to the connection beneath it: the one place that knows how daphne and uvicorn make theirs."""

from typing import Any


def protocol_of(send: object) -> Any:
    """Return the server's object that a ``send`` writes to; for an unknown server any object, or None."""
    # uvicorn's is a bound method, daphne's functools.partial(…, protocol): see private.py.
    return getattr(send, "__self__", None) or next(iter(getattr(send, "args", ())), None)


def transport_of(send: object) -> Any:
    """Return the transport (asyncio's or Twisted's) that a ``send`` writes to; None for an unknown server."""
    return getattr(protocol_of(send), "transport", None)


def socket_of(transport: Any) -> Any:
    """Return Twisted's transport of a socket beneath those that wrap it: our guard's, and that of TLS."""
    guard = getattr(transport, "guard", None)
    return transport if guard is None else guard.unguarded
