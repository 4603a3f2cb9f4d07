"""``manage.py realtime_bench URL``: the latency and the CPU time of a server's messages to many clients."""

import asyncio
import contextlib
import ipaddress
import math
import re
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import CommandError, CommandParser
from django.db import connections

from realtime.client.addresses import origin_of, socket_address
from realtime.conf import get_conf
from realtime.engine import messages
from realtime.engine.messages import Ping, Subscribe
from realtime.management.terminal import TerminalCommand
from realtime.runtime.threads import DatabaseThreads
from realtime.servers.open_files import raise_limit

MAX_FOLLOWERS, MAX_RATE, MAX_SECONDS = 5000, 200.0, 300.0
PER_SOURCE_ADDRESS = 150
"""How many connections come from one address of loopback: servers limit those of one address."""
CONNECTING_AT_ONCE = 50
OPEN_SECONDS = 30.0
WAIT_SECONDS = 10.0
"""How long the program waits for messages after it has caused the last one."""
PROGRESS_SECONDS = 2.0
BUSY = 0.8
"""If this program uses a larger share of a core, it may itself determine the figures."""
WITHOUT_CLIENT = 'realtime_bench needs the package websockets: pip install "django-tidemark[client]"'
MARK = re.compile(r"bench-\d+-")


@dataclass
class _Run:
    """The measurements of one run."""

    sent_at: dict[str, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    expected: int = 0
    """How many messages were caused."""
    connected: int = 0
    lost: int = 0
    """Connections that ended."""


class Command(TerminalCommand):
    help = (
        "Connect many clients to a server and print how long messages take, in milliseconds, and what CPU they cost. "
        "Without --write each client asks for heartbeats, which changes nothing. With --write, a statement of SQL is "
        "run in this project's database at the given rate, and the time is taken until each client has the change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", help="the server, such as http://127.0.0.1:8000/")
        parser.add_argument("--topic", help="the topic that the clients follow; needed for --write")
        parser.add_argument(
            "--followers", type=int, default=100, help=f"default: 100, at most {MAX_FOLLOWERS}"
        )
        parser.add_argument(
            "--rate",
            type=float,
            default=5.0,
            help=f"messages a second for each; default: 5, at most {MAX_RATE:g}",
        )
        parser.add_argument(
            "--seconds", type=float, default=10.0, help=f"how long; default: 10, at most {MAX_SECONDS:g}"
        )
        parser.add_argument(
            "--write",
            metavar="SQL",
            help="an UPDATE of a live row with one %%s, which is replaced by a new text each time. The last text "
            "stays in the row: choose a row that exists for this purpose.",
        )
        parser.add_argument("--origin", help="the Origin to send; by default the address itself")

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        raise_limit()
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files < options["followers"] + 50:
            raise CommandError(
                f"{options['followers']} connections need as many open files, and this process may have {files}: "
                "raise `ulimit -n`, or use fewer --followers"
            )
        asyncio.run(self._measure(options))

    async def _measure(self, options: dict[str, Any]) -> None:
        run, followers = _Run(), options["followers"]
        server = _server_process(options["url"])
        progress = asyncio.create_task(self._report(run, followers))
        clients = _Clients(run, options)
        try:
            await clients.connect()
            if not run.connected:
                raise CommandError(f"no connection to {options['url']}: {clients.trouble}")
            before = time.process_time(), _cpu(server)
            began = time.monotonic()
            await clients.work()
            took = time.monotonic() - began
            own, servers = time.process_time() - before[0], _cpu(server) - before[1]
        finally:
            progress.cancel()
            await clients.close()
        for line in _lines(run, options, took, own, None if server is None else servers):
            self.say(line)

    async def _report(self, run: _Run, followers: int) -> None:
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            self.stderr.write(f"{run.connected} of {followers} connected, {len(run.latencies)} messages")
            self.stderr.flush()


class _Clients:
    """The connections of one run."""

    def __init__(self, run: _Run, options: dict[str, Any]) -> None:
        self._run, self._options = run, options
        self._url = socket_address(options["url"])
        self._origin = options["origin"] or origin_of(options["url"])
        self._sockets: list[Any] = []
        self._readers: list[asyncio.Task[None]] = []
        self._threads = DatabaseThreads("realtime-bench", 1)
        self.trouble = ""

    async def connect(self) -> None:
        turns = asyncio.Semaphore(CONNECTING_AT_ONCE)

        async def one(number: int) -> None:
            async with turns:
                try:
                    await self._connect(number)
                except Exception as error:
                    self.trouble = str(error) or type(error).__name__

        await asyncio.gather(*(one(number) for number in range(self._options["followers"])))

    async def _connect(self, number: int) -> None:
        try:
            from websockets.asyncio.client import connect
            from websockets.typing import Origin, Subprotocol
        except ImportError as error:
            raise CommandError(WITHOUT_CLIENT) from error
        here = _source_address(self._url, number)
        options: dict[str, Any] = {"local_addr": (here, 0)} if here else {}
        socket = await connect(
            self._url,
            origin=Origin(self._origin),
            subprotocols=[Subprotocol("realtime.v1.json")],
            compression=None,
            max_size=None,
            open_timeout=OPEN_SECONDS,
            **options,
        )
        self._sockets.append(socket)
        if self._options["topic"]:
            await socket.send(messages.encode(Subscribe(self._options["topic"])))
        received, text = 0, ""
        async with asyncio.timeout(OPEN_SECONDS):
            while received == 0 or (self._options["topic"] and '"more":false' not in text):
                text = str(await socket.recv())
                received += 1
                if '"type":"error"' in text or '"type":"bye"' in text:
                    self.trouble = str(messages.decode_server(text))
                    return
        self._run.connected += 1
        self._readers.append(asyncio.create_task(self._read(socket, f"ping {number}", received)))

    async def _read(self, socket: Any, name: str, received: int) -> None:
        """Note when messages arrive: heartbeats that were asked for, or changes with the text that was written."""
        import websockets

        run, is_writing = self._run, bool(self._options["write"])
        seen: set[str] = set()
        try:
            async for message in socket:
                now, text = time.perf_counter(), str(message)
                received += 1
                if '"type":"heartbeat"' in text:
                    await socket.send(messages.encode(messages.Ack(received)))
                    if not is_writing and (asked := run.sent_at.pop(name, None)) is not None:
                        run.latencies.append(now - asked)
                elif is_writing and '"type":"changes"' in text:
                    for mark in set(MARK.findall(text)) & run.sent_at.keys() - seen:
                        seen.add(mark)
                        run.latencies.append(now - run.sent_at[mark])
        except websockets.ConnectionClosed:
            pass
        run.lost += 1

    async def work(self) -> None:
        """Cause messages at the rate for the time, and wait for the last ones."""
        run, rate = self._run, self._options["rate"]
        begins = time.monotonic()
        for number in range(max(1, round(rate * self._options["seconds"]))):
            await asyncio.sleep(max(0.0, begins + number / rate - time.monotonic()))
            if self._options["write"]:
                await self._threads.run(self._write, f"bench-{time.time_ns()}-")
                run.expected += run.connected - run.lost
            else:
                await self._ping()
        ends = time.monotonic() + WAIT_SECONDS
        while len(run.latencies) < run.expected and time.monotonic() < ends:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _ping(self) -> None:
        """Ask for a heartbeat on each connection that has answered the last time."""
        for number, socket in enumerate(self._sockets):
            name = f"ping {number}"
            if name not in self._run.sent_at:
                self._run.sent_at[name] = time.perf_counter()
                self._run.expected += 1
                with contextlib.suppress(Exception):  # the connection has ended, which its reader counts
                    await socket.send(messages.encode(Ping()))

    def _write(self, mark: str) -> None:
        self._run.sent_at[mark] = time.perf_counter()
        with connections[get_conf().database].cursor() as cursor:
            cursor.execute(self._options["write"], [mark])
            if not cursor.rowcount:
                raise CommandError("--write has changed no row: name one that exists")

    async def close(self) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*(socket.close() for socket in self._sockets), return_exceptions=True)
        await asyncio.to_thread(self._threads.close)


