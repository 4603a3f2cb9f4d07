"""The publisher: the periodic task that sequences what was written and sends it to the layer's groups.

One runs in each server process, or alone as ``manage.py publish``; the lease lets one of them tick
quickly and run the jobs, and the others look rarely.
"""

import asyncio
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections
from django.db.utils import Error as DatabaseError

from ..conf import get_conf
from ..feeds import registry
from ..models import LogEntry
from ..runtime import metrics
from ..runtime.supervision import supervise
from ..runtime.threads import DatabaseThreads
from ..schedule import jobs
from . import capture, lease, log, positions
from . import commit_watch as wake
from .file_watch import FileWatch, watch
from .layer import group, to_message
from .log import EVERYONE
from .sequencer import Batch, sequence

logger = logging.getLogger("realtime.publisher")
layer_log = logging.getLogger("realtime.layer")

KEEP_SECONDS = 10.0
LAYER_SECONDS = 3.0
OUTGOING = 1000  # entries that wait for the layer at most
BUSY_SECONDS = 1.0
LOOKS_PER_TICK = 4
COMMIT_SECONDS = 0.002  # from the first byte of a commit to its end, mostly
TICKS_PER_QUIET_LOOK = 4


class Publisher:
    """Works until it is stopped; every error is logged, waited out and survived."""

    def __init__(self, layer, standby_seconds: float, log_moved: Callable[[], None] = lambda: None) -> None:
        """``log_moved`` is called, on the loop, when another process has added to the log."""
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(2)}"
        self.is_leader = False
        self._layer = layer
        self._standby_seconds = standby_seconds
        self._log_moved = log_moved
        self._thread = DatabaseThreads("realtime-publisher", 1)
        self._job_threads = ThreadPoolExecutor(2, thread_name_prefix="realtime-job")
        self._awake = threading.Event()
        self._is_stopping = False
        self._lease_due = self._keep_due = 0.0
        self._sequenced_at = -BUSY_SECONDS
        self._is_busy = False  # one batch soon after the other
        self._missing_capture = 0
        self._furthest = ("", 0)
        self._is_prepared = False
        self._log_seen = ("", 0)
        self._quiet: positions.Probe | None = None  # what the last probe said while nothing waited
        self._outgoing: asyncio.Queue[tuple[str, LogEntry]] = asyncio.Queue(OUTGOING)
        self._file: FileWatch | None = None
        self._heard_at = -math.inf
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        wake.subscribe(self._awake.set)
        self._file = watch(get_conf().database, self._hear)
        for name, one_round in (("publisher", self._round), ("sender", self._send)):
            task = asyncio.create_task(supervise(name, one_round, logger), name=f"realtime-{name}")
            self._tasks.append(task)

    async def stop(self) -> None:
        """Stop after the round under way; what it had not sequenced, the next process does."""
        wake.unsubscribe(self._awake.set)
        if self._file is not None:
            self._file.close()
        self._is_stopping = True
        self._awake.set()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAYER_SECONDS)
        try:
            await self._thread.run(lease.release, self.name)
        except DatabaseError as error:
            logger.info("lease not released, it expires by itself: %s", error)
        await asyncio.to_thread(self._thread.close)
        self._job_threads.shutdown(wait=False, cancel_futures=True)

    async def _round(self) -> None:
        batch = await self._thread.run(self._work)
        if batch is not None:
            self._publish(batch)
        if self.is_leader:
            self._run_jobs()

    # ------------------------------------------------------------ in the publisher's thread

    def _work(self) -> Batch | None:
        """Do what is due, then wait for something to sequence, until a job or the lease is due.

        The waiting is done here, in the thread: an idle tick is one probe and wakes nobody else.
        """
        self._prepare()
        waiting = [job.due_at for job in jobs.values() if self.is_leader and not job.is_running]
        ends = min([self._lease_due, *waiting])
        while not self._is_stopping:
            seen = positions.probe()
            if (seen.epoch, seen.log_end) != self._log_seen:
                self._log_seen = (seen.epoch, seen.log_end)
                self._loop.call_soon_threadsafe(self._log_moved)
            self._begin_anew_if_put_back(seen)
            if not seen.is_waiting:
                self._quiet = seen
            batch = sequence(seen, self._quiet)
            if batch is not None:
                self._log_seen = (batch.epoch, batch.end)
                self._note_batch(time.monotonic())
                return batch
            now = time.monotonic()
            if now >= ends:
                return None
            self._awake.wait(min(self._pause(now), ends - now))
            self._awake.clear()
        return None

    def _note_batch(self, now: float) -> None:
        self._is_busy = now - self._sequenced_at < 2 * get_conf().tick_seconds
        self._sequenced_at, self._heard_at = now, -math.inf

    def _pause(self, now: float) -> float:
        """Return how long to wait for the next look."""
        if not self.is_leader:
            return self._standby_seconds
        tick = get_conf().tick_seconds
        if self._file is None:
            return pause(tick, now - self._sequenced_at)
        return pause_of_watched(tick, now - self._heard_at, now - self._sequenced_at)

    def _begin_anew_if_put_back(self, seen: positions.Probe) -> None:
        """Begin a new epoch when the database is an earlier one of itself: a backup was restored under us."""
        epoch, furthest = self._furthest
        if seen.epoch == epoch and seen.offset < furthest:
            logger.warning("the database went back from %d to %d: the log starts anew", furthest, seen.offset)
            positions.begin_epoch()
        self._furthest = (seen.epoch, seen.offset)

    def _prepare(self) -> None:
        now = time.monotonic()
        if not self._is_prepared:
            wake.ignore_this_thread()
            capture.install(get_conf().database)
            positions.ensure_epoch()
            self._is_prepared = True
        if now >= self._lease_due:
            self.is_leader = lease.hold(self.name)
            self._lease_due = now + get_conf().lease_seconds / 3
        if self.is_leader and now >= self._keep_due:
            log.prune()
            self._keep_capture()
            self._keep_due = now + KEEP_SECONDS

    def _keep_capture(self) -> None:
        """Put back triggers that are gone for good: not those that a migration under way has dropped."""
        missing = bool(capture.missing(get_conf().database))
        self._missing_capture = self._missing_capture + 1 if missing else 0
        if self._missing_capture > 3:
            logger.warning("triggers have been missing for a while; they are installed again")
            capture.install(get_conf().database)

    # ------------------------------------------------------------ on the loop

    def _hear(self) -> None:
        """Hear that somebody writes to the database's file: look when it is there to be read.

        But of what is written in a row each tick's is sequenced together.
        """
        if self.is_leader:  # the others leave it to that one
            self._heard_at = now = time.monotonic()
            rest = self._sequenced_at + get_conf().tick_seconds - now if self._is_busy else 0.0
            self._loop.call_later(max(COMMIT_SECONDS, rest), self._awake.set)

    def _publish(self, batch: Batch) -> None:
        """Hand the entries to the sender: a layer that hangs holds up no sequencing."""
        if self._file is not None:
            self._file.skip()
        metrics.resets.inc(sum(entry.kind == LogEntry.Kind.RESET for entry in batch.entries))
        for entry in batch.entries:
            try:
                self._outgoing.put_nowait((batch.epoch, entry))
            except asyncio.QueueFull:
                break  # they are in the log

    async def _send(self) -> None:
        """Send an entry to its group. It is in the log: a layer that fails costs a floor's wait."""
        epoch, entry = await self._outgoing.get()
        try:
            async with asyncio.timeout(LAYER_SECONDS):
                await self._layer.group_send(self._group(entry), to_message(epoch, entry))
            metrics.published.inc()
        except Exception as error:
            metrics.layer_errors.inc()
            waiting = self._outgoing.qsize()
            for _ in range(waiting):
                self._outgoing.get_nowait()
            self._log_moved()
            layer_log.error(
                "not sent: %s: %s; %d changed topics travel by the log alone",
                type(error).__name__, error, 1 + waiting,
            )  # fmt: skip

    @staticmethod
    def _group(entry: LogEntry) -> str:
        """Return the entry's group; what concerns all topics of a feed goes to everyone."""
        concerns_feed = entry.topic in registry and registry[entry.topic].topic_field is not None
        return group(EVERYONE if concerns_feed else entry.topic)

    def _run_jobs(self) -> None:
        now = time.monotonic()
        for job in jobs.values():
            if job.claim(now):
                self._job_threads.submit(_run_job, job)


def pause(tick_seconds: float, since_sequenced: float) -> float:
    """Return how long to wait for the next look, so long after something was sequenced.

    A whole tick at first: what is written in a row is sequenced together. Then, for a second, part of one: where
    something was written more is likely to come, and a look that finds nothing is cheap.
    """
    return tick_seconds / LOOKS_PER_TICK if tick_seconds <= since_sequenced < BUSY_SECONDS else tick_seconds


def pause_of_watched(tick_seconds: float, since_heard: float, since_sequenced: float) -> float:
    """Return the same where the database's file tells of writes.

    One that was heard of and not found is being committed: that is looked for again and again, at first very soon.
    Otherwise a look is a mere precaution.
    """
    if since_heard < tick_seconds:
        return max(since_heard, COMMIT_SECONDS)
    return TICKS_PER_QUIET_LOOK * tick_seconds if since_sequenced > BUSY_SECONDS else tick_seconds


def _run_job(job) -> None:
    try:
        job.run()
    finally:
        close_old_connections()
