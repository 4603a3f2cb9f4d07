"""From a ``send`` to its connection: as uvicorn and as daphne make theirs; unknown servers have none."""

import contextlib
import select
import socket
import struct
import time
from functools import partial
from types import SimpleNamespace

import pytest

from realtime.servers.transport import (
    MAX_UNREAD_BYTES,
    MAX_UNSENT_BYTES,
    bound_buffers,
    has_left,
    protocol_of,
    socket_of,
    transport_of,
)


class Protocol:
    transport = object()

    async def send(self, event: object) -> None:
        """uvicorn's."""


async def reply(protocol: Protocol, event: object) -> None:
    """daphne's."""


def test_the_connection_of_a_known_servers_send_is_found():
    """A bound method, or a partial with the protocol as its first argument."""
    protocol = Protocol()

    for send in (protocol.send, partial(reply, protocol)):
        assert protocol_of(send) is protocol
        assert transport_of(send) is Protocol.transport


@pytest.mark.parametrize(
    "send", [print, partial(print), partial(print, object()), lambda event: None, object()]
)
def test_an_unknown_send_has_no_transport(send):
    """Whatever it is made of."""
    assert transport_of(send) is None


def test_the_socket_beneath_a_guard_is_found():
    """Through TLS, which passes on attributes; without a guard the transport itself is the socket's."""
    tcp = SimpleNamespace()
    beneath_tls = SimpleNamespace(guard=SimpleNamespace(unguarded=tcp))

    assert socket_of(beneath_tls) is tcp
    assert socket_of(tcp) is tcp


def test_the_kernel_keeps_little_for_a_client_that_does_not_read():
    """By default it keeps megabytes, which no other limit counts."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        connection, _ = listener.accept()
        with connection:
            bound_buffers(connection)
            connection.setblocking(False)
            taken = 0
            with contextlib.suppress(BlockingIOError):
                while taken < 2**24:
                    taken += connection.send(bytes(2**16))

    assert taken < 4 * MAX_UNSENT_BYTES


def test_the_kernel_keeps_little_of_what_is_not_read():
    """From a client that was read quickly before, it would take megabytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**17)
        client.connect(listener.getsockname())
        connection, _ = listener.accept()
        with connection:
            bound_buffers(connection)
            client.settimeout(60)
            for _ in range(2**9):
                client.send(bytes(2**16))
                connection.recv(2**18)
            client.setblocking(False)
            taken, refused = 0, 0
            while taken < 2**24 and refused < 20:
                try:
                    taken += client.send(bytes(2**12))
                except BlockingIOError:  # what is under way is acknowledged, or the kernel takes no more
                    refused += 1
                    select.select([], [client], [], 0.01)

    assert taken < 8 * MAX_UNREAD_BYTES


@pytest.mark.parametrize("family", [None, socket.AF_UNIX])
def test_other_sockets_are_left_alone(family):
    """A proxy's Unix socket has no such option; a transport for tests has no socket."""
    if family is None:
        bound_buffers(None)
        return
    with socket.socket(family) as connection:
        bound_buffers(connection)


@pytest.fixture
def connected():
    """A client's socket and the server's, connected by TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        connection, _ = listener.accept()
        with connection:
            yield client, connection


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="the system does not report it")
@pytest.mark.parametrize(
    "leave",
    [socket.socket.close, lambda client: client.shutdown(socket.SHUT_WR), reset],
    ids=["closed", "closed for writing", "reset"],
)
@pytest.mark.parametrize("unread", [b"", b"GET / HTTP/1.1"], ids=["nothing", "something"])
def test_a_client_that_has_left_is_noticed_before_what_it_sent_is_read(connected, leave, unread):
    """Otherwise its request would be served first."""
    client, connection = connected
    client.sendall(unread)
    assert not has_left(connection)

    leave(client)

    deadline = time.monotonic() + 30
    while not has_left(connection):
        assert time.monotonic() < deadline


def test_nothing_is_known_of_an_unknown_connection():
    """For a transport without a socket, or on a system that does not report it."""
    assert not has_left(None)
