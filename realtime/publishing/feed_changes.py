"""Changes of one feed: which of its topics a round's outbox rows touch, and the changes of each.

A faulty row, a faulty image or a slow rendering affects only its feed, and mostly only its topic: such a topic is in
the result without changes, and hubs read it again.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import Any, Final, Literal

from django.db import InterfaceError, OperationalError

from ..conf import get_conf
from ..databases.outbox import OutboxCursor
from ..databases.registry import database
from ..engine import messages
from ..engine.messages import Change, Content
from ..feeds import Feed
from ..runtime.failures import contained
from . import outbox_records
from .budget import Budget, OutOfTime
from .outbox_records import Image, OutboxRecord
from .positions import read_snapshot
from .slow_feeds import Images, slow_feeds

logger = logging.getLogger("realtime.sequencer")

EVERY_HOLDER: Final[frozenset[Content | None]] = frozenset({"rows", "html", None})


class RowChanges(list[Change]):
    """The changes of a topic's rows, and which processes can use them.

    Shape: ``holders`` has the formats that a process may hold the topic in, None for all formats. A row that cannot be
           rendered in one format is missing where that format is held, alone or with others, and nowhere else.
    """

    def __init__(self, changes: Iterable[Change] = (), holders: Set[Content | None] = EVERY_HOLDER) -> None:
        super().__init__(changes)
        self.holders = holders

    def followed_by(self, more: "RowChanges") -> "RowChanges":
        return RowChanges([*self, *more], self.holders & more.holders)

    @property
    def format(self) -> str:
        """The holders as a log entry has them."""
        if self.holders == EVERY_HOLDER:
            return ""
        (holder,) = self.holders
        return holder or "all"


Unfollowed = Literal["unfollowed"]
TopicChanges = dict[str, RowChanges | Unfollowed | None]
"""The changes by topic; None where the topic must be read again, "unfollowed" where no process needs the changes. A
feed's name stands for all of its topics."""

Followed = Callable[[set[str]], Mapping[str, Content | None]]

MAX_TOPIC_BYTES = 1024 * 1024
"""Changes of a topic that are larger are not sent as changes: its subscribers are sent a snapshot."""
MAX_FEED_BYTES = 8 * 1024 * 1024
"""About how many bytes of one feed's rows a round keeps in memory."""
UNFOLLOWED: Final = "unfollowed"

MAX_FLOOD_TOPICS = 1000
"""How many topics of a feed a flood resets one by one; beyond that the feed is reset as a whole."""
MAX_TOPICS_IN_QUESTION = 1000
"""For how many topics of a feed rights are checked one by one; beyond that they are checked for all of the feed."""
MAX_READ_BYTES = 4 * 1024 * 1024
"""About how many bytes are read at once, estimated from the size of the rows before."""
FIRST_ROWS = 50
"""How many rows are read first, while their size is not known."""
ROWS_AT_ONCE = 250
"""How many rows are read at once, at most."""
BUSY_FACTOR = 4
"""By what factor a feed may exceed its share of a round by the clock while its thread waits for a core."""
SLOW_ROWS = 50
"""A feed that renders fewer rows within its time counts as slow; with more, the time was used up by their number."""


def of_rows(
    feed: Feed, rows: Mapping[str, Sequence[OutboxRecord]], followed: Followed = dict.fromkeys
) -> TopicChanges:
    """Return the changes of a feed by outbox rows, given by table, as of the snapshot that is being read.

    ``followed`` returns which of some topics any process needs, each with its format, None for all formats.
    """
    if any(row.image is None for of_table in rows.values() for row in of_table):
        return {feed.name: None}
    images, unknown = _complete(feed, rows)
    if unknown:
        outbox_records.skip(f"columns of feed {feed.name} are missing in", unknown)
        return {feed.name: None}
    if feed in slow_feeds:
        slow_feeds.keep(feed, images)
        return _without_rows(feed, images)
    unusable: set[int] = set()
    try:
        found = _in_time(feed, images, followed, lambda image: unusable.add(id(image)))
    except Exception:
        logger.exception("feed %s cannot read its changed rows; its topics must be read again", feed.name)
        return {feed.name: None}
    outbox_records.skip(
        f"values of feed {feed.name} that no row has are in",
        [row for of_table in rows.values() for row in of_table if id(row.image) in unusable],
    )
    return found


