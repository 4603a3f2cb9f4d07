"""Kept changes: the newest changes of a topic. Most cursors reach its position by these, without a snapshot."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from . import messages
from .messages import Change, Encoded, Format, WireFormat
from .position import Position


@dataclass(slots=True)
class ChangeSet:
    """Changes that lead from any position in [after, position) to ``position``.

    ``is_explained``: whether the log has these changes; otherwise a reading of the rows found them, and a position does
    not say whether a client has seen them.
    Units: ``size`` is that of the contents in bytes.
    """

    after: int
    position: int
    changes: Sequence[Change]
    size: int = 0
    is_explained: bool = True
    _encoded: dict[WireFormat, Encoded] = field(default_factory=dict)
    _sizes: dict[Format, int] = field(default_factory=dict)

    def is_longer_than(self, size: int, format: Format) -> bool:
        """Return whether the contents in one format have more bytes; then their message has more, too."""
        if self.size <= size:
            return False
        if format not in self._sizes:
            self._sizes[format] = sum(messages.contents_size(change, format) for change in self.changes)
        return self._sizes[format] > size

    def encoded(
        self, topic: str, epoch: str, wire_format: WireFormat, spread: float | UnsetType = UNSET
    ) -> Encoded:
        """Return the ``changes`` message, encoded once per wire format for all subscribers of this process."""
        if wire_format not in self._encoded:
            message = messages.Changes(
                topic=topic,
                after=self.after,
                position=str(Position(epoch, self.position)),
                changes=[change.narrowed(wire_format.format) for change in self.changes]
                if wire_format.format != "signal"
                else [],
                signal=None if wire_format.has_signals and not self.is_explained else UNSET,
                spread_seconds=spread,
            )
            self._encoded[wire_format] = messages.encode(message, wire_format.encoding)
        return self._encoded[wire_format]

    def forget_encodings(self) -> None:
        self._encoded.clear()


class KeptChanges:
    """The newest change sets of one life of a topic, each of which begins where the one before ends."""

    def __init__(self, max_changes: int, max_bytes: int) -> None:
        self.reach = 0
        """Cursors below this offset cannot be served."""
        self._sets: deque[ChangeSet] = deque()
        self._changes = self._bytes = 0
        self._max_changes, self._max_bytes = max_changes, max_bytes

    def __iter__(self) -> Iterator[ChangeSet]:
        return iter(self._sets)

    @property
    def newest(self) -> ChangeSet:
        return self._sets[-1]

    def begin_at(self, offset: int) -> None:
        """Drop all kept changes: the next change follows on this offset."""
        self._sets.clear()
        self._changes = self._bytes = 0
        self.reach = offset

    def keep(self, change_set: ChangeSet) -> None:
        """Keep one more change set, and drop the oldest ones beyond the limits."""
        if self._sets:
            self.newest.forget_encodings()  # from now on it is sent merged with later ones
        self._sets.append(change_set)
        self._changes += len(change_set.changes)
        self._bytes += change_set.size
        # The newest stays whatever its size: it is about to be sent to all subscribers.
        while len(self._sets) > 1 and (self._changes > self._max_changes or self._bytes > self._max_bytes):
            oldest = self._sets.popleft()
            self._changes -= len(oldest.changes)
            self._bytes -= oldest.size
            self.reach = oldest.position

    def since(self, offset: int) -> list[ChangeSet]:
        """Return the sets that a cursor has not seen, oldest first. Its offset must not be below ``reach``."""
        if self._sets and self.newest.after <= offset < self.newest.position:
            return [self.newest]  # without looking at the others
        return [each for each in self._sets if each.position > offset]
