"""Fan-out: notifies the subscribers of one topic of its news, in rounds of short steps on the event loop."""

import asyncio
import math
from collections.abc import Iterator
from itertools import islice

from ..engine.topic import Topic
from ..feeds import registry
from ..runtime import metrics
from .subscriber import Subscriber, for_each

FAN_OUT_AT_ONCE = 50
"""How many connections are notified before the event loop may do other work (2 ms at 45 µs each on daphne)."""
IN_STEP_AT_ONCE = 200
"""To how many members of a cohort a message is written before that (2 ms at 10 µs each)."""


class FanOut:
    """Notifies the subscribers of one topic in rounds, at most one per ``min_interval`` of its feed."""

    def __init__(self, topic: Topic, subscribers: set[Subscriber]) -> None:
        """``subscribers`` is read at each round: the caller adds and removes."""
        self._topic, self._subscribers = topic, subscribers
        self._feed = topic.name.partition(".")[0]
        self._round: Iterator[None] | None = None  # the one in progress
        self._next_round: asyncio.TimerHandle | None = None
        self._must_notify_again = False
        self._notified_at = -math.inf
        # When the oldest change was written that no round has included, and that this round includes; 0 if not known.
        self._written_at = self._round_written_at = 0.0

    @property
    def is_at_rest(self) -> bool:
        """Whether all subscribers have been notified of all news."""
        return self._round is None and self._next_round is None

    @property
    def is_in_round(self) -> bool:
        """Whether a round has begun and not ended."""
        return self._round is not None

    def notify(self, written_at: float = 0.0) -> None:
        """Notify the subscribers of news soon. ``written_at``: when its change was written, 0 if that is not known.

        A later notification covers more: a subscriber's cursor shows what it has not seen.
        """
        self._written_at = min(filter(None, (self._written_at, written_at)), default=0.0)
        if self._round is not None:
            self._must_notify_again = True
            return
        if self._next_round is not None:
            return
        # Not at once: entries that are applied in the same turn of the loop are one notification.
        loop = asyncio.get_running_loop()
        wait = self._notified_at + self._min_interval - loop.time()
        self._next_round = loop.call_later(max(0.0, wait), self._begin_round)

    def _begin_round(self) -> None:
        self._next_round = None
        self._notified_at = asyncio.get_running_loop().time()
        self._round_written_at, self._written_at = self._written_at, 0.0
        self._round = self._steps()
        self._take_step()

    def _take_step(self) -> None:
        assert self._round is not None
        for _ in self._round:
            asyncio.get_running_loop().call_soon(self._take_step)
            return
        self._round = None
        metrics.observe_since(metrics.delivered, self._round_written_at)
        if self._must_notify_again:
            self._must_notify_again = False
            self.notify()

    def _steps(self) -> Iterator[None]:
        """Send the news to all subscribers: first to those in step, then to the others. Each step is short."""
        yield from self._topic.deliver(IN_STEP_AT_ONCE)
        others = iter(self._subscribers.difference(self._topic.members))
        while some := list(islice(others, FAN_OUT_AT_ONCE)):
            for_each(some, lambda subscriber: subscriber.notify(self._topic.name))
            yield

    @property
    def _min_interval(self) -> float:
        return registry[self._feed].min_interval if self._feed in registry else 0.0
