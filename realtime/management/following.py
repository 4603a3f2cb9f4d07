"""A topic as the log has it: its rows and their changes, read from the database without a server."""

from collections.abc import Iterator

from ..client.replica import Change, Replica
from ..engine.cursor import Cursor
from ..engine.messages import WireFormat, decode_changes, decode_server
from ..engine.topic import Topic
from ..feeds import registry
from ..models import LogEntry
from ..publishing import log
from ..publishing.positions import probe, read_topic

WITH_VALUES = {"", "rows", "all"}
"""Formats of entries whose rows have values: an entry in HTML alone has none."""


class LoggedTopic:
    """The rows of a topic; ``look`` brings them to the end of the log. ``replica`` has them as a client has them."""

    def __init__(self, name: str) -> None:
        """Raises: UnknownTopic, FeedOff; what the database raises."""
        feed, _ = registry.find(name)
        self._feed = feed.name
        self._topic = Topic(name)
        self._cursor: Cursor | None = None
        self._seen = ("", -1)
        self.replica = Replica(name)
        self.is_waiting = False
        """Whether there are changes that no publisher has sequenced yet."""

    def look(self) -> list[Change]:
        """Return the changes since the last call; at first, all rows."""
        seen = probe()
        self.is_waiting = seen.is_waiting
        if (seen.epoch, seen.log_end) == self._seen:
            return []
        self._seen = (seen.epoch, seen.log_end)
        if self._cursor is None or not self._apply(seen.epoch):
            reading = read_topic(self._topic.name)
            self._topic.load(reading.position, reading.rows, reading.unchanged_since)
        if self._cursor is None:
            self._cursor = self._topic.cursor(None, WireFormat())
        return list(self._received())

    def _apply(self, epoch: str) -> bool:
        """Apply the log's entries for the topic; return whether they cover all changes."""
        here = self._topic.position
        if here.epoch != epoch:
            return False
        missed = log.missed(self._topic.name, self._feed, here.offset)
        fingerprint = registry[self._feed].fingerprint
        has_rows = all(
            entry.kind in log.WITH_ROWS
            and entry.fingerprint in ("", fingerprint)
            and entry.format in WITH_VALUES
            for entry in missed.entries
        )
        if not missed.is_whole or not has_rows:
            return False
        for entry in missed.entries:
            if entry.kind == LogEntry.Kind.RIGHTS and entry.topic != self._topic.name:
                continue  # this entry concerns rights to all topics of the feed, and has no rows
            self._topic.apply(entry.after, entry.begins, entry.position, decode_changes(entry.payload))
        return True

    def _received(self) -> Iterator[Change]:
        assert self._cursor is not None
        for encoded in self._topic.advance(self._cursor):
            yield from self.replica.receive(decode_server(encoded))
