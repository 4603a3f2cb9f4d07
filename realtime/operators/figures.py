"""Figures: the report of a process to operators, made from objects that it has anyway."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping
from itertools import islice

from .. import __version__
from ..access.limits import Places
from ..access.visitors import Visitor, load_users
from ..delivery.hub import Hub
from ..delivery.subscriber import ConnectionState, Subscriber
from ..runtime import metrics
from ..servers import reactor
from .reports import Reader, Report, Sample

MOST = 20
"""How many topics, addresses, users and connections a report lists."""
STATES_AT_ONCE = 500
"""How many connections are looked at before the event loop may do other work (1 ms)."""
SAMPLE_SECONDS = 5.0
"""Minimum time between two samples."""
SAMPLES = 60
"""How many samples are kept: those of five minutes."""


class Samples:
    """The latest measurements of a process, and its counts since the oldest of them."""

    def __init__(self) -> None:
        self._kept: deque[Sample] = deque(maxlen=SAMPLES)
        self._counts: deque[tuple[Mapping[str, int], Mapping[str, int]]] = deque(maxlen=SAMPLES)
        self._delivered = metrics.totals(metrics.delivered)
        self._due_at = 0.0

    def take(self, behind_seconds: float) -> None:
        """Take a sample, if it is time for one. Costs a few hundred microseconds, and no query."""
        now = time.monotonic()
        if now < self._due_at:
            return
        self._due_at = now + SAMPLE_SECONDS
        before, self._delivered = self._delivered, metrics.totals(metrics.delivered)
        number, seconds = (new - old for new, old in zip(self._delivered, before, strict=True))
        self._kept.append(Sample(round(behind_seconds, 3), round(seconds / number, 4) if number else None))
        self._counts.append((metrics.by_label(metrics.refusals), metrics.by_label(metrics.closes)))

    @property
    def kept(self) -> list[Sample]:
        return list(self._kept)

    @property
    def refusals(self) -> dict[str, int]:
        """The refusals since the oldest sample, by code."""
        return _since(self._counts[0][0] if self._counts else {}, metrics.by_label(metrics.refusals))

    @property
    def closes(self) -> dict[str, int]:
        """The connections that have ended since the oldest sample, by code."""
        return _since(self._counts[0][1] if self._counts else {}, metrics.by_label(metrics.closes))


async def states_of(connections: Collection[Subscriber]) -> list[tuple[Subscriber, ConnectionState]]:
    """Return the state of each connection, with turns for the event loop in between."""
    states: list[tuple[Subscriber, ConnectionState]] = []
    waiting = iter(connections)
    while some := list(islice(waiting, STATES_AT_ONCE)):
        states += [(each, each.state) for each in some]
        await asyncio.sleep(0)
    return states


def slowest(
    states: Collection[tuple[Subscriber, ConnectionState]],
) -> list[tuple[Subscriber, ConnectionState]]:
    """Return the named connections with the most unread bytes; the newest first among equals."""
    named = [each for each in states if each[1].name]
    return sorted(named, key=lambda each: (-each[1].unread_bytes, each[1].open_seconds))[:MOST]


def readers_of(slowest: Collection[tuple[Subscriber, ConnectionState]]) -> list[Reader]:
    """Return these connections as operators see them. In a database thread: users are looked up."""
    users = users_of({subscriber.visitor for subscriber, _ in slowest})
    return [
        Reader(
            name=state.name,
            transport=state.transport,
            open_seconds=round(state.open_seconds),
            unread_bytes=state.unread_bytes,
            topics=len(subscriber.topics),
            address=subscriber.address,
            user=users[subscriber.visitor],
        )
        for subscriber, state in slowest
    ]


def users_of(visitors: Collection[Visitor]) -> dict[Visitor, str | None]:
    """Return the primary key of each visitor's user; None for anonymous ones. In a database thread."""
    found = load_users(visitors)
    return {visitor: None if user.pk is None else str(user.pk) for visitor, user in found.items()}


def report_of(
    hub: Hub,
    places: Places,
    samples: Samples,
    transports: Mapping[str, int],
    readers: list[Reader],
    uptime_seconds: float,
) -> Report:
    """Return the report of a process."""
    return Report(
        version=__version__,
        server="daphne" if reactor.is_running() else "uvicorn",
        uptime_seconds=round(uptime_seconds, 1),
        connections=hub.size,
        topics=hub.topics,
        subscriptions=hub.subscriptions,
        transports=transports,
        followers=_most(hub.followers),
        addresses=_most(places.in_use_by("address")),
        users=_most(places.in_use_by("user")),
        readers=readers,
        refusals=samples.refusals,
        closes=samples.closes,
        samples=samples.kept,
    )


def _most(numbers: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter({name: number for name, number in numbers.items() if number}).most_common(MOST))


def _since(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    more = {code: number - before.get(code, 0) for code, number in now.items()}
    return {code: number for code, number in more.items() if number > 0}
