"""Freshness: whether the rows of one topic are known to be current. Heartbeats name only topics that are."""

import asyncio
from collections.abc import Callable

from ..engine.topic import Topic

DOUBT_SECONDS = 1.0
"""After this time a topic that is known to lack something is not vouched for, although it can be read."""


class Freshness:
    """Since when a topic has lacked known changes, and since when changes of its tables may not be captured."""

    def __init__(self, topic: Topic, notify: Callable[[], None]) -> None:
        """``notify`` notifies subscribers that the topic is vouched for again, or no longer."""
        self._topic, self._notify = topic, notify
        self._behind_since: float | None = None  # by the loop's clock, as the next one
        self._uncaptured_since: float | None = None
        self._doubt: asyncio.TimerHandle | None = None
        self._is_late = False

    @property
    def behind_seconds(self) -> float:
        """How old the oldest change may be that the topic lacks; 0 if nothing is known to be missing."""
        since = min(filter(None, (self._behind_since, self._uncaptured_since)), default=None)
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    def fall_behind(self) -> None:
        """Note that the log has more than the topic; it is vouched for ``DOUBT_SECONDS`` longer."""
        if self._behind_since is None:
            loop = asyncio.get_running_loop()
            self._behind_since = loop.time()
            self._doubt = loop.call_later(DOUBT_SECONDS, self._become_late)

    def become_current(self) -> None:
        """Note that the topic has all that was known to be missing."""
        if self._doubt is not None:
            self._doubt.cancel()
        self._behind_since = self._doubt = None
        self._is_late = False
        self._judge()

    def set_captured(self, is_captured: bool) -> None:
        """Note whether every change of the topic's tables is captured; otherwise its rows are not vouched for."""
        if is_captured != (self._uncaptured_since is None):
            self._uncaptured_since = None if is_captured else asyncio.get_running_loop().time()
            self._judge()

    def _become_late(self) -> None:
        self._is_late = True
        self._judge()

    def _judge(self) -> None:
        if self._topic.set_current(self._uncaptured_since is None and not self._is_late):
            self._notify()
