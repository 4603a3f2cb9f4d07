"""A client's copy of a topic in Python, which follows only the rules of docs/protocol.md."""

from realtime.engine.messages import (
    Changes,
    Error,
    Format,
    Heartbeat,
    ServerMessage,
    Snapshot,
    Subscribe,
    decode_server,
    encode,
)
from realtime.engine.position import Position


class Replica:
    """The rows of one topic as of ``position``: ``rows`` maps each key to order key and contents."""

    def __init__(self, topic: str, format: Format = "rows") -> None:
        self.topic, self.format = topic, format
        self.position: Position | None = None
        self.rows: dict[str, tuple[str, bytes | str]] = {}
        self.errors: list[Error] = []
        self.snapshots = 0
        self._parts: dict[str, tuple[str, bytes | str]] = {}
        self._parts_position = ""

    def subscription(self) -> str | bytes:
        """Return the subscribe message that resumes from the current position."""
        position = str(self.position) if self.position else None
        return encode(Subscribe(self.topic, position, self.format))

    def receive(self, message: str | bytes | ServerMessage) -> bool:
        """Apply a message; return whether the client must subscribe again."""
        if isinstance(message, str | bytes):
            message = decode_server(message)
        match message:
            case Snapshot(topic=self.topic):
                if message.position != self._parts_position:
                    self._parts = {}
                self._parts_position = message.position
                for row in message.rows:
                    self._parts[row.key] = (row.order, self._contents(row))
                if not message.more:
                    self.rows, self._parts, self._parts_position = self._parts, {}, ""
                    self.position = Position.parse(message.position)
                    self.snapshots += 1
            case Changes(topic=self.topic):
                return self._apply(message)
            case Heartbeat() if self.topic in message.positions:
                theirs = Position.parse(message.positions[self.topic])
                mine = self.position
                return mine is None or theirs.epoch != mine.epoch or theirs.offset > mine.offset
            case Error(topic=self.topic):
                self.errors.append(message)
        return False

    def _apply(self, message: Changes) -> bool:
        position = Position.parse(message.position)
        if self.position is None or position.epoch != self.position.epoch:
            return True
        if position.offset <= self.position.offset:
            return False
        if message.after > self.position.offset:
            return True
        for change in message.changes:
            if change.op == "delete":
                self.rows.pop(change.key, None)
            else:
                self.rows[change.key] = (str(change.order), self._contents(change))
        self.position = position
        return False

    def _contents(self, row) -> bytes | str:
        return row.html if self.format == "html" else bytes(row.row)

    @property
    def keys(self) -> list[str]:
        """The keys in the topic's order."""
        return sorted(self.rows, key=lambda key: (self.rows[key][0], key))
