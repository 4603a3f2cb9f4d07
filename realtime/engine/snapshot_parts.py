"""The messages of one snapshot, each encoded when it is to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from . import messages
from .encodings import Encodings
from .messages import Encoded, Row, WireFormat
from .position import Position


class SnapshotParts(Sequence[Encoded]):
    """A topic's rows at a position as messages below a size limit, unless a single row exceeds it.

    Encodings are shared while the snapshot is the topic's newest. Later a client that reads slowly keeps only the rows
    in memory, most of which newer snapshots share.
    """

    def __init__(
        self,
        topic: str,
        position: Position,
        rows: Sequence[Row],
        wire_format: WireFormat,
        max_part_bytes: int,
        encodings: Encodings,
        owner: object,
        signal: int | UnsetType = UNSET,
        spread: float | UnsetType = UNSET,
    ) -> None:
        """``owner`` is the object by which ``encodings`` know the topic; ``signal`` and ``spread`` its messages'."""
        self.position = position
        self.is_newest = True
        self._topic, self._rows, self._wire_format, self._signal = topic, rows, wire_format, signal
        self._spread = spread
        self._encodings, self._owner = encodings, owner
        self._max_part_bytes = max_part_bytes
        self._starts = [0]  # of the parts that are known
        self._are_all_known = False
        self._first: tuple[list[Row], bool] | None = self._divide(0)  # until it is encoded

    def __len__(self) -> int:
        """Return the number of known parts: until all are known, one more than were returned; 1 for a single part.

        Dividing 50,000 rows takes long, so it is done while they are sent.
        """
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:
        """Return one message."""
        while (index < 0 or index >= len(self._starts)) and not self._are_all_known:
            self._divide(len(self._starts) - 1)
        number = range(len(self._starts))[index]
        encoded = self._encodings.get(self._owner, (self._wire_format, number)) if self.is_newest else None
        if encoded is None:
            rows, is_last = self._first if number == 0 and self._first else self._divide(number)
            self._first = None
            snapshot = messages.Snapshot(
                self._topic, str(self.position), rows, not is_last, self._signal, self._spread
            )
            encoded = messages.encode(snapshot, self._wire_format.encoding)
            if self.is_newest:
                self._encodings.keep(self._owner, (self._wire_format, number), encoded)
        return encoded

    def _divide(self, number: int) -> tuple[list[Row], bool]:
        """Return the rows of a known part as they are sent, and whether it is the last; if not, the next is known."""
        rows: list[Row] = []
        size = 0
        for index in range(self._starts[number], len(self._rows)):
            row = self._rows[index].narrowed(self._wire_format.format)
            size += messages.encoded_size(row)
            if rows and size > self._max_part_bytes:
                if number + 1 == len(self._starts):
                    self._starts.append(index)
                return rows, False
            rows.append(row)
        self._are_all_known = True
        return rows, True
