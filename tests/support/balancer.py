"""A balancer in front of several servers: a connection goes to the one with the fewest, as with nginx's least_conn."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator


class Balancer:
    """Forwards TCP connections; a server that refuses one is passed over, and asked again for the next."""

    def __init__(self, *ports: int) -> None:
        self.ports = list(ports)
        self.open: Counter[int] = Counter()
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Balancer"]:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        random.shuffle(self.ports)
        for port in sorted(self.ports, key=self.open.__getitem__):
            self.open[port] += 1
            try:
                with contextlib.suppress(OSError):
                    up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
                    async with asyncio.TaskGroup() as pipes:
                        pipes.create_task(_pipe(reader, up_writer))
                        pipes.create_task(_pipe(up_reader, writer))
                    return
            finally:
                self.open[port] -= 1
        writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward bytes until one side ends, and end the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
