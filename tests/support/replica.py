"""A client's copy of a topic in Python, which follows only the rules of docs/protocol.md."""

from functools import reduce
from operator import xor

from msgspec import UNSET, UnsetType

from realtime.engine.messages import (
    Change,
    Changes,
    Error,
    Format,
    Heartbeat,
    Row,
    ServerMessage,
    Snapshot,
    Subscribe,
    decode_server,
    encode,
)
from realtime.engine.position import Position


class Replica:
    """The rows of one topic as of ``position``: ``rows`` maps each key to order key and contents.

    ``digests`` maps each key to what the server sent for it; ``corrections`` counts snapshots that were requested
    because their xor was not the server's. ``signal`` is the offset since which nothing may have changed.
    """

    def __init__(self, topic: str, format: Format = "rows") -> None:
        self.topic, self.format = topic, format
        self.position: Position | None = None
        self.rows: dict[str, tuple[str, bytes | str]] = {}
        self.digests: dict[str, int] = {}
        self.corrections = self.verified = 0
        self.behind_seconds = 0.0
        self.errors: list[Error] = []
        self.snapshots = self.signal = 0
        self._parts: dict[str, tuple[str, bytes | str]] = {}
        self._part_digests: dict[str, int] = {}
        self._parts_position = ""

    def subscription(self) -> str | bytes:
        """Return the subscribe message that resumes from the current position."""
        position = str(self.position) if self.position else None
        return encode(Subscribe(self.topic, position, self.format))

    def receive(self, message: str | bytes | ServerMessage) -> bool:
        """Apply a message; return whether the client must subscribe again."""
        if isinstance(message, str | bytes):
            message = decode_server(message)
        if isinstance(message, Snapshot | Changes) and message.topic == self.topic:
            at = Position.parse(message.position).offset
            self.signal = message.signal if isinstance(message.signal, int) else at
        match message:
            case Snapshot(topic=self.topic):
                if message.position != self._parts_position:
                    self._parts, self._part_digests = {}, {}
                self._parts_position = message.position
                for row in message.rows:
                    self._parts[row.key] = (row.order, self._contents(row))
                    self._part_digests[row.key] = self._digest(row)
                if not message.more:
                    self.rows, self._parts, self._parts_position = self._parts, {}, ""
                    self.digests, self._part_digests = self._part_digests, {}
                    self.position = Position.parse(message.position)
                    self.snapshots += 1
            case Changes(topic=self.topic):
                return self._apply(message)
            case Heartbeat():
                self.behind_seconds = 0.0 if message.behind_seconds is UNSET else message.behind_seconds
                return self.topic in message.positions and self._compare(message)
            case Error(topic=self.topic):
                self.errors.append(message)
        return False

    def _compare(self, heartbeat: Heartbeat) -> bool:
        """Return whether a heartbeat that names the topic has another position or other rows."""
        theirs, mine = Position.parse(heartbeat.positions[self.topic]), self.position
        if mine is None or theirs.epoch != mine.epoch or theirs.offset > mine.offset:
            return True
        return theirs == mine and self._verify(heartbeat.digests.get(self.topic))

    def _verify(self, digest: int | UnsetType | None) -> bool:
        """Return whether the rows are not those that the server's digest stands for; then forget the position."""
        if digest is None or digest is UNSET:
            return False
        self.verified += 1
        if digest == reduce(xor, self.digests.values(), 0):
            return False
        self.corrections += 1
        self.position = None
        return True

    def _apply(self, message: Changes) -> bool:
        position = Position.parse(message.position)
        if self.position is None or position.epoch != self.position.epoch:
            return True
        if position.offset <= self.position.offset:
            return position == self.position and self._verify(message.digest)
        if message.after > self.position.offset:
            return True
        for change in message.changes:
            if change.op == "delete":
                self.rows.pop(change.key, None)
                self.digests.pop(change.key, None)
            else:
                self.rows[change.key] = (str(change.order), self._contents(change))
                self.digests[change.key] = self._digest(change)
        self.position = position
        return self._verify(message.digest)

    def _digest(self, row: Row | Change) -> int:
        assert isinstance(row.digest, int)
        return row.digest

    def _contents(self, row: Row | Change) -> bytes | str:
        contents = row.html if "html" in self.format else row.row
        assert not isinstance(contents, UnsetType)
        return contents if isinstance(contents, str) else bytes(contents)

    @property
    def keys(self) -> list[str]:
        """The keys in the topic's order."""
        return sorted(self.rows, key=lambda key: (self.rows[key][0], key))
