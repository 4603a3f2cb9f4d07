"""A position: one snapshot of the database, named by an epoch and an integer."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import BadPosition

# The largest offset that SQLite, PostgreSQL and msgpack can all hold.
_MAX_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Position:
    """A reader's place in the log.

    Shape: ``epoch`` names the log's life (lower-case letters and digits, empty before it has begun);
           ``offset`` orders the snapshots of that life by inclusion. Offsets of two epochs do not compare.
    """

    epoch: str
    offset: int

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that ``str()`` wrote.

        Raises: BadPosition, if the text is not ``<epoch>.<integer>``.
        """
        epoch, dot, digits = text.partition(".")
        well_formed = dot and len(text) <= 64 and (epoch.isalnum() or not epoch)
        if not well_formed or not (digits.isascii() and digits.isdigit()):
            raise BadPosition(text)
        offset = int(digits)
        if offset > _MAX_OFFSET:
            raise BadPosition(text)
        return cls(epoch, offset)

    def covers(self, other: Position) -> bool:
        """Return whether the snapshot of this position includes everything that the snapshot of another one does."""
        return self.epoch == other.epoch and self.offset >= other.offset

    def __str__(self) -> str:
        return f"{self.epoch}.{self.offset}"
