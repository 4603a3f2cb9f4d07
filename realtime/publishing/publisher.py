"""The publisher: the periodic task that sequences the outbox and sends the entries to the layer's groups.

Each server process runs a publisher, as does ``manage.py publish``. The process that holds the lease sequences at every
tick and runs the jobs; the others probe rarely.
"""

import asyncio
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from functools import partial

from channels.layers import BaseChannelLayer
from django.db import close_old_connections
from django.db.utils import Error as DatabaseError

from ..changes import handlers
from ..conf import get_conf
from ..databases.outbox import Probe
from ..feeds import registry
from ..models import LogEntry
from ..runtime import metrics
from ..runtime.metrics import Figure
from ..runtime.supervision import supervise
from ..runtime.threads import DatabaseThreads, close_all
from ..schedule import Job, jobs
from . import commit_watch, lease, positions, progress, releases
from .feed_changes import try_slow_feed
from .file_watch import FileWatch, watch
from .handlers import Runner
from .housekeeping import Housekeeping
from .pacing import Deference, Pace
from .sender import Sender
from .sequencer import Batch, sequence
from .slow_feeds import slow_feeds

logger = logging.getLogger("realtime.publisher")

MAX_WAIT_SECONDS = 1.0
"""How long the thread waits in one piece; between two, its database connection may be opened again."""
STOP_SECONDS = 3.0


