"""The bystander: an ordinary writer and an ordinary client, which an attack must not affect."""

import asyncio
import contextlib
import itertools
import threading
import time

from tests.support.attackers import PATIENCE_SECONDS
from tests.support.client import Client
from tests.support.servers import Server


class Bystander(threading.Thread):
    """Repeatedly changes a row and waits until its own client has received the change.

    ``received`` counts the changes, ``connections`` the connections that the client needed for them; ``seconds`` are
    the times from the write of a change until it was received.
    """

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.received = self.connections = 0
        self.seconds: list[float] = []
        self.error: BaseException | None = None
        self._is_stopping = False
        self._server = server

    def run(self) -> None:
        try:
            asyncio.run(self._change_and_receive())
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        self._is_stopping = True
        self.join()

    def wait_for_changes(self, count: int) -> None:
        """Wait until this many more changes have been received."""
        wanted, deadline = self.received + count, time.monotonic() + 2 * PATIENCE_SECONDS
        while self.received < wanted:
            assert self.error is None, self.error
            assert time.monotonic() < deadline, "the bystander no longer receives changes"
            time.sleep(0.01)

    def latencies(self) -> str:
        """Return the median and the 99th percentile of ``seconds``, for a report."""
        seconds = sorted(self.seconds)
        return f"{seconds[len(seconds) // 2] * 1000:.0f} ms (p99 {seconds[len(seconds) * 99 // 100] * 1000:.0f} ms)"

    async def _change_and_receive(self) -> None:
        with contextlib.closing(self._server.project.connect()) as database:
            async with Client(self._server.socket_url, "entries.1") as client:
                await client.until_snapshot()
                for number in itertools.count():
                    if self._is_stopping:
                        return
                    value = f"change {number}"
                    sql = "UPDATE boards_entry SET value = ? WHERE id = 1"
                    await asyncio.to_thread(database.execute, sql, [value])
                    written = time.monotonic()
                    await client.until_row("1", value)
                    self.seconds.append(time.monotonic() - written)
                    self.received, self.connections = self.received + 1, client.connections
                    await asyncio.sleep(0.005)
