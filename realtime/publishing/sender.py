"""The sender: sends sequenced entries to the channel layer's groups, apart from sequencing."""

import asyncio
import logging
from collections.abc import Callable

from channels.layers import BaseChannelLayer

from ..feeds import registry
from ..models import LogEntry
from ..runtime import metrics
from .layer import group, to_message
from .log import EVERYONE
from .sequencer import Batch

layer_log = logging.getLogger("realtime.layer")

SEND_SECONDS = 3.0
"""Time limit of the layer for one entry."""
MAX_WAITING = 1000
"""Maximum number of entries that wait for the layer."""


class Sender:
    """A queue of entries, so that a layer that hangs does not delay sequencing."""

    def __init__(self, layer: BaseChannelLayer, log_moved: Callable[[], None]) -> None:
        """``log_moved`` is called when entries were not sent: this process's hub must read the log."""
        self._layer = layer
        self._log_moved = log_moved
        self._waiting: asyncio.Queue[tuple[str, LogEntry]] = asyncio.Queue(MAX_WAITING)

    def put(self, batch: Batch) -> None:
        """Queue a batch's entries; those for which there is no room are in the log all the same."""
        for entry in batch.entries:
            try:
                self._waiting.put_nowait((batch.epoch, entry))
            except asyncio.QueueFull:
                break

    async def send_next(self) -> None:
        """Send the next entry to its group. If the layer fails, readers find it in the log, a little later."""
        epoch, entry = await self._waiting.get()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._layer.group_send(_group(entry), to_message(epoch, entry))
            metrics.published.inc()
            metrics.observe_since(metrics.sent, entry.written_at)
        except Exception as error:
            metrics.layer_errors.inc()
            waiting = self._waiting.qsize()
            for _ in range(waiting):
                self._waiting.get_nowait()
            self._log_moved()
            layer_log.error(
                "not sent: %s: %s; %d entries are read from the log alone",
                type(error).__name__, error, 1 + waiting,
            )  # fmt: skip


def _group(entry: LogEntry) -> str:
    """Return the entry's group; an entry that concerns all topics of a feed is sent to the group of all hubs."""
    concerns_feed = entry.topic in registry and registry[entry.topic].topic_field is not None
    return group(EVERYONE if concerns_feed else entry.topic)
