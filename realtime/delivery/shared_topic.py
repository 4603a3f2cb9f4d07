"""One topic in a process's memory, shared by the connections that follow it, and how it is kept current."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping

from msgspec import MsgspecError

from ..conf import get_conf
from ..engine.encodings import Encodings
from ..engine.errors import Gap, Unreadable
from ..engine.messages import Content, Error, Format, Notice, contents_of, decode_changes
from ..engine.position import Position
from ..engine.replacement import Replacement
from ..engine.topic import CONTENTS, Topic
from ..feeds import registry
from ..models import LogEntry
from ..publishing import log
from ..publishing.layer import group
from ..publishing.positions import Reading
from ..runtime import metrics
from ..runtime.threads import DatabaseThreads
from .fan_out import FanOut
from .freshness import Freshness
from .read_pauses import ReadPauses
from .rights import Rights
from .subscriber import Subscriber, for_each
from .topic_reads import TopicReads

logger = logging.getLogger("realtime.hub")

LATE_SECONDS = 3.0
"""After this time a topic that is being brought up counts as unreadable: heartbeats no longer name it."""
UNSEQUENCED_SECONDS = 1.0
"""How long a new subscriber waits for changes that were committed before its check; then the rows are read instead."""
REACH_SECONDS, MAX_REACH_SECONDS = 0.01, 0.2
"""The pause between two looks at the log meanwhile: at first, and at most."""
NOTICE_ATTEMPTS = 7
"""How often rights are checked for a notice, within 16 seconds, before it is given up."""
COMPARED_AT_ONCE = 500
"""How many rows, the present and the new ones together, are compared on the event loop (1 ms); more in a thread."""

_encodings = Encodings()
"""The encoded messages of all topics of this process."""


class SharedTopic:
    """Rows, position and recent changes of one topic, with its subscribers."""

    def __init__(
        self,
        name: str,
        readers: DatabaseThreads,
        reads: TopicReads,
        rights: Rights,
        fell_behind: Callable[[], None],
        unsettled: "set[SharedTopic] | None" = None,
    ) -> None:
        """``fell_behind`` is called when the log may have more than this topic.

        The topic adds itself to ``unsettled`` when it has moved or is stale, so that the next look compares it.
        """
        self.feed = name.partition(".")[0]
        self.topic = Topic(name, encodings=_encodings)
        self.topic.fetches_per_second = get_conf().block_fetches_per_second
        self.topic.hides_rows = self.feed not in registry or registry[self.feed].hides_rows
        self.group = group(name)
        self.contents: set[Content] = set()
        """The contents that subscribers have requested."""
        self.subscribers: set[Subscriber] = set()
        self.idle_since: float | None = None
        self.is_loaded = False
        self._is_stale = False
        self._fan_out = FanOut(self.topic, self.subscribers)
        self.freshness = Freshness(self.topic, self._fan_out.notify)
        self._pauses = ReadPauses()
        self.is_refreshing = self.is_scrubbing = False
        self.rights_since = Position("", 0)
        """The position since which the topic's rights have not been in question, as far as this process can tell."""
        # The rights of the subscribers were checked as of this position or a later one.
        self._confirmed = Position("", 0)
        # The rows are those of this position or a later one, although their own position is lower.
        self._reached = Position("", 0)
        self._reaching = asyncio.Lock()
        self.read_at = -math.inf  # when all rows were last read, by the loop's clock
        self._must_read = False
        self._files: Mapping[str, str] = {}  # the storage that each table was read from
        self._has_compared_files = False  # since that reading
        self._unread_since = (
            0.0  # when the oldest change was written that the next read includes; 0 if not known
        )
        self._was_restored = False
        self._reader_threads, self._reads, self._fell_behind = readers, reads, fell_behind
        self._unsettled = set() if unsettled is None else unsettled
        self._rights = rights
        self._reading = asyncio.Lock()

    @property
    def name(self) -> str:
        return self.topic.name

    @property
    def format(self) -> Content | None:
        """The contents with which the rows are held if these are the only ones; None for all contents of the feed."""
        return registry[self.feed].held_in(self.contents) if self.feed in registry else None

    def ask_for(self, format: Format | None) -> None:
        """Hold the contents of a format too, None for all contents: at the latest after the next ``load``."""
        self.contents |= set(CONTENTS if format is None else contents_of(format))
        if not self.contents:  # for signals; rows need no template
            self.contents.add("rows")

    @property
    def has_all_contents(self) -> bool:
        """Whether the rows have the contents that subscribers have requested."""
        return self.contents <= set(self.topic.contents)

    @property
    def is_stale(self) -> bool:
        """Whether the log has more than the topic, and the topic is not catching up yet."""
        return self._is_stale

    @is_stale.setter
    def is_stale(self, is_stale: bool) -> None:
        self._is_stale = is_stale
        if is_stale:
            self._unsettled.add(self)
            self.freshness.fall_behind()

    @property
    def is_reading(self) -> bool:
        return self._reading.locked()

    def is_idle_for(self, seconds: float, now: float) -> bool:
        """Whether the topic has had no subscriber for some time, and nothing reads it."""
        is_busy = self.is_reading or self.is_refreshing
        return self.idle_since is not None and now - self.idle_since > seconds and not is_busy

    @property
    def is_in_question(self) -> bool:
        """Whether rights to the topic may have changed since those of its subscribers were checked."""
        may_have = self.is_stale or self.is_refreshing
        has_tables = self.feed not in registry or bool(registry[self.feed].rights_tables)
        return not self._confirmed.covers(self.rights_since) or (may_have and has_tables)

    @property
    def can_be_scrubbed(self) -> bool:
        """Whether the topic is at rest: loaded, followed, readable, and without changes that wait to be applied."""
        is_busy = self.is_stale or self.is_refreshing or self.is_reading or self.is_scrubbing
        return self.is_loaded and bool(self.subscribers) and self.topic.is_readable and not is_busy

    @property
    def is_due(self) -> bool:
        """Whether it is time to bring the topic to the log's end."""
        is_behind = self.is_stale and self.is_loaded and not self.is_refreshing
        return is_behind and self._pauses.are_over

    # ------------------------------------------------------------ news

    def receive(self, epoch: str, entry: LogEntry) -> None:
        """Apply an entry from the channel layer; if it does not follow exactly, have the log read."""
        if not self.is_loaded and not self.is_reading:
            return  # the rows are read for the next subscriber
        is_ready = self.is_loaded and not self.is_reading and epoch == self.topic.position.epoch
        has_rows = entry.kind == LogEntry.Kind.CHANGES and self._is_usable(entry)
        if not (is_ready and has_rows and self._apply(entry)):
            self.is_stale = True
            self._fell_behind()

    def compare(self, tail: log.Tail, before: Position | None, unread: int) -> None:
        """Note whether the log has more, or the database was restored to a position below ``before``.

        ``before`` is this topic's position from before the tail was read, None if that is not known. Entries up to
        ``unread`` are not in the tail: they were pruned before this process read them, or are of another epoch.
        """
        if not self.is_loaded and not self.is_reading:
            return
        newest = max(tail.newest.get(self.name, 0), tail.newest.get(self.feed, 0))
        position = self.topic.position
        if before is not None:
            self._was_restored = before.offset > tail.offset
        if self._was_restored or position.epoch != tail.epoch or max(newest, unread) > position.offset:
            self.is_stale = True

    def compare_files(self, files: Mapping[str, str], as_of: float) -> bool:
        """Have the rows read again if a table was read from other files than it has at a later time.

        This corrects a topic that was read in a moment in which its table was exchanged. Return False while the topic
        has not been compared since it was read, because ``files`` are empty or from before.
        """
        if not self.is_loaded or not self._files:
            return True
        if files:
            self._has_compared_files = self.read_at < as_of
            has_other = any(files.get(table, read) != read for table, read in self._files.items())
            if self._has_compared_files and has_other:
                self.is_stale = self._must_read = True
        return self._has_compared_files

    def require_reading(self) -> None:
        """Have the rows read again with the next look, although the log has nothing new."""
        self.is_stale = self._must_read = True

    def _is_usable(self, entry: LogEntry) -> bool:
        """Whether the rows of an entry are those that this process would make: in its formats, by the same release."""
        if entry.format and (entry.format != (self.format or "all") or not self.has_all_contents):
            return False
        fingerprint = entry.fingerprint if isinstance(entry.fingerprint, str) else ""
        return not fingerprint or self.feed not in registry or fingerprint == registry[self.feed].fingerprint

    def _apply(self, entry: LogEntry) -> bool:
        """Apply an entry; return False if it does not follow or cannot be decoded."""
        try:
            changes = decode_changes(entry.payload)
            is_visible = self.topic.apply(entry.after, entry.begins, entry.position, changes)
        except (Gap, MsgspecError, UnicodeError):
            return False
        self._unsettled.add(self)
        if is_visible:
            self._fan_out.notify(entry.written_at)
        return True

    # ------------------------------------------------------------ the log, the rows

    async def load(self) -> None:
        """Read the rows unless they are loaded with all contents; simultaneous callers wait for the same read."""
        async with self._reading:
            if not self.is_loaded or not self.has_all_contents:
                self.is_stale = False
                await self._read()
                self._note_success()
        if self.is_stale:
            self._fell_behind()

    async def refresh(self, epoch: str) -> float:
        """Bring a stale topic to the end of the log, which has this epoch; return for how long it must rest before.

        If that fails, or takes long, the topic is no longer vouched for until it succeeds: heartbeats do not name
        it. After a second failure its subscribers get an error.
        """
        loop = asyncio.get_running_loop()
        self.is_stale, self.is_refreshing = False, True
        late = loop.call_later(LATE_SECONDS, self.topic.set_readable, False)
        try:
            async with self._reading:
                rest = await self._catch_up(epoch)
        except Exception as error:
            self.is_stale = True
            self._note_failure(error)
        else:
            if rest:
                self.is_stale = True
                self._pauses.wait(rest)
                return rest
            metrics.caught_up.inc()
            self._note_success()
            if self.is_stale:  # more has been added to the log meanwhile
                self._fell_behind()
        finally:
            late.cancel()
            self.is_refreshing = False
            self._unsettled.add(self)  # it may have become stale meanwhile
        return 0.0

    def _note_success(self) -> None:
        self._pauses.succeed()
        if self.topic.set_readable(True):
            logger.info("topic %s can be read again", self.name)
            self._fan_out.notify()
        if not self.is_stale:
            self.freshness.become_current()

    def _note_failure(self, error: Exception) -> None:
        metrics.feed_errors.labels(self.feed).inc()
        self._pauses.fail()
        self.topic.set_readable(False)
        if self._pauses.failures == 1:
            # An exceeded time limit: its message says what to do, and a traceback would add nothing.
            trace = None if isinstance(error, TimeoutError) else error
            logger.error("topic %s cannot be read, tries again: %s", self.name, error, exc_info=trace)
        elif self._pauses.failures == 2:
            self._report_failure()

    async def _catch_up(self, epoch: str) -> float:
        """Apply the missed entries, or read all rows where entries are missing or have none.

        Without subscribers nothing is read until the next one subscribes. Return how long the topic must rest first, 0
        if it has caught up.
        """
        position = self.topic.position
        if position.epoch == epoch and not self._was_restored and not self._must_read:
            missed = await self._reads.missed(self._reader_threads, self.name, position.offset)
            has_rows = all(entry.kind in log.WITH_ROWS and self._is_usable(entry) for entry in missed.entries)
            if missed.is_whole and has_rows:
                asking = [entry.position for entry in missed.entries if entry.kind == LogEntry.Kind.RIGHTS]
                await self._confirm_rights(Position(epoch, max(asking, default=0)))
                if await self._apply_all(missed.entries):
                    return 0.0
            self._unread_since = min(
                filter(None, (self._unread_since, *(entry.written_at for entry in missed.entries))),
                default=0.0,
            )
        self._must_read = True
        if not self.subscribers:
            self.is_loaded = False
            return 0.0
        if rest := self._pauses.rest_seconds:
            return rest
        with self._pauses.repeated_read():
            await self._read(self._unread_since)
        return 0.0

    async def _apply_all(self, entries: Iterable[LogEntry]) -> bool:
        """Apply entries, with a turn for the event loop after each; return False if one cannot be applied."""
        for entry in entries:
            if not self._apply(entry):
                return False
            await asyncio.sleep(0)
        return True

    async def _confirm_rights(self, since: Position) -> None:
        """Return when all subscribers' rights were checked as of ``since`` or later, and lost ones have been ended.

        Call this before anything is applied: a change that ends a right must not be sent to subscribers that lose it.
        Raises: what prevents an answer; the topic then stays as it is.
        """
        if self._confirmed.covers(since):
            return
        self.rights_since = since  # first: later subscribers must have been checked there or later
        lost = await self._rights.lost(self.name, {each.visitor for each in self.subscribers})
        shut_out = [subscriber for subscriber in self.subscribers if subscriber.visitor in lost]
        for_each(shut_out, lambda subscriber: subscriber.revoke(self.name))
        self._confirmed = since

    async def reach(self, heads: log.Heads | None) -> None:
        """Return when the rows are not older than these heads: rows removed before a right was given are not sent.

        Wait for changes that are not sequenced yet; read the rows if that takes longer than ``UNSEQUENCED_SECONDS``.
        A topic that cannot be read sends nothing, and is read before it does.
        """
        if heads is None or self._is_at(heads):
            return
        loop = asyncio.get_running_loop()
        ends, pause = loop.time() + UNSEQUENCED_SECONDS, REACH_SECONDS
        async with self._reaching:  # callers that wait for the same heads share one look
            while self.topic.is_readable and not self._is_at(heads):
                if loop.time() >= ends:
                    await self._read_at_once()
                    return
                if heads.newest is not None:
                    self.is_stale = True
                    self._fell_behind()
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_REACH_SECONDS)
                if heads.newest is None:
                    heads = await self._reader_threads.run(log.heads, [self.name], heads.position)
            if self.topic.is_readable and not self._reached.covers(heads.position):
                self._reached = heads.position

    def _is_at(self, heads: log.Heads) -> bool:
        return self._reached.covers(heads.position) or heads.are_reached_by(self.name, self.topic.position)

    async def _read_at_once(self) -> None:
        try:
            async with self._reading:
                await self._read()
        except Exception as error:
            self.is_stale = self._must_read = True
            self._note_failure(error)

    async def announce(self, position: Position, text: str) -> None:
        """Send a notice to the subscribers whose right holds as of its position."""
        for attempt in range(NOTICE_ATTEMPTS):
            try:
                async with self._reading:
                    await self._confirm_rights(position)
                break
            except Exception as error:
                if attempt == NOTICE_ATTEMPTS - 1:
                    logger.error(
                        "a notice for %s is not sent: rights to it cannot be checked: %r", self.name, error
                    )
                    return
            await asyncio.sleep(0.25 * 2**attempt)
        notice = Notice(text=text, topic=self.name)
        for_each(self.subscribers, lambda subscriber: subscriber.post(notice))

    async def _read(self, written_at: float = 0.0) -> None:
        format = self.format
        known = None if self.is_loaded else await self._reads.known(self.name, format)
        reading = known or await self._reads.read(self.name, format)
        since = Position(reading.position.epoch, reading.rights_since)
        if not reading.position.covers(self.topic.position):  # another log, or the same one restored
            self._confirmed = Position("", 0)
        if self.is_loaded:
            await self._confirm_rights(since)
        else:  # the connections that wait for the rows are not subscribed yet
            self.rights_since = self._confirmed = since
        self._load(reading, await self._compared(reading), written_at)

    async def _compared(self, reading: Reading) -> Replacement:
        """Return the replacement of the topic's rows. Many rows are compared in a thread, with ``_reading`` locked."""
        contents = CONTENTS if reading.format is None else (reading.format,)
        if len(reading.rows) + self.topic.size <= COMPARED_AT_ONCE:
            return self.topic.compared(reading.rows, contents)
        return await self._reader_threads.run(self.topic.compared, reading.rows, contents)

    def _load(self, reading: Reading, new: Replacement, written_at: float = 0.0) -> None:
        is_visible = self.topic.load(reading.position, new, reading.unchanged_since)
        self._unsettled.add(self)
        self.is_loaded, self._must_read, self._unread_since = True, False, 0.0
        self._files, self._has_compared_files = reading.files, False
        self.read_at = asyncio.get_running_loop().time()
        if is_visible:
            self._fan_out.notify(written_at)

    async def scrub(self, reached: Position, *, is_expected: bool) -> None:
        """Read all rows again, and send the rows that differ although nothing has been sequenced.

        ``reached``: up to where the log was read when the topic was at rest. If something was added to the log or the
        outbox since, the reading is dropped: the topic catches up from the log. ``is_expected``: differences are
        neither counted nor logged.
        """
        self.is_scrubbing = True
        self.read_at = asyncio.get_running_loop().time()
        try:
            async with self._reading:
                reading = await self._reads.read(self.name, self.format)
                new = await self._compared(reading)
                position = self.topic.position
                known = max(position.offset, reached.offset)
                is_same_life = position.epoch == reached.epoch == reading.position.epoch
                if self.is_stale or not is_same_life or reading.unchanged_since > known:
                    return
                self._load(reading, new)
        except Exception as error:
            self.is_stale = self._must_read = True
            self._note_failure(error)
            return
        finally:
            self.is_scrubbing = False
        metrics.scrubbed.inc()
        differing = [change.key for change in new.changes]
        if differing and not is_expected:
            metrics.scrub_differences.labels(self.feed).inc(len(differing))
            logger.warning(
                "topic %s differed from the database in %d rows, such as %s; corrected. Does the feed depend on the "
                "time, or on a relation that depends_on does not name?",
                self.name, len(differing), ", ".join(map(repr, differing[:5])),
            )  # fmt: skip

    def _report_failure(self) -> None:
        unreadable = Unreadable(self.name)
        error = Error(code=unreadable.code, message=str(unreadable), topic=self.name)
        for_each(self.subscribers, lambda subscriber: subscriber.post(error))
