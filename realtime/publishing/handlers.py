"""Handlers: calls the functions of ``on_change`` for entries of the log, each at its own position and pace.

Each function has a thread and a stored cursor. The process that holds the lease calls it; if two processes believe that
they hold it, only one of them moves the cursor. Rows that the log does not have (for a new function, after a reset,
after early pruning) are read page by page. While entries may be older than these rows, their rows are read again, so
that a function never gets older values after newer ones.
"""

import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from asgiref.sync import async_to_sync
from django.db import (
    DatabaseError,
    InternalError,
    OperationalError,
    close_old_connections,
    connections,
    transaction,
)
from django.db.models import Q

from ..changes import Change, Handler
from ..conf import get_conf
from ..engine import messages
from ..engine.errors import FeedOff, UnknownTopic
from ..engine.position import Position
from ..feeds import Feed, registry
from ..models import LogEntry
from ..runtime import metrics
from ..runtime.failures import ESCAPING, as_exception, text_of
from . import handler_cursors, log, progress
from .handler_cursors import Cursor, Stored
from .positions import read_snapshot
from .write_pauses import WritePauses

logger = logging.getLogger("realtime.handlers")

IDLE_SECONDS = 1.0
"""How long a function with nothing to do waits, unless it is woken."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
"""The pause after a failure; it doubles with each further one for the same change."""
MOVE_SECONDS = 10.0
"""How often a cursor moves if the log has no entries for it."""
ENTRIES_AT_ONCE = 100
ROWS_AT_ONCE = 100
WITH_VALUES = ("", "rows")
"""The formats of entries that have the values of all readable rows. Entries of other formats have no values, or lack
the rows whose template fails."""
SPOILED = (
    "its transaction was rolled back, because it has caught an error of the database inside it; write what may fail in "
    "`with transaction.atomic():` of its own and catch the error around that, or use get_or_create"
)
_HANDLED_KINDS = (*log.WITH_ROWS, LogEntry.Kind.RESET, LogEntry.Kind.UNFOLLOWED)


@dataclass(frozen=True, slots=True)
class _Step:
    """A change to call the function for, None if there is none, and the cursor after it."""

    change: Change | None
    then: Cursor


class Runner:
    """Calls one function; ``turn`` is called again and again, in its thread."""

    def __init__(self, handler: Handler, leads: Callable[[], bool]) -> None:
        self.handler = handler
        self._leads = leads
        self._awake = threading.Event()
        self._is_stopping = False
        self._move_due = 0.0

    def wake(self) -> None:
        """Have the function look at the log now; callable from any thread."""
        self._awake.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._awake.set()

    def turn(self) -> None:
        """Handle the changes that there are, then wait.

        Raises: what the database raises. An error of the function is stored, and followed by a pause.
        """
        if self._leads():
            self._awake.clear()
            while not self._is_stopping and self._leads():
                pause = self.handle_some()
                if pause:
                    self._awake.wait(pause)
                    break
        else:
            self._awake.wait(IDLE_SECONDS)
            self._awake.clear()

    def handle_some(self) -> float:
        """Call the function for the next changes; return for how many seconds to wait then, 0 if there may be more."""
        name = self.handler.feed_name
        if name is None or list(self.handler.faults):
            return IDLE_SECONDS
        feed = registry[name]
        stored = self._stored(feed)
        if stored is None:
            return IDLE_SECONDS
        steps, is_end = self._next_steps(feed, stored.cursor)
        for step in steps:
            if self._is_stopping:
                return IDLE_SECONDS
            try:
                moved = self._take(stored, step)
            except _Failed as failed:
                return self._note(failed, stored.failures)
            if moved is None:
                return IDLE_SECONDS  # another process calls the function
            stored = moved
        return IDLE_SECONDS if is_end else 0

    def _take(self, stored: Stored, step: _Step) -> Stored | None:
        if step.change is None:
            return _move(stored, step.then)
        if self.handler.atomic:
            with _pauses.writing():
                moved = self._take_atomically(stored, step.change, step.then)
        else:
            self._call(step.change)
            moved = _move(stored, step.then)
        metrics.changes_handled.labels(self.handler.name).inc()
        return moved

    def _take_atomically(self, stored: Stored, change: Change, then: Cursor) -> Stored | None:
        alias = get_conf().database
        committed: list[Stored | None] = []
        try:
            with transaction.atomic(using=alias):
                moved = handler_cursors.move(stored, then)
                transaction.on_commit(lambda: committed.append(moved), using=alias)
                if moved is not None:
                    self._call(change)
                    if _is_spoiled(alias):
                        raise _Failed(change) from transaction.TransactionManagementError(SPOILED)
            return moved
        except (Exception, *ESCAPING) as error:
            if committed:
                self._note_after_commit(change, error)
                return committed[0]
            if isinstance(error, DatabaseError) and not isinstance(error, OperationalError):
                raise _Failed(change) from error  # of the commit, which checks deferred foreign keys
            raise

    def _note_after_commit(self, change: Change, error: BaseException) -> None:
        close_old_connections()  # a function of on_commit may have left a broken connection
        logger.error(
            "%s has handled the %s of row %s in %s, but what it left to transaction.on_commit failed, and is not "
            "called again: %r", self.handler.name, change.op, change.key, change.topic, error, exc_info=error,
        )  # fmt: skip
        metrics.handler_failures.labels(self.handler.name).inc()

    def _call(self, change: Change) -> None:
        function = self.handler.function
        try:
            if inspect.iscoroutinefunction(function):
                async_to_sync(function)(change)
            else:
                function(change)
        except (Exception, *ESCAPING) as error:
            raise _Failed(change) from as_exception(error)

    def _note(self, failed: "_Failed", failures: int) -> float:
        close_old_connections()  # the function may have left a broken connection
        error = failed.__cause__
        assert error is not None
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 20))
        logger.error(
            "%s failed for the %s of row %s in %s; it is called again in %g s: %r",
            self.handler.name, failed.change.op, failed.change.key, failed.change.topic, pause, error,
            exc_info=None if failures else error,
        )  # fmt: skip
        metrics.handler_failures.labels(self.handler.name).inc()
        handler_cursors.note_failure(self.handler.name, f"{type(error).__name__}: {text_of(error)}")
        return pause

    def _stored(self, feed: Feed) -> Stored | None:
        """Return the stored cursor; one that begins now for a new function; None before the log has begun."""
        stored = handler_cursors.read(self.handler.name)
        if stored is not None:
            return stored
        begun = progress.read()
        if begun is None:
            return None
        reading = feed.name if self.handler.from_start else ""
        handler_cursors.begin(self.handler.name, Cursor(begun.epoch, begun.cursor.offset, reading=reading))
        return handler_cursors.read(self.handler.name)

    # ------------------------------------------------------------ the next change

    def _next_steps(self, feed: Feed, cursor: Cursor) -> tuple[Iterator[_Step], bool]:
        """Return the next changes, and whether these are all at present."""
        with read_snapshot():
            sequenced = progress.read()
            if sequenced is None:
                return iter(()), True
            if cursor.epoch == sequenced.epoch and cursor.handled >= sequenced.edge and not cursor.reading:
                entries = _entries(feed, cursor)
                if not entries:
                    return iter(self._moves(cursor, sequenced.cursor.offset)), True
                return _changes(feed, cursor, entries), False
        if cursor.epoch != sequenced.epoch or cursor.handled < sequenced.edge:
            logger.warning("%s: the log does not have what it has missed; all rows follow", self.handler.name)
            here = Cursor(sequenced.epoch, sequenced.cursor.offset, reading=feed.name)
            return iter([_Step(_reset(feed.name, here), here)]), False
        return _page(feed, cursor), False

    def _moves(self, cursor: Cursor, offset: int) -> list[_Step]:
        """Return a move to the end of the log, every ``MOVE_SECONDS``: the log keeps what comes after the cursor."""
        now = time.monotonic()
        if cursor.handled >= offset or now < self._move_due:
            return []
        self._move_due = now + MOVE_SECONDS
        return [_Step(None, cursor.past(offset, handler_cursors.WHOLE))]


_pauses = WritePauses()
"""Those of all functions of the process."""


def _move(stored: Stored, then: Cursor) -> Stored | None:
    with _pauses.writing():
        return handler_cursors.move(stored, then)


def _is_spoiled(alias: str) -> bool:
    """Return whether the transaction can only be rolled back.

    After an error of plain SQL only PostgreSQL knows: its COMMIT would roll back, and report success.
    """
    if transaction.get_rollback(alias):
        return True
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
    except InternalError:
        return True
    return False


class _Failed(Exception):
    """The function has failed for a change; its exception is the cause."""

    def __init__(self, change: Change) -> None:
        super().__init__(change)
        self.change = change


def _entries(feed: Feed, cursor: Cursor) -> list[LogEntry]:
    """Return the next entries of a feed's topics, in the order of the log."""
    beyond = Q(position__gt=cursor.position) | Q(position=cursor.position, id__gt=cursor.entry)
    of_feed = Q(topic=feed.name) | Q(topic__startswith=f"{feed.name}.")
    found = log.of_this_release().filter(beyond, of_feed, kind__in=_HANDLED_KINDS)
    return list(found.order_by("position", "id")[:ENTRIES_AT_ONCE])


