"""This process's channel on the channel layer, and its membership in groups.

A layer that fails, hangs or forgets a membership delays changes and loses none: the hub also reads the log.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from channels.layers import BaseChannelLayer

logger = logging.getLogger("realtime.layer")
hub_logger = logging.getLogger("realtime.hub")

CALL_SECONDS = 1.0
"""Time limit of one call of the layer: the first subscriber of a topic waits until its group is joined."""
REJOIN_SECONDS = 60.0
"""How often all groups are joined again: a layer may lose a membership silently (a restart, an expiry)."""
RETRY_SECONDS = 3.0
"""How long after a failure the groups are joined again, or a channel is requested again."""


class LayerChannel:
    """One channel per process and event loop."""

    def __init__(self, layer: BaseChannelLayer) -> None:
        self._layer = layer
        self._name = ""  # empty until the layer has given one
        self._rejoined_at = -REJOIN_SECONDS

    async def open(self) -> None:
        """Request a channel; without one this process serves its pages from the log."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                self._name = await self._layer.new_channel("realtime")
        except Exception as error:
            logger.error("unavailable: %s: %s; this process follows the log", type(error).__name__, error)
        else:
            self._rejoined_at = -REJOIN_SECONDS

    async def join(self, group: str) -> None:
        """Join a group; if that fails, its topic follows the log until the groups are joined again."""
        if not self._name:
            return
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._layer.group_add(group, self._name)
        except Exception as error:
            self._rejoined_at = time.monotonic() - REJOIN_SECONDS + RETRY_SECONDS
            logger.error("not joined: %s: %s; %s follows the log", type(error).__name__, error, group)

    async def rejoin(self, groups: Iterable[str]) -> None:
        """Join all groups again, at most every ``REJOIN_SECONDS``."""
        now = time.monotonic()
        if self._name and now - self._rejoined_at > REJOIN_SECONDS:
            self._rejoined_at = now
            await asyncio.gather(*map(self.join, groups))

    async def leave(self, group: str) -> None:
        """Leave a group; if that fails, the membership expires."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._layer.group_discard(group, self._name)
        except Exception as error:
            hub_logger.info("group %s not left: %s", group, error)

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
