"""A cursor: how far one subscriber, or a cohort of them, has been sent the changes of a topic."""

from __future__ import annotations

from dataclasses import dataclass

from .messages import WireFormat


@dataclass(slots=True)
class Cursor:
    """The position that one subscriber has been sent.

    Shape: ``offset`` None means that the subscriber needs a snapshot. ``life`` is the topic's at the time of
           the offset: offsets of two lives do not compare. ``is_ahead`` means that the client named a
           position that this process may not have reached yet.
    """

    wire_format: WireFormat
    offset: int | None = None
    life: int = 0
    is_ahead: bool = False

    def copy(self) -> Cursor:
        return Cursor(self.wire_format, self.offset, self.life, self.is_ahead)
