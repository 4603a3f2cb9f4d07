"""Frames that are built once for all: any peer reads them, and no server's buffer is overtaken."""

from functools import partial

import pytest
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

from realtime.servers.frames import frame, writer


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
@pytest.mark.parametrize("letter, opcode", [("x", Opcode.TEXT), ("é", Opcode.TEXT), (b"\x00", Opcode.BINARY)])
def test_a_frame_is_what_the_standard_says(size, letter, opcode):
    """Of every length the header has a form for; text is UTF-8."""
    message = letter * size
    peer = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)

    peer.receive_data(frame(message))

    (read,) = peer.events_received()
    assert (read.opcode, read.fin) == (opcode, True)
    assert bytes(read.data) == (message.encode() if isinstance(message, str) else message)


class AsyncioTransport:
    """Takes what it is given; ``waiting`` bytes are there already."""

    def __init__(self, waiting: int = 0, is_closing: bool = False) -> None:
        self.written = b""
        self.get_write_buffer_size = lambda: waiting
        self.is_closing = lambda: is_closing

    def write(self, data: bytes) -> None:
        self.written += data


class TwistedTransport:
    """Sends ``room`` bytes at once and keeps the rest; an error in place of ``room`` is a connection that was lost."""

    disconnecting = False
    connected = 1

    def __init__(self, room: int | Exception = 10**6, **state: object) -> None:
        self.written, self.dataBuffer, self._tempDataBuffer = b"", b"", []
        self._room = room
        vars(self).update(state)

    def writeSomeData(self, data: bytes) -> int | Exception:
        if isinstance(self._room, int):
            self.written += data[: self._room]
            return min(len(data), self._room)
        return self._room

    def write(self, data: bytes) -> None:
        self.written += data


class ServersProtocol:
    def __init__(self, transport: object) -> None:
        self.transport = transport

    async def send(self, event: object) -> None:
        """uvicorn's own."""


def writer_of(transport):
    """Return the writer that belongs to a server's ``send``, as uvicorn and as daphne have one."""
    protocol = ServersProtocol(transport)
    return writer(protocol.send if isinstance(transport, AsyncioTransport) else partial(print, protocol))


@pytest.mark.parametrize(
    "transport", [AsyncioTransport(), TwistedTransport(), TwistedTransport(0), TwistedTransport(3)]
)
def test_a_frame_goes_out_whole(transport):
    """What a socket does not take at once is its transport's to send."""
    assert writer_of(transport)("words")
    assert transport.written == frame("words")


@pytest.mark.parametrize(
    "transport",
    [
        AsyncioTransport(waiting=1),
        AsyncioTransport(is_closing=True),
        TwistedTransport(dataBuffer=b"x"),
        TwistedTransport(_tempDataBuffer=[b"x"]),
        TwistedTransport(disconnecting=True),
        TwistedTransport(connected=0),
        TwistedTransport(ConnectionError("lost")),
    ],
)
def test_a_frame_overtakes_nothing(transport):
    """Behind what waits, or where nobody is any more, the server's own way is taken."""
    assert not writer_of(transport)("words")
    assert transport.written == b""


class Around:
    """A transport around another, as Twisted has them: hands on whatever it is asked for."""

    def __init__(self, transport: object) -> None:
        self.transport = transport

    def __getattr__(self, name: str) -> object:
        return getattr(self.transport, name)


class GuardAround(Around):
    @property
    def guarded(self) -> object:
        return self.transport


def test_nothing_is_written_past_what_is_around_a_socket():
    """Past TLS it would go out in the clear; our own guard has nothing against it, but behind TLS neither."""
    within = TwistedTransport()

    assert writer_of(Around(within)) is None
    assert writer_of(Around(GuardAround(within))) is None

    assert writer_of(GuardAround(within))("words")
    assert within.written == frame("words")


def test_uvicorns_older_protocol_is_left_alone():
    """It answers the handshake after the application has accepted, and a frame would come before that."""
    protocol = ServersProtocol(AsyncioTransport())
    protocol.handshake_started_event = object()

    assert writer(protocol.send) is None


@pytest.mark.parametrize("send", [print, partial(print), partial(print, ServersProtocol(object())), object()])
def test_an_unknown_server_is_left_alone(send):
    """It gets its messages the usual way."""
    assert writer(send) is None
