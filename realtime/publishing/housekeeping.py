"""Housekeeping: the lease, pruning, and checks whether triggers, tables or the database's file have changed.

It has a thread and a connection of its own, so that it never delays the publication of a commit.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.db.utils import DatabaseError, OperationalError

from ..conf import get_conf
from ..databases.registry import database
from ..runtime.threads import OpenFile
from . import capture, commit_watch, lease, log, positions, progress, releases
from .table_watch import TableWatch
from .write_pauses import WritePauses

logger = logging.getLogger("realtime.housekeeping")

LOOK_SECONDS = 1.0
"""How often a process checks whether tables, triggers or the file have changed."""
VERIFY_SECONDS = 10.0
"""How often all tables are examined completely, whatever the quick checks find."""
CLAIM_SECONDS = releases.RENEW_SECONDS
"""How often a process stores that it needs its triggers and uses the fingerprints of its feeds."""
PRUNE_SECONDS = 10.0
PRUNE_PAUSE_SECONDS = 0.05
"""How long pruning pauses after a step that left something to delete."""
REPAIR_WAIT_SECONDS = 0.1
"""How long a repair waits for a table: its writers wait behind it."""
MAX_REPAIR_PAUSE_SECONDS = 30.0
LEADERS_PAUSE_SECONDS = 1.0
OTHERS_PAUSE_SECONDS = 8.0
"""Pause before a process without the lease repairs triggers in the leader's place, which may be of another release."""


class Repair:
    """When to install the triggers of one table, which may be locked for long."""

    def __init__(self, now: float, pause: float) -> None:
        self._pause, self.due_at = pause, now + pause

    def put_off(self, now: float) -> None:
        self._pause = min(MAX_REPAIR_PAUSE_SECONDS, self._pause * 2)
        self.due_at = now + self._pause


class Housekeeping:
    """The chores of one process; ``turn`` is called again and again, in its thread."""

    def __init__(self, holder: str, changed: Callable[[], None] = lambda: None) -> None:
        """``changed`` is called when the process has become the leader, and when there is something to sequence."""
        self.is_leader = False
        self.leads_until = 0.0
        """When the lease ends if it cannot be renewed, by the monotonic clock."""
        self.has_asked_for_lease = False
        self._holder, self._changed = holder, changed
        self._stopping = threading.Event()
        self._is_prepared = False
        self._look_due = self._lease_due = self._prune_due = self._verify_due = self._claim_due = 0.0
        self._repairs: dict[str, Repair] = {}
        self._table_watch = TableWatch()
        self._file = OpenFile()
        self._write_pauses = WritePauses()

    def stop(self) -> None:
        """End the turn under way as soon as its chore is done."""
        self._stopping.set()

    def turn(self) -> None:
        """Do the chores that are due, then wait until the next one is.

        A chore that the database refuses, for lack of a right for example, does not prevent the others.
        Raises: the error of such a chore, after the others; OperationalError at once: the database may be away.
        """
        try:
            self._do_what_is_due()
        except Exception:
            self._verify_due = self._look_due = 0.0  # when the database is back, it may be another one
            raise
        due = [self._look_due, self._lease_due, self._claim_due]
        due += [self._prune_due] if self.is_leader else []
        self._stopping.wait(max(0.0, min(due) - time.monotonic()))

    def _do_what_is_due(self) -> None:
        refusals: list[DatabaseError] = []

        def do(chore: Callable[[float], None]) -> None:
            try:
                chore(now)
            except OperationalError:
                raise
            except DatabaseError as error:
                refusals.append(error)

        now = time.monotonic()
        if not self._is_prepared:
            self._prepare()
            do(self._install)
            now = time.monotonic()
        if now >= self._look_due:  # first: a renewal of the lease may have to wait
            do(self._look)
        if now >= self._lease_due:
            do(self._renew_lease)
        if now >= self._claim_due:
            do(self._claim)
        if self.is_leader and now >= self._prune_due:
            do(self._prune)
        if refusals:
            raise refusals[0]

    def _prepare(self) -> None:
        commit_watch.ignore_this_thread()
        self._file.reopen_if_replaced()
        positions.ensure_epoch()
        # Not at once: the last use of a feed's fingerprint shows the publisher whether another one has replaced it.
        self._claim_due = time.monotonic() + CLAIM_SECONDS
        self._is_prepared = True

    def _install(self, now: float) -> None:
        try:
            capture.install(REPAIR_WAIT_SECONDS, is_patient=True)
        except OperationalError:
            self._is_prepared = False
            raise
        self._changed()

    def _prune(self, now: float) -> None:
        self._prune_due = now + PRUNE_SECONDS
        with self._write_pauses.writing():
            is_more = log.prune_step()
        if is_more:
            self._prune_due = time.monotonic() + PRUNE_PAUSE_SECONDS

    def _renew_lease(self, now: float) -> None:
        was_leader, self.is_leader = self.is_leader, lease.acquire(self._holder)
        self.leads_until = now + get_conf().lease_seconds if self.is_leader else 0.0
        self.has_asked_for_lease = True
        self._lease_due = now + get_conf().lease_seconds / 3
        if self.is_leader and not was_leader:
            self._repairs.clear()  # their pauses are those of a process without the lease
            self._verify_due = self._look_due = 0.0
            self._changed()

    def _claim(self, now: float) -> None:
        self._claim_due = now + CLAIM_SECONDS
        here = database()
        capture.claim(here)
        releases.renew()
        if self.is_leader:
            capture.drop_obsolete(here, REPAIR_WAIT_SECONDS, is_patient=True)

    # ------------------------------------------------------------ triggers, tables and file

    def _look(self, now: float) -> None:
        self._look_due = now + LOOK_SECONDS
        self._reopen_if_replaced()
        if now >= self._verify_due:
            self._table_watch.forget()
            self._verify_due = now + VERIFY_SECONDS
        self._table_watch.look()
        for table in self._table_watch.read_again():
            logger.info("the table %s was exchanged or rewritten; it is read again", table)
            self._changed()
        if self._table_watch.has_changed or self._repairs:
            self._repair(now)

    def _reopen_if_replaced(self) -> None:
        """Open the database again, and begin a new log, if its file was replaced: the former file is still open."""
        if not self._file.reopen_if_replaced():
            return
        logger.warning(
            "the database's file was replaced; every connection is opened again, and a new log begins"
        )
        self._is_prepared = False
        self._prepare()
        self._install(time.monotonic())

    def _repair(self, now: float) -> None:
        """Install triggers that stay missing, except those that a running migration has dropped: it installs them."""
        missing = {found.table for found in capture.missing()}
        if missing and progress.is_capture_paused():
            self._table_watch.forget()
            return
        pause = LEADERS_PAUSE_SECONDS if self.is_leader else OTHERS_PAUSE_SECONDS
        known = self._repairs
        self._repairs = {table: known.get(table) or Repair(now, pause) for table in missing}
        due = {table for table, repair in self._repairs.items() if table in known and now >= repair.due_at}
        if not due:
            return
        for found in capture.install(REPAIR_WAIT_SECONDS, tables=due, is_patient=True):
            logger.warning("the triggers of %s were missing; they are installed again", found.table)
            self._changed()
        for table in due:
            self._repairs[table].put_off(now)
