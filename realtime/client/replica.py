"""A client's copy of one topic: applies the messages of the server, and says when it must subscribe again.

Pure: no input, output or clock. It follows docs/protocol.md, "How a client stays exact".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import xor
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ..engine import messages
from ..engine.messages import Heartbeat, ServerMessage, Snapshot, Subscribe
from ..engine.position import Position

Format = Literal["rows", "html"]
"""The contents of rows: the feed's fields, or HTML."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row that has changed in a topic.

    Shape:  ``row`` is the row as it is now: the feed's fields as a dictionary, or its HTML; None after a delete.
            ``before`` has the earlier values, None if the row is new.
    """

    op: Literal["upsert", "delete"]
    key: str
    row: Any
    before: Any
    position: str


@dataclass(frozen=True, slots=True)
class _Held:
    order: str
    contents: bytes
    digest: int | UnsetType
    value: Any


class Replica:
    """The rows of one topic as of ``position``."""

    def __init__(self, topic: str, format: messages.Format = "rows") -> None:
        if format not in ("rows", "html", "signal"):
            raise ValueError(f"format {format!r} does not exist; write 'rows' for values or 'html' for HTML")
        self.topic, self.format = topic, format
        self.position: Position | None = None
        self.must_subscribe = False
        """Whether the client must subscribe again, with ``subscription``."""
        self.is_vouched_for = False
        """Whether the last message of the server confirmed that the rows are current."""
        self.must_restart = False
        """Whether this subscription requests a snapshot, because the digest of the rows is not the server's."""
        self.corrections = 0
        """How often the digest of the rows was not the server's, so that a snapshot was requested."""
        self._held: dict[str, _Held] = {}
        self._rows: Mapping[str, Any] | None = None
        self._parts: dict[str, _Held] = {}
        self._parts_position = ""

    @property
    def rows(self) -> Mapping[str, Any]:
        """The rows by key, in the topic's order."""
        if self._rows is None:
            in_order = sorted(self._held.items(), key=lambda item: (item[1].order, item[0]))
            self._rows = MappingProxyType({key: held.value for key, held in in_order})
        return self._rows

    @property
    def digest(self) -> int | None:
        """The xor of the digests of the rows; None if the server sends none."""
        digests = [held.digest for held in self._held.values()]
        return None if UNSET in digests else reduce(xor, digests, 0)

    def subscription(self) -> Subscribe:
        """Return the message that resumes where the rows are, or requests a snapshot."""
        is_resuming = self.position is not None and not self.must_restart
        self.must_subscribe = self.must_restart = False
        self._parts, self._parts_position = {}, ""
        return Subscribe(self.topic, str(self.position) if is_resuming else None, self.format)

    def receive(self, message: ServerMessage) -> list[Change]:
        """Apply a message; return the changes of rows."""
        match message:
            case Snapshot(topic=self.topic):
                return self._collect(message)
            case messages.Changes(topic=self.topic):
                return self._apply(message)
            case Heartbeat():
                self._compare(message)
            case messages.Error(topic=self.topic):
                self.is_vouched_for = False
        return []

    def _collect(self, part: Snapshot) -> list[Change]:
        """Keep a part of a snapshot; with the last one, replace all rows."""
        if part.position != self._parts_position:
            self._parts, self._parts_position = {}, part.position
        self._parts.update((row.key, self._of(row)) for row in part.rows)
        if part.more:
            return []
        fresh, self._parts, self._parts_position = self._parts, {}, ""
        gone = [(key, None) for key in self._held if key not in fresh]
        differing = [(key, held) for key, held in fresh.items() if not _is_same(self._held.get(key), held)]
        self.position, self.is_vouched_for = Position.parse(part.position), True
        return self._replace([*gone, *differing])

    def _apply(self, message: messages.Changes) -> list[Change]:
        position, mine = Position.parse(message.position), self.position
        if mine is None or position.epoch != mine.epoch:
            self.must_subscribe = True
            return []
        changes: list[Change] = []
        if position.offset > mine.offset:
            if message.after > mine.offset:
                self.must_subscribe = True
                return []
            self.position = position
            changes = self._replace(
                (each.key, None if each.op == "delete" else self._of(each)) for each in message.changes
            )
        if position == self.position:
            self.is_vouched_for = True
            self._verify(message.digest)
        return changes

    def _compare(self, heartbeat: Heartbeat) -> None:
        named = heartbeat.positions.get(self.topic)
        self.is_vouched_for = named is not None and self.position is not None
        if named is None or self.position is None:
            return
        theirs = Position.parse(named)
        if theirs == self.position:
            self._verify(heartbeat.digests.get(self.topic, UNSET))
        elif not self.position.covers(theirs):
            self.must_subscribe, self.is_vouched_for = True, False

    def _verify(self, digest: int | UnsetType) -> None:
        """Have a snapshot requested if the digest of the rows is not the server's at this position."""
        if digest is UNSET or self.digest is None or digest == self.digest:
            return
        self.corrections += not self.must_restart
        self.must_subscribe, self.must_restart, self.is_vouched_for = True, True, False

    def _replace(self, rows: Iterable[tuple[str, _Held | None]]) -> list[Change]:
        """Replace rows, given by key, None for a deleted one; return those that differ."""
        changes: list[Change] = []
        for key, held in rows:
            before = self._held.pop(key, None)
            if held is not None:
                self._held[key] = held
            if not _is_same(before, held):
                value = None if held is None else held.value
                was = None if before is None else before.value
                op: Literal["upsert", "delete"] = "delete" if held is None else "upsert"
                changes.append(Change(op, key, value, was, str(self.position)))
        self._rows = None if changes else self._rows
        return changes

    def _of(self, row: messages.Row | messages.Change) -> _Held:
        order = "" if isinstance(row.order, UnsetType) else row.order
        if self.format == "html":
            html = "" if isinstance(row.html, UnsetType) else row.html
            return _Held(order, html.encode(), row.digest, html)
        contents = b"null" if isinstance(row.row, UnsetType) else bytes(row.row)
        return _Held(order, contents, row.digest, msgspec.json.decode(contents))


def _is_same(one: _Held | None, other: _Held | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.order, one.contents) == (other.order, other.contents)