def try_slow_feed(feed: Feed, images: Images) -> None:
    """Read changed rows of a slow feed, given by table, as a round would; if that is quick, rounds read its rows again.

    Call it apart from the rounds, and outside of a transaction: a feed that is still slow delays no other feed. Rows
    that the feed no longer has show nothing. A feed that fails is not slow: the next round reports what fails.
    Raises: OperationalError or InterfaceError, if the database is away.
    """
    is_quick = False
    try:
        with read_snapshot():
            is_quick = _has_rows(_in_time(feed, images, dict.fromkeys, lambda image: None))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.info("feed %s fails while it is tried: %r", feed.name, error)
        is_quick = True
    finally:
        slow_feeds.end_trial(feed, is_quick=is_quick)


def _has_rows(found: TopicChanges) -> bool:
    """Return whether any row was read, or none needs to be."""
    return any(
        not isinstance(changes, list) or any(change.op == "upsert" for change in changes)
        for changes in found.values()
    )


def of_flood(feed: Feed, sources: set[str], since: OutboxCursor, until: OutboxCursor) -> TopicChanges:
    """Return the topics of a feed that the outbox rows between two cursors touch; there are too many to read each row.

    The images of the feed's own table name the topics; the images of other tables do not.
    """
    if sources & feed.tables != {_own_table(feed)} or feed.topic_field is None or feed in slow_feeds:
        return {feed.name: None}
    budget = Budget(get_conf().feed_seconds)
    try:
        with database().failing_alone(), database().limit_query_time(budget.seconds), contained:
            topics = _named_topics(feed, since, until)
    except Exception:
        logger.exception("the changed topics of feed %s are not known; all must be read again", feed.name)
        topics = None
    return {feed.name: None} if topics is None else dict.fromkeys(topics)


def in_question(feed: Feed, rows: Mapping[str, Sequence[OutboxRecord]]) -> set[str]:
    """Return the topics to which rights may have changed with outbox rows, given by table.

    The feed's name stands for all of its topics: where an outbox row does not show which ones it concerns.
    """
    topics: set[str] = set()
    try:
        for table, noted_rows in rows.items():
            for row in noted_rows:
                if row.image is None:
                    return {feed.name}
                with contained:
                    topics |= feed.topics_in_question(table, row.image)
    except Exception:
        logger.exception(
            "feed %s cannot read the images that rights depend on; all are asked again", feed.name
        )
        return {feed.name}
    return {feed.name} if feed.name in topics or len(topics) > MAX_TOPICS_IN_QUESTION else topics


# ---------------------------------------------------------------- images


def _own_table(feed: Feed) -> str:
    return next(iter(feed.sources))._meta.db_table


def _columns(feed: Feed) -> dict[str, set[str]]:
    """Return the columns that a feed needs in the images of each of its tables."""
    return {
        model._meta.db_table: {str(field.column) for field in fields}
        for model, fields in feed.sources.items()
    }


def _complete(
    feed: Feed, rows: Mapping[str, Sequence[OutboxRecord]]
) -> tuple[dict[str, list[Image]], list[OutboxRecord]]:
    """Return the images that have all columns the feed needs, and the outbox rows with too few columns.

    Outbox rows with too few columns were written by triggers of another release and cannot be used. Where this
    release's triggers recorded the same change, the incomplete image is ignored.
    """
    images: dict[str, list[Image]] = {}
    unknown: list[OutboxRecord] = []
    for table, columns in _columns(feed).items():
        partial = []
        complete = images[table] = []
        for row in rows.get(table, ()):
            assert row.image is not None
            if columns <= row.image.keys():
                complete.append(row.image)
            else:
                partial.append(row)
        if partial:
            unknown += _uncovered(partial, complete)
    return {table: found for table, found in images.items() if found}, unknown


