"""The service of one server process: hub, publisher, threads and limits; their start and stop."""

import asyncio
import contextlib
import gc
import logging
import math
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache, partial
from typing import TypeVar
from weakref import WeakKeyDictionary

from channels.layers import InMemoryChannelLayer

from .access import tickets
from .access.budgets import Budgets, Overdrawn
from .access.handshake import PROXY_HINT, Handshake
from .access.limits import Place, Places, TooMuch
from .access.turns import Turns
from .access.visitors import Visitor
from .conf import get_conf
from .delivery.health import Health
from .delivery.held_topics import HeldTopics
from .delivery.hub import Hub
from .delivery.rights import recheck
from .delivery.subscriber import for_each
from .delivery.topic_reads import TopicReads
from .engine.bucket import burst_of
from .engine.codes import Code
from .engine.messages import Error
from .engine.session import Ending
from .operators.reporter import Reporter
from .publishing.layer import channel_layer
from .publishing.publisher import Publisher, publisher_leads
from .runtime.cpu_time import measured_call
from .runtime.garbage import Exclusion
from .runtime.metrics import Figure
from .runtime.refusals import Refused
from .runtime.supervision import supervise
from .runtime.threads import DatabaseThreads, RequestThread, close_all
from .servers import open_files, reactor
from .servers.answers import waiting as waiting_answers
from .servers.private_objects import report
from .servers.request_bodies import RequestBodies
from .servers.stalled_clients import StalledClients

logger = logging.getLogger("realtime.service")

T = TypeVar("T")

LAST_SECONDS = 2.0
"""How long a process that stops waits for clients to read their last messages."""

SWITCH_SECONDS = 0.0005
"""How long a computing thread delays the event loop each time the loop wakes up; Python's default is 5 ms."""
ASSET_THREADS = 4
"""Threads for the requests that must not wait for pages: static files and metrics."""
SECONDS_PER_CONNECTION = 0.01
"""CPU time that an address may use at once, for each connection that it may have: all may reconnect together."""
TICKETS_PER_SECOND, TICKETS_AT_ONCE = 1.0, 50
"""How many tickets a user may request: each one writes a row, and other writers wait for the write."""
BROADCASTS_OF_USER, BROADCASTS_OF_ADDRESS = 3, 10
"""How many times ``BROADCASTS_PER_SECOND`` the connections of a user, and of an address, may send together."""
BROADCAST_BURST_SECONDS = 2
"""The time whose broadcasts may be sent at once, at these rates and at that of a connection."""
MOVES_PER_SECOND = 200
"""How many connections a stopping server moves in a second, at least: as many as other servers accept without delay."""
STEP_SECONDS = 0.05


