"""From a ``send`` to its connection: as uvicorn and as daphne make theirs; unknown servers have none."""

from functools import partial
from types import SimpleNamespace

import pytest

from realtime.servers.transport import protocol_of, socket_of, transport_of


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
    socket = SimpleNamespace()
    beneath_tls = SimpleNamespace(guard=SimpleNamespace(unguarded=socket))

    assert socket_of(beneath_tls) is socket
    assert socket_of(socket) is socket