def _uncovered(partial: Sequence[OutboxRecord], complete: Sequence[Image]) -> Iterator[OutboxRecord]:
    """Yield the outbox rows for which there is no complete image that agrees in all columns they share."""
    known: dict[frozenset[str], set[str]] = {}
    for row in partial:
        assert row.image is not None
        shared = frozenset(row.image.keys() & (complete[0].keys() if complete else ()))
        if shared not in known:
            known[shared] = {_values(image, shared) for image in complete}
        if not row.image or _values(row.image, shared) not in known[shared]:
            yield row


def _values(image: Image, columns: frozenset[str]) -> str:
    # Older releases record numbers where this one records texts.
    return repr([None if (value := image.get(column)) is None else str(value) for column in sorted(columns)])


def _without_rows(feed: Feed, images: Images) -> TopicChanges:
    """Return the topics that images name, without a query."""
    own_table = _own_table(feed)
    if images.keys() - {own_table}:
        return {feed.name: None}
    try:
        with contained:
            return dict.fromkeys(feed.named_topics(images.get(own_table, ())))
    except Exception:
        logger.exception("feed %s cannot read its images; its topics must be read again", feed.name)
        return {feed.name: None}


def _named_topics(feed: Feed, since: OutboxCursor, until: OutboxCursor) -> set[str] | None:
    """Return the topics that images of the feed's own table name; None if these are not all, or too many."""
    here = database()
    column = str(feed.model._meta.get_field(str(feed.topic_field)).column)  # type: ignore[union-attr]
    missing, parameters = since.missing(until, here.STAMP)
    with here.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT {here.MEMBER} FROM realtime_outboxrow WHERE {missing} AND source = %s LIMIT %s",
            [column, *parameters, _own_table(feed), MAX_FLOOD_TOPICS + 1],
        )
        values = [value for (value,) in cursor.fetchall()]
    if None in values or len(values) > MAX_FLOOD_TOPICS:  # None: no image, or one without the column
        return None
    return feed.named_topics({column: outbox_records.decode(value)} for value in values)


# ---------------------------------------------------------------- rows


def _in_time(
    feed: Feed, images: Images, followed: Followed, note_unusable: Callable[[Image], None]
) -> TopicChanges:
    """Return the changes of a feed by images; without its rows, and after noting it as slow, if a query takes too long.

    Raises: what the feed and the database raise.
    """
    budget = Budget(get_conf().feed_seconds, BUSY_FACTOR * get_conf().feed_seconds)
    try:
        with database().failing_alone(), contained:
            return _changes(feed, images, followed, budget, note_unusable)
    except OperationalError:
        if not (budget.is_used_up or budget.has_lasted):
            raise
    slow_feeds.note(feed, budget.seconds, "a query", images)
    return _without_rows(feed, images)


def _changes(
    feed: Feed,
    images: Images,
    followed: Followed,
    budget: Budget,
    note_unusable: Callable[[Image], None],
) -> TopicChanges:
    limit = get_conf().max_batch_rows
    if images.keys() == {_own_table(feed)}:  # no query
        touched = feed.touched(images, limit, note_unusable)
    else:
        with database().limit_query_time(budget.seconds, lambda: budget.is_used_up):
            touched = feed.touched(images, limit, note_unusable)
    if touched is None:
        return {feed.name: None}
    named = {topic for topics in touched.values() for topic in topics}
    if feed.is_read_whole:
        # Other rows change with this one, and only reading the topic shows which; hubs send the difference.
        return dict.fromkeys(named)
    formats = followed(named)
    rows = _TouchedRows(feed, touched, formats, named - formats.keys())
    try:
        while rows.are_wanted:
            rows.read_some(budget)
    except OutOfTime:
        if budget.rows < SLOW_ROWS:
            slow_feeds.note(feed, budget.seconds, f"rendering {budget.rows} rows", images)
    return rows.changes


