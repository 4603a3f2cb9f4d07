"""One topic in a process's memory: its rows as of a position, and the recent changes that led there.

Pure: the hub applies entries of the log, sessions read the changes after their cursors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence

from msgspec import UNSET, UnsetType

from . import messages
from .cohort import Cohort
from .cursor import Cursor
from .encodings import Encodings
from .errors import Gap, Unrecoverable
from .kept_changes import ChangeSet, KeptChanges
from .messages import Change, Content, Encoded, Format, Row, WireFormat, contents_of
from .position import Position
from .replacement import Replacement, compare, differing, digest_of
from .snapshot_parts import SnapshotParts

MAX_PART_BYTES = 256 * 1024
MAX_KEPT_CHANGES = 2000
MAX_KEPT_BYTES = 1024 * 1024
CONTENTS: tuple[Content, ...] = ("rows", "html")


class Topic:
    """The rows of one topic at ``position``, with enough recent changes for most cursors to reach it."""

    def __init__(
        self,
        name: str,
        max_kept_changes: int = MAX_KEPT_CHANGES,
        max_kept_bytes: int = MAX_KEPT_BYTES,
        max_part_bytes: int = MAX_PART_BYTES,
        encodings: Encodings | None = None,
    ) -> None:
        """``encodings`` are those of all topics of the process."""
        self.name = name
        self.position = Position("", 0)
        self.contents: Sequence[Content] = CONTENTS
        """The contents that the rows have."""
        self._settled: Position | None = (
            None  # the position while rows and position belong together; None meanwhile
        )
        self.is_readable = True
        """Whether the topic can be read; otherwise none of its rows are sent."""
        self.is_current = True
        """Whether no change is known to be missing; otherwise heartbeats leave the topic out."""
        self.recoveries = 0
        """How often the topic became readable again: subscribers then get another answer."""
        self._life = 0
        self._changed_at = 0  # offset of the last change that is visible to subscribers
        self._touched_at = 0  # no entry from this offset on is a signal; never below ``_changed_at``
        self.hides_rows = True
        """Whether the table has rows that subscribers may not see: writes to these rows send no signal."""
        self._has_signals = False  # whether a subscriber has received signals
        self.signalled = 0
        """How many subscriptions receive signals."""
        self.fetches_per_second = 50.0
        """How many of these subscriptions may request their page again in a second because of a signal."""
        self._content_reach: dict[Content, int] = {}  # the offset below which cursors lack each
        self._rows: dict[str, Row] = {}
        self._kept = KeptChanges(max_kept_changes, max_kept_bytes)
        self._max_part_bytes = max_part_bytes
        # Between these offsets the topic may have had states that the log does not show.
        self._blind: deque[tuple[int, int]] = deque(maxlen=MAX_KEPT_CHANGES)
        self._blind_reach = 0  # below this offset such intervals are no longer known
        self._furthest = 0  # the highest offset that a client named
        self._snapshots: dict[WireFormat, SnapshotParts] = {}  # the newest
        self._encodings = encodings or Encodings()
        self._token = object()  # represents this topic in ``_encodings``
        self._digests: dict[Format, int] = {}  # of the formats that subscribers use
        self._cohorts: dict[WireFormat, Cohort] = {}

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self._rows)

    @property
    def rows(self) -> list[Row]:
        """All rows, in order."""
        return sorted(self._rows.values(), key=lambda row: (row.order, row.key))

    @property
    def state(self) -> Position | None:
        """The position, another object after each change; None while one is applied. May be read from any thread."""
        return self._settled

    def frozen(self) -> tuple[Position, list[Row]] | None:
        """Return the state with all its rows, in order; None while a change is applied. Callable from any thread.

        It takes no lock, because the event loop would wait for it: the interpreter copies the rows in one step, and
        they belong to the state if that is the same before and after.
        """
        state = self._settled
        rows = list(self._rows.values())
        if state is None or state is not self._settled:
            return None
        return state, sorted(rows, key=lambda row: (row.order, row.key))

    def set_readable(self, is_readable: bool) -> bool:
        """Set whether the topic can be read; return whether that has changed."""
        if is_readable == self.is_readable:
            return False
        self.is_readable = is_readable
        self.recoveries += is_readable
        return True

    def set_current(self, is_current: bool) -> bool:
        """Set whether no change is known to be missing; return whether that has changed."""
        is_different, self.is_current = is_current != self.is_current, is_current
        return is_different

    def differing(self, rows: Iterable[Row]) -> list[str]:
        """Return the keys of the rows that are missing here, are not among ``rows``, or have other contents."""
        return differing(self._rows, {row.key: row for row in rows})

    # ------------------------------------------------------------ applying the log

    def compared(self, rows: Iterable[Row], contents: Sequence[Content] = CONTENTS) -> Replacement:
        """Return the argument of ``load`` that replaces all rows; in any thread, while nothing is applied or loaded.

        ``contents`` are the contents of the rows. Contents that the topic did not have before count as no change of a
        row: they have no subscribers.
        """
        fresh = {row.key: row for row in rows}
        is_narrower = set(contents) <= set(self.contents)
        return compare(self._rows, fresh, self._digests, contents, is_narrower=is_narrower)

    def load(self, position: Position, rows: Iterable[Row] | Replacement, unchanged_since: int) -> bool:
        """Replace all rows by those as of ``position``; return whether subscribers have news.

        Shape: ``rows`` may have been compared before, if nothing was applied or loaded since.
        Units: ``unchanged_since`` is the offset since which the topic has had these rows: cursors from
               there on need no snapshot.
        """
        new = rows if isinstance(rows, Replacement) else self.compared(rows)
        added = set(new.contents) - set(self.contents)
        if position == self.position and not new.changes and not added:
            return False
        self._settled = None
        here = self.position
        is_later = position.epoch == here.epoch and position.offset > here.offset
        self._rows, self._digests, self.contents = new.rows, new.digests, new.contents
        if added:  # the kept changes lack these contents
            reach = max(self._changed_at, min(unchanged_since, position.offset))
            self._content_reach |= dict.fromkeys(added, reach)
        if position == here and not new.changes:
            self._settled = Position(here.epoch, here.offset)
            return False
        if is_later:
            until = unchanged_since or position.offset
            return self._advance(here.offset, position.offset, new.changes, new.size, until)
        # Other rows at the same position: what they depend on is not in the database (the time), and clients drop
        # changes that do not lead further. Or another epoch, or the same one restored to an earlier state: no
        # offset known here compares.
        self._life += 1
        self._blind.clear()
        self._content_reach.clear()
        self._furthest = self._blind_reach = 0
        self.position = position
        self._changed_at = self._touched_at = min(unchanged_since, position.offset)
        self._kept.begin_at(self._changed_at)
        self._forget_encodings()
        self._settled = Position(position.epoch, position.offset)  # the caller's object may be a former state
        return True

    def apply(self, after: int, begins: int, position: int, changes: Iterable[Change]) -> bool:
        """Apply the log's changes between ``after`` and ``position``; return whether subscribers have news.

        Drop changes at or below the topic's position, deletes of unknown rows, which could disclose rows
        outside the topic, and upserts that change nothing. This is right for subscribers that have these
        rows. A page rendered between ``begins`` and ``position`` may have others (a row that was created
        and deleted in between); ``advance`` gives it a snapshot.

        Units: offsets. The topic was unchanged from ``after`` to ``begins``.
        Raises: Gap, if changes between the topic's position and ``after`` are missing.
        """
        here = self.position.offset
        if position <= here:
            return False
        if after > here:
            raise Gap(here, after)
        within = (change.within(self.contents) for change in changes)
        visible = [change for change in within if self._is_visible(change)]
        self._settled = None
        for change in visible:
            self._replace(change.key, None if change.op == "delete" else change.upserted())
        size = sum(map(messages.contents_size, visible))
        return self._advance(begins, position, visible, size, position)

    def _advance(self, begins: int, position: int, visible: Sequence[Change], size: int, until: int) -> bool:
        """Move to a position after changes were applied; return whether subscribers have news.

        Units: offsets. The topic was unchanged from its position to ``begins``, and from ``until`` to ``position``.
        """
        here = self.position.offset
        self.position = Position(self.position.epoch, position)
        self._note_blind(max(begins, here), until)
        if visible:
            self._kept.keep(
                ChangeSet(self._changed_at, position, visible, size, is_explained=until == position)
            )
            self._changed_at = position
        # The log has no change of a row that was created and deleted between two rounds, but a page may show it.
        is_signal = self._has_signals and not self.hides_rows
        self._touched_at = max(self._touched_at, self._changed_at, 0 if self.hides_rows else until)
        if visible or is_signal:
            self._forget_encodings()
        self._settled = self.position
        return bool(visible) or self._furthest > here or is_signal

    def _replace(self, key: str, row: Row | None) -> None:
        """Replace the row of a key, None for no row, and keep the digests in step."""
        present = self._rows.pop(key, None) if row is None else self._rows.get(key)
        if row is not None:
            self._rows[key] = row
        for format in self._digests:
            for each in (present, row):
                if each is not None:
                    self._digests[format] ^= each.digest_in(format)

    def _note_blind(self, begins: int, ends: int) -> None:
        """Note that a page rendered within this interval may show rows that the log does not explain."""
        if ends - begins > 1:
            if len(self._blind) == self._blind.maxlen:
                self._blind_reach = self._blind[0][1]
            self._blind.append((begins, ends))

    def _is_visible(self, change: Change) -> bool:
        present = self._rows.get(change.key)
        if change.op == "delete":
            return present is not None
        return present is None or not present.is_same(change.upserted())

    def _forget_encodings(self) -> None:
        for parts in self._snapshots.values():
            parts.is_newest = False
        self._snapshots.clear()
        self._encodings.forget(self._token)

    # ------------------------------------------------------------ serving subscribers

    def cursor(self, position: Position | None, wire_format: WireFormat) -> Cursor:
        """Return a cursor at a position that a client named; without an offset if its epoch is another one."""
        self._has_signals |= wire_format.has_signals
        if position is None or position.epoch != self.position.epoch:
            return Cursor(wire_format)
        self._furthest = max(self._furthest, position.offset)
        return Cursor(wire_format, position.offset, self._life, is_ahead=True)

    def position_of(self, cursor: Cursor) -> Position | None:
        """Return the position of a cursor; None if it needs a snapshot."""
        if cursor.offset is None or cursor.life != self._life:
            return None
        return Position(self.position.epoch, cursor.offset)

    def digest(self, format: Format) -> int:
        """Return the xor of the digests of all rows; computed on first use, then kept in step with them."""
        if format not in self._digests:
            self._digests[format] = digest_of(self._rows.values(), format)
        return self._digests[format]

    def digest_at(self, cursor: Cursor) -> int | None:
        """Return the digest of the rows at a cursor; None if they are not the present ones, or not known here."""
        is_known = cursor.life == self._life and not cursor.is_ahead and cursor.wire_format.format != "signal"
        if cursor.offset is None or not is_known or cursor.offset < self._changed_at:
            return None
        return self.digest(cursor.wire_format.format)

    def has_news(self, cursor: Cursor) -> bool:
        """Return whether ``advance`` would return messages, without making them."""
        try:
            return bool(self._missed(cursor)) or self._has_signal(cursor)
        except Unrecoverable:
            return True

    def signal_of(self, cursor: Cursor) -> int | UnsetType:
        """Return the offset since which nothing of the topic may have changed, if messages to a cursor have it.

        A page may be ahead of this process; it gets no signal for entries up to its own position.
        """
        if not cursor.wire_format.has_signals:
            return UNSET
        return max(self._touched_at, cursor.offset or 0) if cursor.is_ahead else self._touched_at

    def spread_of(self, wire_format: WireFormat) -> float | UnsetType:
        """Return over how many seconds those that receive signals should spread their requests; unset below 0.1."""
        seconds = round(self.signalled / self.fetches_per_second, 1)
        return seconds if wire_format.has_signals and seconds else UNSET

    def _has_signal(self, cursor: Cursor) -> bool:
        """Whether the log has an entry after the cursor, even one without a visible change."""
        return (
            cursor.wire_format.has_signals and (cursor.offset or 0) < self._touched_at and not cursor.is_ahead
        )

    def advance(self, cursor: Cursor) -> Sequence[Encoded]:
        """Move the cursor to this position; return the messages that bring its client there, none if it is there."""
        try:
            missed = self._missed(cursor)
            encoded = self._encoded(missed, cursor.wire_format) if missed else None
        except Unrecoverable:
            return self._restart(cursor)
        if encoded is not None:
            if not 0 < len(encoded) <= self._max_part_bytes:
                return self._restart(cursor)
            cursor.offset = self._changed_at
        news = [] if encoded is None else [encoded]
        if self._has_signal(cursor):
            news.append(self._signal(cursor))
            cursor.offset = self._touched_at
        return news

    def _signal(self, cursor: Cursor) -> Encoded:
        """Return a ``changes`` message without changes: it says only that the log has an entry."""
        after, wire_format = cursor.offset or 0, cursor.wire_format
        encoded = self._encodings.get(self._token, (after, wire_format, "signal"))
        if encoded is None:
            position = Position(self.position.epoch, self._touched_at)
            changes = messages.Changes(
                self.name, after, str(position), [], spread_seconds=self.spread_of(wire_format)
            )
            encoded = messages.encode(changes, wire_format.encoding)
            self._encodings.keep(self._token, (after, wire_format, "signal"), encoded)
        return encoded

    def since(self, cursor: Cursor) -> ChangeSet | None:
        """Return the changes after a cursor, merged by row; None if there are none.

        Raises: Unrecoverable, if the kept changes do not reach back to it, or a snapshot is shorter.
        """
        missed = self._missed(cursor)
        return self._merged(missed) if missed else None

    def _missed(self, cursor: Cursor) -> list[ChangeSet]:
        """Return the kept changes that a cursor has not seen.

        Raises: Unrecoverable, if they do not reach back to it.
        """
        reach = self._kept.reach
        if self._content_reach:
            reaches = [self._content_reach.get(each, 0) for each in contents_of(cursor.wire_format.format)]
            reach = max(reach, *reaches, 0)
        if cursor.offset is None or cursor.life != self._life or cursor.offset < reach:
            raise Unrecoverable(cursor.offset, reach)
        if cursor.is_ahead and cursor.offset <= self.position.offset:
            cursor.is_ahead = False
            is_blind = any(begins < cursor.offset < ends for begins, ends in self._blind)
            if is_blind or cursor.offset < self._blind_reach:
                raise Unrecoverable(cursor.offset, self.position.offset)
        if cursor.offset >= self._changed_at:
            return []
        return self._kept.since(cursor.offset)

    def _merged(self, missed: Sequence[ChangeSet]) -> ChangeSet:
        """Raises: Unrecoverable, if a snapshot is shorter."""
        if len(missed) == 1:
            return missed[0]
        changes = {change.key: change for kept in missed for change in kept.changes}
        if len(changes) > len(self._rows):
            raise Unrecoverable(missed[0].after, self._kept.reach)
        is_explained = all(kept.is_explained for kept in missed)
        return ChangeSet(missed[0].after, self._changed_at, list(changes.values()), is_explained=is_explained)

    def _encoded(self, missed: Sequence[ChangeSet], wire_format: WireFormat) -> Encoded:
        """Return missed changes as one message; an empty one if they are longer than a part of a snapshot.

        Raises: Unrecoverable, if a snapshot is shorter.
        """
        name, epoch, spread = self.name, self.position.epoch, self.spread_of(wire_format)
        if len(missed) == 1:
            is_long = missed[0].is_longer_than(self._max_part_bytes, wire_format.format)
            return "" if is_long else missed[0].encoded(name, epoch, wire_format, spread)
        key = missed[0].after, wire_format
        encoded = self._encodings.get(self._token, key)
        if encoded is None:
            if any(kept.is_longer_than(self._max_part_bytes, wire_format.format) for kept in missed):
                encoded = ""
            else:
                encoded = self._merged(missed).encoded(name, epoch, wire_format, spread)
                if len(encoded) > self._max_part_bytes:
                    encoded = ""
            self._encodings.keep(self._token, key, encoded)
        return encoded

    def _restart(self, cursor: Cursor) -> Sequence[Encoded]:
        wire_format = cursor.wire_format
        parts = self._snapshots.get(wire_format)
        if parts is None:
            parts = self._snapshots[wire_format] = SnapshotParts(
                self.name,
                self.position,
                self.rows if wire_format.format != "signal" else [],
                wire_format,
                self._max_part_bytes,
                self._encodings,
                self._token,
                self._touched_at if wire_format.has_signals else UNSET,
                self.spread_of(wire_format),
            )
        # Not this position: the topic may have advanced to it since, without a visible change.
        cursor.offset, cursor.life, cursor.is_ahead = parts.position.offset, self._life, False
        return parts

    # ------------------------------------------------------------ cohorts

    def cohort_at(self, cursor: Cursor, answered: int) -> Cohort | None:
        """Return the cohort for a cursor; None if the cursor, or the cohort, is not at the newest state.

        ``answered``: the topic's ``recoveries`` when the subscriber was last answered.
        """
        is_newest = (
            cursor.offset is not None and cursor.offset >= self._changed_at and cursor.life == self._life
        ) and not self._has_signal(cursor)
        is_vouched_for = self.is_readable and self.is_current and answered == self.recoveries
        if not is_newest or cursor.is_ahead or not is_vouched_for:
            return None
        cohort = self._cohorts.get(cursor.wire_format)
        if not cohort:
            cohort = self._cohorts[cursor.wire_format] = Cohort(cursor, answered)
        return cohort if cohort.cursor == cursor and cohort.recoveries == answered else None

    @property
    def members(self) -> list[Hashable]:
        """The members of cohorts that have been sent everything that was delivered."""
        return [member for cohort in self._cohorts.values() for member in cohort.members]

    def deliver(self, at_once: int) -> Iterator[None]:
        """Send the news to the cohorts, to ``at_once`` members before each yield.

        Subscribers that are not among ``members`` afterwards must be notified, and leave their cohort then: their
        sockets do not accept a write at once, or the changes are more than one message.
        """
        for wire_format, cohort in list(self._cohorts.items()):
            cursor = cohort.cursor.copy()
            is_vouched_for = self.is_readable and self.is_current and cohort.recoveries == self.recoveries
            try:
                news = self.advance(cursor) if is_vouched_for else ()
            except Exception:
                # It concerns this wire format: its members get it when they are notified, other cohorts do not.
                del self._cohorts[wire_format]
                continue
            if len(news) == 1 and cohort.has_room_for(news[0]):
                yield from cohort.send(news[0], cursor, at_once)
            elif news or not is_vouched_for:
                del self._cohorts[wire_format]
