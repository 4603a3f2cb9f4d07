"""Outbound: sends a session's messages to one client, in order, and closes the connection after the last."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from ..engine.messages import Encoded
from ..engine.session import Ending, Session
from ..runtime import eager
from ..runtime.asgi_types import Event, Send
from ..runtime.client_log import ClientLog
from ..servers.frames import Writer

DOUBT_SECONDS = 1.0
"""How long after a heartbeat that topics are not current, or are again, there is no other one for that reason."""


class Outbound:
    """Sends to one client, and nothing before ``open``."""

    __slots__ = (
        "_close", "_doubts", "_frame", "_is_over", "_is_writing", "_log", "_member", "_send", "_session", "_write",
        "writer",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        log: ClientLog,
        send: Send,
        frame: Callable[[Session, Encoded], Event],
        close: Callable[[Ending], Awaitable[None]],
        write: Writer | None = None,
        member: Hashable | None = None,
    ) -> None:
        """``send`` is the server's, ``frame`` returns the event with a message for it, and ``close`` closes the
        connection with an ending. ``write``, which some servers have, writes a message at once or returns False; then
        the message is sent by ``send``. ``member`` represents the session in cohorts.
        """
        self.writer: asyncio.Task[None] | None = None
        """The task that sends, while ``send`` waits."""
        self._session, self._log = session, log
        self._send, self._frame, self._close, self._write = send, frame, close, write
        self._member = member
        self._is_writing = True  # until ``open``
        self._is_over = False
        self._doubts: asyncio.TimerHandle | None = None  # until it is due, the session holds its doubts

    def open(self) -> None:
        """Send the messages of the session from now on."""
        self._is_writing = False
        self.push()

    def push(self) -> None:
        """Send the waiting messages: ready frames at once, as long as the socket accepts them; a task sends the rest.

        The task also sends the parts of a long snapshot, each of which takes time to encode.
        """
        if self._is_writing or self._is_over:
            return
        session, write = self._session, self._write
        message = self._next()
        while message is not None and write is not None and session.is_whole and self._is_written(message):
            message = self._next() if session.is_waiting else None
        if message is None and session.ending is None:
            if write is not None and self._member is not None:
                session.join(self._member, write)
            return
        self.writer = eager.start(self._flush(message), f"realtime-writer-{self._log.connection}")

    def _next(self) -> Encoded | None:
        message = self._session.next()
        if self._session.is_doubting:
            self._session.holds_doubts = True
            if self._doubts is not None:  # this heartbeat was due for another reason as well
                self._doubts.cancel()
            self._doubts = asyncio.get_running_loop().call_later(DOUBT_SECONDS, self._release_doubts)
        return message

    def _release_doubts(self) -> None:
        self._doubts, self._session.holds_doubts = None, False
        if self._session.is_waiting:
            self.push()

    def _is_written(self, message: Encoded) -> bool:
        """Write a message at once; return False if it must be sent by ``send``, whose failure ends the connection."""
        try:
            return self._write is not None and self._write(message)
        except Exception as error:
            self._log.failure("a write", error)
            return False

    async def finish(self, ending: Ending | None) -> None:
        """Stop sending; with an ending, send that first if the client can still receive it."""
        self._session.leave()
        if self.writer is not None:
            self.writer.cancel()
        if self._doubts is not None:
            self._doubts.cancel()
        if ending is not None and not self._is_over:
            self._session.end(ending)
            await self._flush(self._session.next())
        self._is_over, self._member = True, None  # which may refer to this object

    async def _flush(self, message: Encoded | None) -> None:
        """Send a message and the session's further ones; close the connection after an ending."""
        self._is_writing = True
        try:
            while message is not None:
                await self._send(self._frame(self._session, message))
                if not self._session.is_whole:
                    # A server may accept all parts of a snapshot without a turn of the loop for others.
                    await asyncio.sleep(0)
                message = self._next()
            if self._session.ending is not None:
                self._is_over = True
                await self._close(self._session.ending)
        except Exception as error:  # each server has an exception of its own for a client that has left
            self._is_over = True
            self._log.debug("not sent: %s: %s", type(error).__name__, error)
        finally:
            self._is_writing = False
            self.writer = None