class _TouchedRows:
    """The rows of a feed that a round has touched, by topic: a live row is an upsert, any other a delete."""

    def __init__(
        self,
        feed: Feed,
        touched: Mapping[Any, set[str]],
        formats: Mapping[str, Content | None],
        unfollowed: set[str],
    ) -> None:
        """``touched`` has for each primary key the topics that the row was in, ``formats`` the topics' formats."""
        self._feed, self._formats = feed, formats
        self._unread = dict(touched)
        self._changes: dict[str, RowChanges] = defaultdict(RowChanges)
        self._sizes: dict[str, int] = defaultdict(int)
        self._unfollowed = unfollowed
        self._too_large: set[str] = set()
        self._rows_read = self._bytes_read = 0
        self._leave_out(unfollowed)

    @property
    def are_wanted(self) -> bool:
        """Whether there are rows to read, and room for them."""
        return bool(self._unread) and sum(self._sizes.values()) <= MAX_FEED_BYTES

    @property
    def changes(self) -> TopicChanges:
        """The changes by topic; None for topics whose rows were not read, or that are too large."""
        unread = {topic for topics in self._unread.values() for topic in topics}
        changes: TopicChanges = {**self._changes, **dict.fromkeys(unread | self._too_large)}
        return {**changes, **dict.fromkeys(self._unfollowed, UNFOLLOWED)}

    def read_some(self, budget: Budget) -> None:
        """Read the next rows.

        Raises: OutOfTime; what reading rows raises.
        """
        some = list(islice(self._unread, self._at_once))
        format = self._format_of(some[0])
        some = [key for key in some if self._format_of(key) == format]
        left_out: set[Any] = set()
        budget.check()
        budget.count_waiting()
        with database().limit_query_time(budget.left, lambda: budget.is_used_up):
            present = self._feed.read_rows(some, budget.spend_on_a_row, format, left_out.add)
        in_one = EVERY_HOLDER if format is None else frozenset({format})
        too_large = len(self._too_large)
        for key in some:
            left = self._unread.pop(key)
            if key in present:
                here, row = present[key]
                self._add(here, row.upsert(), in_one)
                left = left - {here}
            for topic in left:
                self._add(topic, messages.delete(str(key)), {format} if key in left_out else EVERY_HOLDER)
        self._rows_read += len(some)
        if len(self._too_large) > too_large:
            self._leave_out(self._too_large | self._unfollowed)

    def _format_of(self, key: Any) -> Content | None:
        """Return the format in which a row is needed; None for all."""
        formats = {self._formats[topic] for topic in self._unread[key] if topic in self._formats}
        return formats.pop() if len(formats) == 1 else None

    @property
    def _at_once(self) -> int:
        if not self._rows_read:
            return min(FIRST_ROWS, ROWS_AT_ONCE)
        size = max(1, self._bytes_read // self._rows_read)
        return max(1, min(ROWS_AT_ONCE, MAX_READ_BYTES // size))

    def _add(self, topic: str, change: Change, holders: Set[Content | None]) -> None:
        size = messages.contents_size(change)
        self._bytes_read += size
        if topic in self._unfollowed or topic in self._too_large:
            return
        changes = self._changes[topic]
        changes.append(change)
        changes.holders &= holders
        self._sizes[topic] += size
        if self._sizes[topic] > MAX_TOPIC_BYTES or not changes.holders:
            self._too_large.add(topic)
            del self._changes[topic], self._sizes[topic]

    def _leave_out(self, topics: set[str]) -> None:
        """Do not read rows that were only in these topics."""
        if topics:
            self._unread = {key: its for key, its in self._unread.items() if not its or its - topics}
