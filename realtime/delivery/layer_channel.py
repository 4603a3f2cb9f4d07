"""This process's channel on the channel layer, and its membership in groups.

A layer that fails, hangs or forgets a membership delays changes and loses none: the hub also reads the log.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from channels.layers import BaseChannelLayer

logger = logging.getLogger("realtime.layer")
hub_logger = logging.getLogger("realtime.hub")

CALL_SECONDS = 1.0
"""Time limit of one call of the layer: the first subscriber of a topic waits until its group is joined."""
CALLS_AT_ONCE = 20
"""How many calls join groups at once: most of a thousand calls would wait in the layer beyond their time limit."""
PACE_SECONDS = 0.005
"""The pause after each of these calls: a layer reads the answers to thousands of calls at once, and blocks the loop."""
RENEWALS_AT_ONCE = 10
"""How many of these calls join groups again; few, so that a group for which a subscriber waits is joined soon."""
REJOIN_SECONDS = 60.0
"""How often each group is joined again: a layer may lose a membership silently (a restart, an expiry)."""
RETRY_SECONDS = 3.0
"""How long after a failure the groups are joined again, or a channel is requested again."""


class LayerChannel:
    """One channel per process and event loop."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._name = ""  # empty until the layer has given one
        self._calls = asyncio.Semaphore(CALLS_AT_ONCE)
        self._renew_at: dict[str, float] = {}  # of the groups that were joined
        self._is_doubted = False  # memberships from before a failure may be lost, and are not all renewed yet
        self._retry_at = -math.inf

    async def open(self) -> None:
        """Request a channel; without one this process serves its pages from the log."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                self._name = await self._layer.new_channel("realtime")
        except Exception as error:
            logger.error("unavailable: %s: %s; this process follows the log", type(error).__name__, error)
        else:
            self._renew_at.clear()

    async def join(self, group: str) -> None:
        """Join a group; if that fails, its topic follows the log until the groups are joined again.

        For ``RETRY_SECONDS`` after a failure no call is made: each of thousands would wait for its time limit.
        """
        await self._calls.acquire()
        try:
            if self._name and time.monotonic() >= self._retry_at:
                await self._add(group)
        finally:
            asyncio.get_running_loop().call_later(PACE_SECONDS, self._calls.release)

    async def _add(self, group: str) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._layer.group_add(group, self._name)
        except Exception as error:
            self._note_failure()
            logger.error("not joined: %s: %s; %s follows the log", type(error).__name__, error, group)
        else:
            # At random: groups that were joined together are renewed one after the other.
            self._renew_at[group] = time.monotonic() + self._lasts * random.uniform(0.5, 1.0)

    def _note_failure(self) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if not self._is_doubted:  # only once until all are renewed: one of thousands of calls may always fail
            self._is_doubted = True
            self._renew_at.clear()

    @property
    def _lasts(self) -> float:
        return min(REJOIN_SECONDS, getattr(self._layer, "group_expiry", math.inf) / 2)

    async def send(self, group: str, message: dict[str, Any]) -> None:
        """Send a group a message that may be lost; send nothing for ``RETRY_SECONDS`` after a failure."""
        if time.monotonic() < self._retry_at:
            return
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._layer.group_send(group, message)
        except Exception as error:
            self._note_failure()
            logger.error("not sent: %s: %s; a broadcast to %s is lost", type(error).__name__, error, group)

    async def rejoin(self, groups: Iterable[str]) -> None:
        """Join each group again that was not joined within ``REJOIN_SECONDS``, or since a failure."""
        now = time.monotonic()
        if not self._name or now < self._retry_at:
            return
        due = [group for group in groups if self._renew_at.get(group, now) <= now]
        await _each(due, self.join, RENEWALS_AT_ONCE)
        if all(group in self._renew_at for group in due):
            self._is_doubted = False

    async def leave(self, *groups: str) -> None:
        """Leave groups; if that fails, the memberships that are left expire."""
        try:
            await _each(groups, self._discard, CALLS_AT_ONCE)
        except ExceptionGroup as failed:
            hub_logger.info("groups not left: %s", failed.exceptions[0])

    async def _discard(self, group: str) -> None:
        self._renew_at.pop(group, None)
        async with asyncio.timeout(CALL_SECONDS):
            await self._layer.group_discard(group, self._name)
        if group in self._renew_at:  # joined meanwhile: which of the two calls was the later one is not known
            self._renew_at[group] = time.monotonic()

    async def receive(self) -> dict[str, Any] | None:
        """Wait for a message and return it; None for one that is not a dict, or if there is no channel yet.

        Raises: whatever the layer raises.
        """
        if not self._name:
            await asyncio.sleep(RETRY_SECONDS)
            await self.open()
            return None
        try:
            message = await self._layer.receive(self._name)
        except ValueError as error:  # bytes that the layer itself cannot unpack
            logger.warning("message not understood: %r", error)
            return None
        return message if isinstance(message, dict) else None


async def _each(groups: Sequence[str], call: Callable[[str], Awaitable[None]], at_once: int) -> None:
    """Call a function for each group, for a few at once.

    Raises: ExceptionGroup, at the first failure.
    """
    left = iter(groups)

    async def work() -> None:
        for group in left:
            await call(group)
            await asyncio.sleep(0)  # a layer in memory answers without giving the event loop a turn

    async with asyncio.TaskGroup() as workers:
        for _ in range(min(at_once, len(groups))):
            workers.create_task(work())