def _changes(feed: Feed, cursor: Cursor, entries: list[LogEntry]) -> Iterator[_Step]:
    """Yield the changes of some entries, up to the first entry for which all rows have to be read.

    Of several such entries for the same rows only the last counts: the rows are read once.
    """
    last = {entry.topic: entry.pk for entry in entries if entry.kind not in log.WITH_ROWS}
    for entry in entries:
        past = cursor.past(entry.position, entry.pk)
        if entry.kind not in log.WITH_ROWS:
            if entry.pk < max(last[entry.topic], last.get(feed.name, 0)):
                cursor = past
                yield _Step(None, cursor)
                continue
            cursor = replace(past, reading=entry.topic, after_key=None)
            yield _Step(_reset(entry.topic, cursor), cursor)
            return
        changes = messages.decode_changes(entry.payload)
        number = cursor.done
        while number < len(changes):
            some = changes[number : number + ROWS_AT_ONCE]
            is_older = entry.position <= cursor.read_at or entry.fingerprint != feed.fingerprint
            if is_older or entry.format not in WITH_VALUES:
                some, read_at = _as_of_now(feed, entry.topic, some)
                cursor = replace(cursor, read_at=max(cursor.read_at, read_at))
                past = replace(past, read_at=cursor.read_at)
            for change in some:
                number += 1
                cursor = replace(cursor, done=number)
                position = str(Position(cursor.epoch, entry.position))
                yield _Step(
                    _change(entry.topic, change, position), past if number == len(changes) else cursor
                )
        if not changes:
            yield _Step(None, past)
        cursor = past