class Service:
    """Hub, publisher, threads and limits of one process and event loop. Lifespan or the reactor starts it."""

    def __init__(self) -> None:
        conf, layer = get_conf(), channel_layer()
        self.reader_threads = DatabaseThreads("realtime-reader", conf.reader_threads)
        # Apart from the readers: a slow feed must not delay rights, sessions and tickets.
        self.topic_threads = DatabaseThreads("realtime-topic", conf.topic_threads)
        # A slow action likewise must not delay reads.
        self.action_threads = DatabaseThreads("realtime-action", conf.action_threads)
        # Checking a password takes half a second of a core, by design.
        self.password_threads = DatabaseThreads("realtime-password", 1)
        # Each of Django's own requests has a thread, the same for all that it does.
        self.page_threads = [RequestThread(f"realtime-page-{n}") for n in range(conf.page_threads)]
        self.asset_threads = [RequestThread(f"realtime-asset-{n}") for n in range(ASSET_THREADS)]
        self.page_turns, self.asset_turns = Turns(self.page_threads), Turns(self.asset_threads)
        self.unanswered = Unanswered()
        self.places = Places()
        burst = SECONDS_PER_CONNECTION * conf.max_connections_per_address
        self.processing = Budgets(conf.processing_share, burst)
        self.tickets = Budgets(TICKETS_PER_SECOND, TICKETS_AT_ONCE)
        self.broadcasts_of_users = _broadcasts(BROADCASTS_OF_USER)
        self.broadcasts_of_addresses = _broadcasts(BROADCASTS_OF_ADDRESS)
        self.request_bodies = RequestBodies()
        self.stalled_clients = StalledClients()
        is_local = isinstance(layer, InMemoryChannelLayer)
        # If neither the layer nor a publisher of its own reaches this process, the log is the only source of changes.
        follow_seconds = conf.tick_seconds if is_local and not conf.publisher else conf.floor_seconds
        reads = TopicReads(self.topic_threads, conf.topic_threads)
        held_topics = HeldTopics()
        self.hub = Hub(layer, self.reader_threads, reads, follow_seconds, held_topics)
        self.rights = self.hub.rights
        self.health = Health(self.hub)
        standby_seconds = conf.tick_seconds if is_local else conf.floor_seconds
        self.publisher = Publisher(layer, standby_seconds, self.hub.look_soon) if conf.publisher else None
        self.reporter = Reporter(held_topics.process, self.hub, self.places, self.reader_threads)
        self.is_stopping = False
        self.is_closing = False
        """Whether new clients are sent to other servers."""
        self.is_trial = False
        """Whether ``manage.py doctor`` only tries the application, so that the engine must not start."""
        self._started: asyncio.Task[None] | None = None
        self._supervised: list[asyncio.Task[None]] = []
        self._exclusion = Exclusion()

    async def ensure_started(self) -> None:
        """Return when the service has started; the first call starts it."""
        if self._started is None:
            self._started = asyncio.create_task(self._start(), name="realtime-start")
        await asyncio.shield(self._started)

    @property
    def has_started(self) -> bool:
        """Whether the application has started the engine."""
        return self._started is not None

    async def _start(self) -> None:
        """Start hub and publisher, then the tasks that watch connections; the service then stops with the server."""
        if self.is_trial:
            return
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        _freeze_permanent_objects()
        gc.callbacks.append(self._exclusion)
        open_files.raise_limit()
        await self.hub.start()
        if self.publisher is not None:
            self.publisher.start()
        self._supervise("rights", lambda: recheck(self.hub, self.reader_threads))
        self._supervise("stalls", self.stalled_clients.check)
        self._supervise("reporter", self.reporter.look)
        reactor.stop_with_reactor(self.stop)
        report("daphne" if reactor.is_running() else "uvicorn")
        logger.info("started%s", "" if self.publisher else "; publishing is left to manage.py publish")

    def _supervise(self, name: str, one_round: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(supervise(name, one_round, logger), name=f"realtime-{name}")
        self._supervised.append(task)

    async def stop(self) -> None:
        """Stop in the reverse order: dismiss the connections, then end the tasks and threads. Safe to call twice."""
        if self.is_stopping or self._started is None:
            return
        self.is_stopping = True
        self.dismiss()
        await asyncio.gather(self._farewells_sent(), self._pages_answered(), self.reporter.stop())
        self.unanswered.end(0)
        for task in self._supervised:
            task.cancel()
        # At the same time: each is bounded, and a process manager kills a server that takes long to stop.
        pools = self.reader_threads, self.topic_threads, self.action_threads, self.password_threads
        requests = [thread.threads for thread in [*self.page_threads, *self.asset_threads]]
        ending = [self.hub.stop(), close_all(*pools, *requests, self.health.threads)]
        if self.publisher is not None:
            ending.append(self.publisher.stop())
        await asyncio.gather(*ending)
        with contextlib.suppress(ValueError):  # an attempt to start that failed early
            gc.callbacks.remove(self._exclusion)
        logger.info("stopped")

    async def drain(self, stop_listening: Callable[[], None]) -> None:
        """Move the connections to other servers, one after the other.

        First ``/realtime/ready/`` answers 503 for ``UNREADY_SECONDS``, so that a balancer sends new clients elsewhere.
        Then ``stop_listening`` closes the port: a connection that is moved does not return to this process. Moving
        takes longer the more connections there are, up to ``DRAIN_SECONDS``. A page is live until its connection is
        moved.
        """
        conf = get_conf()
        self.health.is_draining = True
        await asyncio.sleep(conf.unready_seconds)
        self.is_closing = True
        stop_listening()
        waiting_answers.hasten(LAST_SECONDS)
        moving = self.hub.connections
        random.shuffle(moving)
        logger.info("moving %d connections to other servers", len(moving))
        steps = max(1, math.ceil(min(conf.drain_seconds, len(moving) / MOVES_PER_SECOND) / STEP_SECONDS))
        for step in range(steps):
            for_each(moving[step::steps], lambda connection: connection.end(moved()))
            await asyncio.sleep(STEP_SECONDS)
        self.unanswered.end(LAST_SECONDS)

    def dismiss(self) -> None:
        """Tell all remaining connections to reconnect to other servers, each after a random delay."""
        self.health.is_draining = self.is_closing = True
        waiting_answers.hasten(LAST_SECONDS)
        for_each(self.hub.connections, lambda connection: connection.end(draining()))

    async def _farewells_sent(self) -> None:
        """Wait until slow connections have been sent their farewell, for ``LAST_SECONDS`` at most."""
        writers = [connection.writer for connection in self.hub.connections if connection.writer is not None]
        if writers:
            _, pending = await asyncio.wait(writers, timeout=LAST_SECONDS)
            logger.info("%d connections asked to reconnect, %d did not read it", len(writers), len(pending))

    async def _pages_answered(self) -> None:
        """Wait until Django's requests under way are answered, for ``LAST_SECONDS`` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                await self.page_turns.all_left()
                await self.asset_turns.all_left()

    async def admit(self, handshake: Handshake) -> tuple[Visitor, Place]:
        """Return the visitor that a ticket or the cookies identify, and its place.

        Raises: TooMuch and Overdrawn before anything is read, BadTicket, and what reading a ticket raises.
        """
        visitor = handshake.visitor
        try:
            place = self.places.enter(handshake.address, visitor)
        except TooMuch as error:
            if handshake.may_be_of_own_proxy:
                logger.warning("%s; %s", error, PROXY_HINT)
            raise
        ticket = handshake.ticket
        if ticket:
            try:
                if (seconds := self.processing.seconds_until(handshake.address, 0)) > 0:
                    raise Overdrawn(seconds)
                visitor = await self.run_for(handshake.address, self.reader_threads, tickets.redeem, ticket)
                place.count_for("session", visitor.session)
            except BaseException:
                place.leave()
                raise
        return visitor, place

    async def run_for(
        self, address: str | None, threads: DatabaseThreads, function: Callable[..., T], *args: object
    ) -> T:
        """Run a function in one of the threads and return its result; its CPU time counts for an address."""
        return await threads.run(measured_call, partial(self.processing.spend, address), function, *args)

    def figures(self) -> list[Figure]:
        """Return figures of the connections and requests that this process serves now."""
        return [
            Figure("connections", "Open connections of this process.", self.hub.size),
            Figure("topics", "Topics that this process holds.", self.hub.topics),
            Figure("subscriptions", "Topics followed by its connections.", self.hub.subscriptions),
            Figure(
                "behind_seconds",
                "How old the oldest change may be that is not received.",
                self.hub.behind_seconds,
            ),
            Figure(
                "slow_feeds", "Feeds whose last read of a topic took over a second.", len(self.hub.slow_feeds)
            ),
            Figure("unreadable_topics", "Topics that cannot be read at present.", self.hub.unreadable_topics),
            Figure("pages", "Requests of Django that have a thread.", self.page_turns.running),
            Figure("pages_waiting", "Requests of Django that wait for a thread.", self.page_turns.waiting),
            publisher_leads(self.publisher is not None and self.publisher.leads),
        ]


class Unanswered:
    """The requests whose answers have not begun: a stopping process ends them before its server would.

    uvicorn cancels them in the end, and logs a traceback for each.
    """

    def __init__(self) -> None:
        self._limits: set[asyncio.Timeout] = set()
        self._seconds: float | None = None

    def __len__(self) -> int:
        return len(self._limits)

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[asyncio.Timeout]:
        """Run a block that answers a request; call ``discard`` with the limit when the answer begins.

        Raises: Refused, if the process stops.
        """
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                self._limits.add(limit)
                yield limit
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Refused([Error(Code.DRAINING, _STOPS)]) from error
        finally:
            self._limits.discard(limit)

    def discard(self, limit: asyncio.Timeout) -> None:
        if limit in self._limits:
            self._limits.discard(limit)
            limit.reschedule(None)

    def end(self, seconds: float) -> None:
        """End these requests after some seconds, and requests that begin later after as many."""
        self._seconds = seconds
        for limit in self._limits:
            limit.reschedule(asyncio.get_running_loop().time() + seconds)


def _broadcasts(connections: int) -> Budgets:
    """Return budgets for owners that may send as many broadcasts as a number of connections."""
    rate = connections * get_conf().broadcasts_per_second
    return Budgets(rate, burst_of(rate, BROADCAST_BURST_SECONDS))


def moved() -> Ending:
    """Return the ending for a connection that is moved now: its client reconnects at once."""
    return Ending(Code.DRAINING, _STOPS, 0.0)


def refused() -> Ending:
    """Return the ending for a client that connects to a stopping server: its next attempt reaches another server."""
    return Ending(Code.DRAINING, _STOPS, round(random.uniform(0, 0.5), 2))


def draining() -> Ending:
    """Return the ending for a connection that ends together with all others; each has a random delay."""
    delay = round(random.uniform(0, get_conf().drain_seconds), 1)
    return Ending(Code.DRAINING, _STOPS, delay)


_STOPS = "this server is stopping; reconnect to another one"


@cache
def _freeze_permanent_objects() -> None:
    """Exclude code and settings from garbage collection, once: each collection would stop the loop for 50 ms.

    Without garbage among them: they are examined again only when the process has grown several times.
    """
    gc.collect()
    gc.freeze()


_services: WeakKeyDictionary[asyncio.AbstractEventLoop, Service] = WeakKeyDictionary()


def get_service() -> Service:
    """Return the service of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _services:
        _services[loop] = Service()
    return _services[loop]


def running_service() -> Service | None:
    """Return the service of the running event loop, if it has one."""
    return _services.get(asyncio.get_running_loop())


def running_hub() -> Hub | None:
    """Return the hub of this process, if it has one that runs; callable from any thread."""
    services = list(_services.values())
    return next((each.hub for each in services if each.has_started and not each.is_stopping), None)


def connections_open() -> int:
    """Return how many connections this process has open; callable from any thread."""
    return sum(service.hub.size for service in list(_services.values()))