class Publisher:
    """Sequences until it is stopped; an error is logged and followed by a pause, and never ends it."""

    def __init__(
        self, layer: BaseChannelLayer, standby_seconds: float, log_moved: Callable[[], None] = lambda: None
    ) -> None:
        """``log_moved`` is called, on the loop, when another process has added to the log."""
        self.name = f"{socket.gethostname()[:30]}:{os.getpid()}:{secrets.token_hex(2)}"
        self._housekeeping = Housekeeping(self.name, self._look_soon)
        self._standby_seconds = standby_seconds
        self._log_moved = log_moved
        self._sender = Sender(layer, log_moved)
        self._thread = DatabaseThreads("realtime-publisher", 1)
        self._housekeeping_thread = DatabaseThreads("realtime-housekeeping", 1)
        self._job_threads = DatabaseThreads("realtime-job", 2)
        self._handlers = [Runner(handler, lambda: self.leads) for handler in handlers.values()]
        self._handler_threads = DatabaseThreads("realtime-handler", len(self._handlers))
        self._awake = threading.Event()
        self._is_stopping = False
        self._is_prepared = False
        self._success_due = 0.0
        self._pace = Pace(get_conf().tick_seconds)
        self._deference = Deference()
        self._furthest = ("", 0)
        self._log_seen = ("", 0)
        self._quiet: Probe | None = None  # the last probe while nothing waited
        self._file: FileWatch | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        commit_watch.subscribe(self._awake.set)
        self._file = watch(self._file_written)
        for name, one_round in (
            ("publisher", self._round), ("sender", self._sender.send_next), ("housekeeping", self._keep_house),
        ):  # fmt: skip
            self._supervise(name, one_round)
        for each in self._handlers:
            self._supervise(each.handler.name, partial(self._handler_threads.run, each.turn))

    def _supervise(self, name: str, one_round: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(supervise(name, one_round, logger), name=f"realtime-{name}")
        self._tasks.append(task)

    async def stop(self) -> None:
        """Stop after the current round; the next process sequences the rest."""
        commit_watch.unsubscribe(self._awake.set)
        if self._file is not None:
            self._file.close()
            self._file = None
        self._is_stopping = True
        self._housekeeping.stop()
        for each in self._handlers:
            each.stop()
        self._awake.set()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        released = self._thread.submit(lease.release, self.name)
        await close_all(self._thread, self._housekeeping_thread, self._job_threads, self._handler_threads)
        try:
            released.result(timeout=0)
        except (DatabaseError, TimeoutError, CancelledError) as error:
            logger.info("lease not released, it expires by itself: %r", error)

    @property
    def is_leader(self) -> bool:
        """Whether this process has the lease."""
        return self._housekeeping.is_leader

    @property
    def leads(self) -> bool:
        """Whether the lease has certainly not expired: a process that cannot write to the database cannot renew it."""
        return self.is_leader and time.monotonic() < self._housekeeping.leads_until

    async def _keep_house(self) -> None:
        await self._housekeeping_thread.run(self._housekeeping.turn)

    async def _round(self) -> None:
        await self._thread.run(self._work)
        if self.is_leader:
            self._run_jobs()
        for feed, images in slow_feeds.take_to_try():
            self._job_threads.submit(try_slow_feed, feed, images)

    # ------------------------------------------------------------ in the publisher's thread

    def _work(self) -> None:
        """Sequence committed rows, until a job is due, or for a second.

        The thread itself waits between two ticks: an idle tick is one probe and does not wake the loop, a batch wakes
        it once.
        """
        self._prepare()
        was_leader = self.is_leader
        is_urgent = self._awake.is_set()  # committed in this process: the leader may not have noticed it yet
        waiting = [job.due_at for job in jobs.values() if was_leader and not job.is_running]
        ends = min([time.monotonic() + MAX_WAIT_SECONDS, *waiting])
        while not self._is_stopping:
            seen = positions.probe()
            if (seen.epoch, seen.log_end) != self._log_seen:
                self._log_seen = (seen.epoch, seen.log_end)
                self._loop.call_soon_threadsafe(self._log_moved)
            self._begin_anew_if_restored(seen)
            if not seen.is_waiting:
                self._quiet = seen
            rest = 0.0 if self.is_leader or is_urgent else self._left_to_leader(seen)
            batch = sequence(seen, self._quiet) if rest == 0 else None
            if batch is not None:
                self._log_seen = (batch.epoch, batch.end)
                self._pace.note_batch(time.monotonic())
                self._loop.call_soon_threadsafe(self._sequenced, batch)
            now = time.monotonic()
            if self.is_leader and not seen.is_waiting and now >= self._success_due:
                progress.note_success()
                self._success_due = now + get_conf().lease_seconds / 3
            has_just_taken_over = self.is_leader and not was_leader  # its jobs are due
            if now >= ends or has_just_taken_over:
                return
            if batch is None:
                self._awake.wait(min(self._pause(now, rest), ends - now))
            is_urgent = self._awake.is_set()
            self._awake.clear()  # before the probe that finds the rows for which it was set

    def _left_to_leader(self, seen: Probe) -> float:
        """Return for how many seconds waiting rows are left to the leader."""
        return self._deference.rest(seen, time.monotonic(), get_conf().tick_seconds)

    def _pause(self, now: float, rest: float) -> float:
        if not self.is_leader:
            return min(self._standby_seconds, rest or self._standby_seconds)
        return self._pace.pause(now, is_watched=self._file is not None)

    def _begin_anew_if_restored(self, seen: Probe) -> None:
        """Begin a new epoch if the database is an older state of itself: a backup was restored meanwhile."""
        epoch, furthest = self._furthest
        if seen.epoch == epoch and seen.offset < furthest:
            logger.warning(
                "the database was restored to an earlier state, from %d to %d; a new log begins",
                furthest,
                seen.offset,
            )
            positions.begin_epoch()
        self._furthest = (seen.epoch, seen.offset)

    def _prepare(self) -> None:
        if not self._is_prepared:
            commit_watch.ignore_this_thread()
            positions.ensure_epoch()
            releases.announce()
            for feed in registry.off:
                for fault in feed.faults:
                    logger.error("feed %s is off: %s. %s", feed.name, fault.words, fault.hint)
            self._is_prepared = True

    def _look_soon(self) -> None:
        """Called by housekeeping, in its thread."""
        self._awake.set()

    # ------------------------------------------------------------ on the loop

    def _sequenced(self, batch: Batch) -> None:
        """Called when a batch is in the log: its entries are sent, and the file watch need not report its writes."""
        if self._file is not None:
            self._file.skip()
        metrics.resets.inc(sum(entry.kind == LogEntry.Kind.RESET for entry in batch.entries))
        self._sender.put(batch)
        for each in self._handlers:
            each.wake()

    def _file_written(self) -> None:
        """Called when another process writes to the database's file: probe when the commit can be read."""
        if self.is_leader:  # the leader sequences for all
            delay = self._pace.note_write(time.monotonic())
            if delay:
                self._loop.call_later(delay, self._awake.set)
            else:
                self._awake.set()  # the loop's timers are never shorter than a millisecond

    def _run_jobs(self) -> None:
        now = time.monotonic()
        for job in jobs.values():
            if job.start_if_due(now):
                self._job_threads.submit(_run_job, job)


def publisher_leads(leads: bool) -> Figure:
    """Return the metric of whether a process leads."""
    return Figure("publisher_leads", "1 in the process that publishes at every tick.", int(leads))


def _run_job(job: Job) -> None:
    try:
        job.run()
    finally:
        close_old_connections()