def _as_of_now(feed: Feed, topic: str, changes: list[messages.Change]) -> tuple[list[messages.Change], int]:
    """Return changes of the same rows as the rows are now, and the position of that reading."""
    parse = feed.model._meta.pk.to_python
    keys = {change.key: parse(change.key) for change in changes}
    present, offset = _read(feed, list(keys.values()))
    now = []
    for change in changes:
        found = present.get(change.key)
        is_here = found is not None and found[0] == topic
        now.append(found[1].upsert() if is_here and found is not None else messages.delete(change.key))
    return now, offset


def _read(feed: Feed, keys: list[Any]) -> tuple[dict[str, tuple[str, messages.Row]], int]:
    """Return those of some rows that are live, each with its topic, by key, and the position of the reading.

    The rows are read in the format of the values, so a row whose template fails is included.
    """
    while True:
        with read_snapshot() as moment:
            present = feed.read_rows(keys, format="rows")
            if moment.is_kept(feed.tables):
                return {row.key: (topic, row) for topic, row in present.values()}, moment.cursor.offset


def _page(feed: Feed, cursor: Cursor) -> Iterator[_Step]:
    """Yield the next rows of the topic that is being read; after the last one, the way back to the log."""
    try:
        keys = feed.keys_after(cursor.after_key, ROWS_AT_ONCE, cursor.reading)
    except (UnknownTopic, FeedOff):  # the declaration has changed meanwhile
        keys = []
    if not keys:
        yield _Step(None, replace(cursor, reading="", after_key=None))
        return
    present, offset = _read(feed, keys)
    cursor = replace(cursor, read_at=max(cursor.read_at, offset))
    for key in keys:
        cursor = replace(cursor, after_key=str(key))
        found = present.get(str(key))
        if found is None or cursor.reading not in (feed.name, found[0]):
            yield _Step(None, cursor)
        else:
            position, since = (str(Position(cursor.epoch, place)) for place in (offset, cursor.position))
            yield _Step(_change(found[0], found[1].upsert(), position, since), cursor)


def _change(topic: str, change: messages.Change, position: str, since: str = "") -> Change:
    values = None
    if change.op == "upsert" and not isinstance(change.row, msgspec.UnsetType):
        values = msgspec.json.decode(change.row)
    return Change(change.op, topic, change.key, values, position, bool(since), since)


def _reset(topic: str, cursor: Cursor) -> Change:
    return Change("reset", topic, "", None, str(Position(cursor.epoch, cursor.position)))
