"""Catching up: topics that lack changes are brought to the log's end, a few of each feed at a time.

The topics with the most subscribers are first. A reset of thousands of topics therefore delays neither the reading of
the log's tail nor other feeds, and a topic that changes again while it waits is read once.
"""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from heapq import heappop, heappush
from typing import Any

from .shared_topic import SharedTopic

logger = logging.getLogger("realtime.hub")

AT_ONCE = 20
"""How many topics of a feed catch up at once; one query of the log answers them together."""


class CatchUp:
    """The topics of one process that wait to catch up, or are catching up."""

    def __init__(self, begin: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """``begin`` runs a coroutine as a task that ends with the hub."""
        self._begin = begin
        self._epoch = ""
        self._waiting: dict[str, list[tuple[int, int, SharedTopic]]] = {}  # a heap for each feed
        self._numbers = itertools.count()
        self._under_way = Counter[str]()

    def add(self, stale: Iterable[SharedTopic], epoch: str) -> None:
        """Bring topics to the end of the log, which has this epoch now."""
        self._epoch = epoch
        feeds = set()
        for shared in stale:
            shared.is_refreshing = True
            turn = -len(shared.subscribers), next(self._numbers), shared
            heappush(self._waiting.setdefault(shared.feed, []), turn)
            feeds.add(shared.feed)
        for feed in feeds:
            self._fill(feed)

    def _fill(self, feed: str) -> None:
        """Begin with further topics of a feed; with several at once, so that one query of the log answers them."""
        waiting = self._waiting[feed]
        if self._under_way[feed] > AT_ONCE // 2:
            return
        while waiting and self._under_way[feed] < AT_ONCE:
            self._under_way[feed] += 1
            _, _, shared = heappop(waiting)
            self._begin(self._bring_up(shared))

    async def _bring_up(self, shared: SharedTopic) -> None:
        try:
            rest = await shared.refresh(self._epoch)
        except Exception:
            logger.exception("topic %s cannot be brought up to date", shared.name)
            rest = 0.0
        self._under_way[shared.feed] -= 1
        self._fill(shared.feed)
        if rest:
            await asyncio.sleep(rest)
            if shared.is_due:
                self.add([shared], self._epoch)
