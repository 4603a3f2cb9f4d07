"""The messages of one snapshot, each encoded when it is to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import messages
from .encodings import Encodings
from .messages import Encoded, Form, Row
from .position import Position


class SnapshotParts(Sequence[Encoded]):
    """A topic's rows at a position as messages below a size limit, unless a single row exceeds it.

    Encodings are shared while the snapshot is the topic's newest. Later a client that reads slowly keeps only its rows
    in memory, most of which are those of newer snapshots too.
    """

    def __init__(
        self,
        topic: str,
        position: Position,
        rows: Sequence[Row],
        form: Form,
        max_part_bytes: int,
        encodings: Encodings,
        owner: object,
    ) -> None:
        """``owner`` is the object by which ``encodings`` know the topic."""
        self.position = position
        self.is_newest = True
        self._topic, self._rows, self._form = topic, rows, form
        self._encodings, self._owner = encodings, owner
        self._starts = [0]
        size = 0
        for index, row in enumerate(rows):
            row_bytes = messages.encoded_size(row.narrowed(form.format))
            if index > self._starts[-1] and size + row_bytes > max_part_bytes:
                self._starts.append(index)
                size = 0
            size += row_bytes

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:
        """Return one message."""
        number = range(len(self._starts))[index]
        encoded = self._encodings.get(self._owner, (self._form, number)) if self.is_newest else None
        if encoded is None:
            encoded = self._encode(number)
            if self.is_newest:
                self._encodings.keep(self._owner, (self._form, number), encoded)
        return encoded

    def _encode(self, number: int) -> Encoded:
        is_last = number + 1 == len(self._starts)
        rows = self._rows[self._starts[number] : None if is_last else self._starts[number + 1]]
        narrowed = [row.narrowed(self._form.format) for row in rows]
        snapshot = messages.Snapshot(self._topic, str(self.position), narrowed, more=not is_last)
        return messages.encode(snapshot, self._form.encoding)
