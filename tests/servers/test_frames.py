"""Frames that are built once for all connections: any peer reads them, and none overtakes what is buffered."""

from functools import partial

import pytest
import uvicorn  # noqa: F401  (one of the two servers whose sockets these are)
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from realtime.servers.frames import frame, writer


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
@pytest.mark.parametrize("letter, opcode", [("x", Opcode.TEXT), ("é", Opcode.TEXT), (b"\x00", Opcode.BINARY)])
def test_a_frame_conforms_to_the_standard(size, letter, opcode):
    """With each of the header's forms of the length; text is UTF-8."""
    message = letter * size
    peer = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)

    peer.receive_data(frame(message))

    (read,) = peer.events_received()
    assert isinstance(read, Frame)
    assert (read.opcode, read.fin) == (opcode, True)
    assert bytes(read.data) == (message.encode() if isinstance(message, str) else message)


class AsyncioTransport:
    """Accepts everything; ``waiting`` bytes are in its buffer already."""

    def __init__(self, waiting: int = 0, is_closing: bool = False) -> None:
        self.written = b""
        self.get_write_buffer_size = lambda: waiting
        self.is_closing = lambda: is_closing

    def write(self, data: bytes) -> None:
        self.written += data


class TwistedTransport:
    """Sends ``room`` bytes at once and buffers the rest; ``room`` as an error: the connection was lost."""

    disconnecting = False
    connected = 1

    def __init__(self, room: int | Exception = 10**6, **state: object) -> None:
        self.written, self.dataBuffer = b"", b""
        self._tempDataBuffer: list[bytes] = []
        self._room = room
        self.socket = self
        vars(self).update(state)

    def writeSomeData(self, data: bytes) -> int | Exception:
        """Twisted's own way to its socket: TLS has none."""
        raise NotImplementedError

    def send(self, data: bytes) -> int:
        """The socket's."""
        if not isinstance(self._room, int):
            raise self._room
        if not self._room:
            raise BlockingIOError
        self.written += data[: self._room]
        return min(len(data), self._room)

    def write(self, data: bytes) -> None:
        self.written += data


class ServersProtocol:
    def __init__(self, transport: object) -> None:
        self.transport = transport

    async def send(self, event: object) -> None:
        """uvicorn's own."""


def writer_of(transport):
    """Return the writer for a ``send`` made as uvicorn and as daphne make theirs."""
    protocol = ServersProtocol(transport)
    return writer(protocol.send if isinstance(transport, AsyncioTransport) else partial(print, protocol))


@pytest.mark.parametrize(
    "transport", [AsyncioTransport(), TwistedTransport(), TwistedTransport(0), TwistedTransport(3)]
)
def test_a_frame_goes_out_whole(transport):
    """The transport sends what the socket does not accept at once."""
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
        TwistedTransport(OSError(9, "Bad file descriptor")),
    ],
)
def test_a_frame_overtakes_nothing(transport):
    """If bytes are buffered, or the connection is lost, the server's own ``send`` is used."""
    assert not writer_of(transport)("words")
    assert transport.written == b""


class Around:
    """A transport around another, as Twisted has them: passes on any attribute."""

    def __init__(self, transport: object) -> None:
        self.transport = transport

    def __getattr__(self, name: str) -> object:
        return getattr(self.transport, name)


class GuardAround(Around):
    @property
    def unguarded(self) -> object:
        return self.transport


def test_nothing_is_written_past_a_wrapped_socket():
    """Past TLS it would be sent unencrypted. Our own guard is passed by, but not one that TLS is under."""
    within = TwistedTransport()

    assert writer_of(Around(within)) is None
    assert writer_of(Around(GuardAround(within))) is None

    assert writer_of(GuardAround(within))("words")
    assert within.written == frame("words")


def test_uvicorns_older_protocol_has_no_writer():
    """It answers the handshake after the application has accepted; a frame would be sent before that."""

    class OlderProtocol(ServersProtocol):
        handshake_started_event = object()

    assert writer(OlderProtocol(AsyncioTransport()).send) is None


@pytest.mark.parametrize("send", [print, partial(print), partial(print, ServersProtocol(object())), object()])
def test_an_unknown_server_has_no_writer(send):
    """Its messages are sent the usual way."""
    assert writer(send) is None
