"""One topic as a process holds it: its rows as of a position, and the recent changes that led there.

Pure: the hub feeds it what the log says, sessions ask it what their cursors have not seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from . import messages
from .errors import Gap, Unrecoverable
from .messages import Change, Encoded, Form, Format, Row
from .position import Position

MAX_PART_BYTES = 256 * 1024
MAX_HELD_CHANGES = 2000
MAX_HELD_BYTES = 1024 * 1024


@dataclass(slots=True)
class ChangeSet:
    """Changes that lead from any position in [after, position) to ``position``; ``size`` of their contents in bytes."""

    after: int
    position: int
    changes: Sequence[Change]
    size: int = 0
    _encoded: dict[Form, Encoded] = field(default_factory=dict)

    def encoded(self, topic: str, epoch: str, form: Form) -> Encoded:
        """Return the ``changes`` message, encoded once for all subscribers of this process."""
        if form not in self._encoded:
            message = messages.Changes(
                topic=topic,
                after=self.after,
                position=str(Position(epoch, self.position)),
                changes=[change.narrowed(form.format) for change in self.changes],
            )
            self._encoded[form] = messages.encode(message, form.encoding)
        return self._encoded[form]

    def forget_encodings(self) -> None:
        self._encoded.clear()


@dataclass(slots=True)
class Cursor:
    """How far one subscriber has been brought; ``offset`` None: it needs a snapshot.

    ``life`` is the topic's when the offset was taken: offsets of two lives do not compare.
    ``is_ahead``: the client named a position that this process has not come to yet.
    """

    form: Form
    offset: int | None = None
    life: int = 0
    is_ahead: bool = False


class Topic:
    """The rows of one topic at ``position``, with enough of the past to bring most cursors there."""

    def __init__(
        self,
        name: str,
        max_held_changes: int = MAX_HELD_CHANGES,
        max_held_bytes: int = MAX_HELD_BYTES,
        max_part_bytes: int = MAX_PART_BYTES,
    ):
        self.name = name
        self.position = Position("", 0)
        self._life = 0
        self._changed_at = 0  # offset of the last change that a subscriber could see
        self._reach = 0  # cursors below this offset cannot be served from the held changes
        self._rows: dict[str, Row] = {}
        self._held: deque[ChangeSet] = deque()
        self._held_changes = 0
        self._held_bytes = 0
        self._max_held_changes, self._max_held_bytes = max_held_changes, max_held_bytes
        self._max_part_bytes = max_part_bytes
        # Between these offsets the topic changed in ways that were not seen one by one.
        self._blind: deque[tuple[int, int]] = deque(maxlen=MAX_HELD_CHANGES)
        self._blind_reach = 0  # below this offset nobody remembers what was not seen
        self._furthest = 0  # the furthest position that a client named before this process came there
        self._parts: dict[Form, list[Encoded]] = {}
        self._merged: dict[int, ChangeSet] = {}

    @property
    def rows(self) -> list[Row]:
        """All rows, in order."""
        return sorted(self._rows.values(), key=lambda row: (row.order, row.key))

    # ------------------------------------------------------------ what the log says

    def load(self, position: Position, rows: Iterable[Row], unchanged_since: int) -> bool:
        """Take all rows as of ``position``; return whether subscribers have something to see.

        Units: ``unchanged_since`` is the offset from which on the topic has had these rows; it lets
               cursors since then go on without a snapshot.
        """
        fresh = {row.key: row for row in rows}
        if position.epoch == self.position.epoch and position.offset >= self.position.offset:
            changes = [messages.delete(key) for key in self._rows if key not in fresh]
            changes += [row.upsert() for row in fresh.values()]
            held = self.position.offset
            return self.apply(held, held, position.offset, changes, same_from=unchanged_since)
        # Another life of the log, or the same one put back to an earlier day: nothing held compares.
        self._life += 1
        self._held.clear()
        self._blind.clear()
        self._held_changes = self._held_bytes = self._furthest = self._blind_reach = 0
        self._rows = fresh
        self.position = position
        self._reach = self._changed_at = min(unchanged_since, position.offset)
        self._forget_encodings()
        return True

    def apply(
        self, after: int, begins: int, position: int, changes: Iterable[Change], same_from: int = 0
    ) -> bool:
        """Apply what the log has between ``after`` and ``position``; return whether subscribers have news.

        What is already held is dropped. So is a delete of a row that is not here, which could tell of
        rows outside the topic, and an upsert of what is here already. That is right for who has seen
        what is here; a page painted between ``begins`` and ``position`` may have seen something else
        (a row that came and went in between), and ``advance`` gives it a snapshot.

        Units: offsets. The topic was unchanged from ``after`` to ``begins``, and from ``same_from``, if
               given, to ``position``.
        Raises: Gap, when something between the held position and ``after`` is missing.
        """
        held = self.position.offset
        if position <= held:
            return False
        if after > held:
            raise Gap(held, after)
        visible = [change for change in changes if self._shows(change)]
        self.position = Position(self.position.epoch, position)
        self._see_blindly(max(begins, held), same_from or position)
        if visible:
            for change in visible:
                if change.op == "delete":
                    del self._rows[change.key]
                else:
                    self._rows[change.key] = change.upserted()
            size = sum(map(messages.contents_size, visible))
            self._hold(ChangeSet(self._changed_at, position, visible, size))
            self._changed_at = position
            self._forget_encodings()
        return bool(visible) or self._furthest > held

    def _see_blindly(self, begins: int, ends: int) -> None:
        if ends - begins > 1:
            if len(self._blind) == self._blind.maxlen:
                self._blind_reach = self._blind[0][1]
            self._blind.append((begins, ends))

    def _shows(self, change: Change) -> bool:
        held = self._rows.get(change.key)
        if change.op == "delete":
            return held is not None
        return held is None or not held.is_same(change.upserted())

    def _hold(self, change_set: ChangeSet) -> None:
        if self._held:
            self._held[-1].forget_encodings()  # who has not seen this one gets it merged
        self._held.append(change_set)
        self._held_changes += len(change_set.changes)
        self._held_bytes += change_set.size
        # The newest stays whatever its size: everybody is about to be sent it.
        while len(self._held) > 1 and self._is_over():
            oldest = self._held.popleft()
            self._held_changes -= len(oldest.changes)
            self._held_bytes -= oldest.size
            self._reach = oldest.position

    def _is_over(self) -> bool:
        return self._held_changes > self._max_held_changes or self._held_bytes > self._max_held_bytes

    def _forget_encodings(self) -> None:
        self._parts.clear()
        self._merged.clear()

    # ------------------------------------------------------------ what subscribers ask

    def cursor(self, position: Position | None, form: Form) -> Cursor:
        """Return a cursor at a position a client named; without an offset when it names another life."""
        if position is None or position.epoch != self.position.epoch:
            return Cursor(form)
        self._furthest = max(self._furthest, position.offset)
        return Cursor(form, position.offset, self._life, is_ahead=True)

    def position_of(self, cursor: Cursor) -> Position | None:
        """Return where that cursor stands, for a heartbeat."""
        if cursor.offset is None or cursor.life != self._life:
            return None
        return Position(self.position.epoch, cursor.offset)

    def advance(self, cursor: Cursor) -> Sequence[Encoded]:
        """Bring the cursor here; return the messages that bring its client along, none when it saw all."""
        try:
            change_set = self.since(cursor)
        except Unrecoverable:
            return self._restart(cursor)
        if change_set is None:
            return []
        encoded = change_set.encoded(self.name, self.position.epoch, cursor.form)
        if len(encoded) > self._max_part_bytes:
            return self._restart(cursor)
        cursor.offset = change_set.position
        return [encoded]

    def since(self, cursor: Cursor) -> ChangeSet | None:
        """Return what a cursor has not seen, merged by row; None when it has seen all.

        Raises: Unrecoverable, when the held changes do not reach back to it, or a snapshot is shorter.
        """
        if cursor.offset is None or cursor.life != self._life or cursor.offset < self._reach:
            raise Unrecoverable(cursor.offset, self._reach)
        if cursor.is_ahead and cursor.offset <= self.position.offset:
            cursor.is_ahead = False
            is_blind = any(begins < cursor.offset < ends for begins, ends in self._blind)
            if is_blind or cursor.offset < self._blind_reach:
                raise Unrecoverable(cursor.offset, self.position.offset)
        if cursor.offset >= self._changed_at:
            return None
        last = self._held[-1]
        if last.after <= cursor.offset:
            return last
        missed = [held for held in self._held if held.position > cursor.offset]
        merged = self._merged.get(missed[0].after)
        if merged is None:
            changes = {change.key: change for held in missed for change in held.changes}
            if len(changes) > len(self._rows):
                raise Unrecoverable(cursor.offset, self._reach)
            merged = ChangeSet(missed[0].after, self._changed_at, list(changes.values()))
            self._merged[missed[0].after] = merged
        return merged

    def _restart(self, cursor: Cursor) -> Sequence[Encoded]:
        cursor.offset, cursor.life, cursor.is_ahead = self.position.offset, self._life, False
        if cursor.form not in self._parts:
            parts = self._snapshot(cursor.form.format)
            self._parts[cursor.form] = [messages.encode(part, cursor.form.encoding) for part in parts]
        return self._parts[cursor.form]

    def _snapshot(self, format: Format) -> Iterable[messages.Snapshot]:
        """Return the snapshot messages, each under the size limit unless one row alone is over it."""
        position = str(self.position)
        part: list[Row] = []
        size = 0
        for row in self.rows:
            narrowed = row.narrowed(format)
            row_bytes = messages.encoded_size(narrowed)
            if part and size + row_bytes > self._max_part_bytes:
                yield messages.Snapshot(self.name, position, part, more=True)
                part, size = [], 0
            part.append(narrowed)
            size += row_bytes
        yield messages.Snapshot(self.name, position, part, more=False)