def _check(options: dict[str, Any]) -> None:
    """Raises: CommandError, for options that contradict each other or exceed the bounds."""
    for name, most in (("followers", MAX_FOLLOWERS), ("rate", MAX_RATE), ("seconds", MAX_SECONDS)):
        if not 0 < options[name] <= most:
            raise CommandError(f"--{name} is {options[name]:g}; it must be above 0, and {most:g} at most")
    try:
        socket_address(options["url"])
    except ValueError as error:
        raise CommandError(str(error)) from error
    if options["write"] and not options["topic"]:
        raise CommandError("--write needs --topic: the topic of the row that it changes")
    if options["write"] and options["write"].count("%s") != 1:
        raise CommandError("--write needs one %s, for the text that is written")


def _source_address(url: str, number: int) -> str | None:
    """Return the loopback address to connect from: each has a limited number of ports; None for a remote server."""
    host = urlsplit(url).hostname or ""
    try:
        is_loopback = host == "localhost" or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return None
    return f"127.0.0.{1 + number // PER_SOURCE_ADDRESS}" if is_loopback and sys.platform == "linux" else None


def _server_process(url: str) -> Any:
    """Return the process that listens at the address; None if it is another machine's, or psutil is not installed."""
    if _source_address(url if "://" in url else f"http://{url}", 0) is None:
        return None
    try:
        import psutil
    except ImportError:
        return None
    port = urlsplit(socket_address(url)).port
    with contextlib.suppress(psutil.Error):
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port and found.pid:
                return psutil.Process(found.pid)
    return None


def _cpu(process: Any) -> float:
    """Return the CPU seconds that a process has used; 0 without one."""
    if process is None:
        return 0.0
    times = process.cpu_times()
    return float(times.user + times.system)


def _lines(run: _Run, options: dict[str, Any], took: float, own: float, server: float | None) -> list[str]:
    """Return the report."""
    kind = "changes" if options["write"] else "heartbeats asked for"
    number = len(run.latencies)
    lines = [
        f"{run.connected} clients, {run.lost} lost, {number} of {run.expected} {kind} received in {took:.1f} s"
    ]
    if number:
        in_order = sorted(run.latencies)
        shown = ", ".join(f"p{part} {1000 * _percentile(in_order, part):.1f}" for part in (50, 90, 99))
        lines.append(f"latency in ms: {shown}, max {1000 * in_order[-1]:.1f}")
    if server is not None:
        each = f", {1e6 * server / number:.0f} µs a message" if number else ""
        lines.append(f"CPU of the server: {100 * server / took:.0f} % of a core{each}")
    lines.append(f"CPU of this program: {100 * own / took:.0f} % of a core")
    if own / took > BUSY:
        lines.append(
            "this program was busy: the latencies are partly its own; use fewer --followers or a lower --rate"
        )
    return lines


def _percentile(in_order: Sequence[float], part: int) -> float:
    return in_order[min(len(in_order) - 1, math.ceil(len(in_order) * part / 100) - 1)]
