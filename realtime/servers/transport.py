"""From an ASGI ``send`` to the socket beneath it: the one place that depends on how daphne and uvicorn make theirs."""

import select
import socket
from typing import Any

MAX_UNSENT_BYTES = 128 * 1024
"""How many unread bytes may wait in the kernel for the client of a guarded connection; the default is 4 MiB."""
MAX_UNREAD_BYTES = 64 * 1024
"""How many bytes of a client may wait in the kernel while nothing is read from it, or twice that; the default is 6 MiB
and more, for each of hundreds of connections."""


def bound_buffers(connection: Any) -> None:
    """Bound the bytes that the kernel keeps for a TCP socket: those to be read, and where possible those to be sent."""
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MAX_UNREAD_BYTES)
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        connection.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT_BYTES)


def has_left(connection: Any) -> bool:
    """Return whether a client has closed its side of a connection, as far as the system reports that.

    Neither server answers such a client: both close the connection when they have read all of its bytes.
    """
    closed = getattr(select, "POLLRDHUP", 0)
    if connection is None or not closed:
        return False
    poll = select.poll()
    poll.register(connection, closed)  # errors and resets are reported too
    return bool(poll.poll(0))


def protocol_of(send: object) -> Any:
    """Return the server's object that a ``send`` writes to; for an unknown server any object, or None."""
    # uvicorn's is a bound method, daphne's functools.partial(…, protocol): see private_objects.py.
    return getattr(send, "__self__", None) or next(iter(getattr(send, "args", ())), None)


def transport_of(send: object) -> Any:
    """Return the transport (asyncio's or Twisted's) that a ``send`` writes to; None for an unknown server."""
    return getattr(protocol_of(send), "transport", None)


def socket_of(transport: Any) -> Any:
    """Return Twisted's transport of a socket, without the wrappers of our guard and of TLS."""
    guard = getattr(transport, "guard", None)
    return transport if guard is None else guard.unguarded
