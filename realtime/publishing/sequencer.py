"""Sequencing: turns committed rows of the outbox into log entries, one for each touched topic.

Operations are derived here, not in triggers. A touched row that is in its feed's queryset now is an
upsert in its topic; in every other topic that one of its images names it is a delete. That one rule covers
insert, update, delete, move, key change, filter transition and change of a related row.

Where rows have changed that rights to a topic depend on, the topic's entry has the kind ``rights``. It also has all
other changes of the same transaction in the topic, so that hubs check the rights before they send any of them.

A fault affects only the row, topic or feed that it is in. A round that fails as a whole is split until the faulty part
is alone.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import DataError, IntegrityError, InterfaceError, OperationalError, transaction

from .. import notices
from ..access import revocation
from ..changes import is_handled
from ..conf import get_conf
from ..databases.outbox import OutboxCursor, Probe
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..engine import messages
from ..feeds import registry
from ..models import LogEntry
from ..runtime import metrics
from . import feed_changes, interest, log, outbox_records, positions, progress, releases
from .feed_changes import TopicChanges
from .outbox_records import OutboxRecord
from .progress import Progress

logger = logging.getLogger("realtime.sequencer")

T = TypeVar("T")

OWN_SOURCES = (notices.SOURCE, revocation.SOURCE, releases.SOURCE)
MAX_OWN_ROWS = 10_000
"""How many rows of the engine's own, such as notices, a round sequences beside a flood."""
MAX_ATTEMPTS = 200
"""How many parts of a round that failed as a whole are tried, apart from those of entries that nothing replaces."""
_OF_DATA = (DataError, IntegrityError, ValueError, OverflowError)
"""Errors that a value causes which the database does not store."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries that one round of sequencing added to the log."""

    epoch: str
    end: int
    entries: list[LogEntry]


@dataclass(slots=True)
class _Round:
    """The result of a round's outbox rows: entries, resets and changes by topic."""

    changes: TopicChanges = field(default_factory=dict)
    announcements: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, topic and payload."""
    in_question: set[str] = field(default_factory=set)
    """Topics to which rights may have changed; a feed's name stands for all of its topics."""
    others: set[str] = field(default_factory=set)
    """Feeds whose topics other releases must read again: which topics are touched in these releases is not known."""

    def add(self, more: TopicChanges) -> None:
        for topic, changed in more.items():
            if topic not in self.changes:
                self.changes[topic] = changed
                continue
            before = self.changes[topic]
            if isinstance(before, list) and isinstance(changed, list):
                merged = before.followed_by(changed)
                self.changes[topic] = merged if merged.holders else None
            else:
                self.changes[topic] = None if None in (before, changed) else feed_changes.UNFOLLOWED


def sequence(seen: Probe, quiet: Probe | None = None) -> Batch | None:
    """Sequence the rows of the outbox; return None if it has none, or if another sequencer was quicker.

    ``seen`` is the latest result of ``positions.probe``, ``quiet`` its latest result while nothing waited.
    The rows are read in a snapshot without any lock, so that writers never wait for a feed's query or a
    template. Then, in one transaction that locks the sequencer's row, the cursor moves and the entries are
    added, provided that the stored cursor is still the one read: of two sequencers one succeeds, and the
    other discards its work.
    """
    if not seen.epoch:
        positions.ensure_epoch()
        return None
    if not seen.is_waiting:
        _begin_anew_if_rewound(seen)
        return None
    connection = database().connection
    connection.ensure_connection()
    driver = connection.connection
    try:
        return _sequence(seen, quiet, _entries)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the same round may succeed next time
    except Exception:
        # A server that ended the transaction, because it lasted too long, reports an InternalError; Django opens
        # another connection then.
        if connection.connection is not driver or not connection.is_usable():
            raise
        logger.exception("a round of sequencing failed; its parts are tried")
        return _sequence(seen, quiet, _entries_apart)


def _sequence(
    seen: Probe,
    quiet: Probe | None,
    read: Callable[[Progress, OutboxCursor, int], list[LogEntry] | None],
) -> Batch | None:
    with positions.read_snapshot() as moment:
        before = progress.read()
        if before is None or moment.epoch != seen.epoch:
            return None
        entries = read(before, moment.cursor, _begins(before, quiet))
        if entries is None or not moment.is_kept(_tables(entries)):
            return None
    added = _store(before, moment.cursor, entries)
    if added is None:
        return None
    return Batch(before.epoch, moment.cursor.offset, added)


# ---------------------------------------------------------------- storing


def _store(before: Progress, until: OutboxCursor, entries: list[LogEntry]) -> list[LogEntry] | None:
    """Move the cursor and add the entries; return those added, None if another sequencer was quicker."""

    def store(some: list[LogEntry]) -> list[LogEntry] | None:
        with engine_transaction():
            if not progress.advance(before, until):
                return None
            if some:
                log.append(some)
            return some

    try:
        return store(entries)
    except _OF_DATA as error:
        logger.warning("an entry cannot be stored: %s; the others are", error)
    return store(_storable(entries))


def _storable(entries: list[LogEntry]) -> list[LogEntry]:
    """Return the entries that can be stored, which is tried in transactions that are rolled back.

    Each of these is short, so that no lock is held for longer than usual, however many entries there are. The topic of
    an entry that cannot be stored is reset, so that hubs read it. If its name cannot be stored either, no page can
    follow that topic. Only entries of feeds are replaced together after too many attempts: nothing replaces a notice.
    """

    def attempt(some: Sequence[LogEntry]) -> list[LogEntry]:
        if some:
            with engine_transaction() as here:
                log.append(some)
                transaction.set_rollback(True, using=here.alias)
        return list(some)

    def replace(some: Sequence[LogEntry]) -> list[LogEntry]:
        if len(some) > 1:  # too many attempts
            feeds = {_feed(entry.topic): entry for entry in some}
            return attempt([_reset_of(entry, name) for name, entry in feeds.items()])
        (entry,) = some
        if entry.kind in log.WITH_ROWS:
            with suppress(*_OF_DATA):
                return attempt([_reset_of(entry, entry.topic)])
        logger.error("an entry of topic %.80r cannot be stored and is left out", entry.topic)
        return []

    of_feeds: list[LogEntry] = []
    others: list[LogEntry] = []
    for entry in entries:
        is_of_feed = _feed(entry.topic) in registry and not log.is_announcement(entry)
        (of_feeds if is_of_feed else others).append(entry)
    return [
        entry
        for some, attempts in ((others, 2 * len(others)), (of_feeds, MAX_ATTEMPTS))
        for part in _apart(some, attempt, replace, _OF_DATA, attempts)
        for entry in part
    ]


def _reset_of(entry: LogEntry, topic: str) -> LogEntry:
    reset = LogEntry(
        position=entry.position, topic=topic, kind=LogEntry.Kind.RESET.value, after=entry.after,
        begins=entry.begins, payload="", fingerprint="",
    )  # fmt: skip
    reset.written_at = entry.written_at
    return reset


Item = TypeVar("Item")


def _apart(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], T],
    replace: Callable[[Sequence[Item]], T],
    errors: type[Exception] | tuple[type[Exception], ...],
    attempts: int,
) -> Iterable[T]:
    """Yield the results of ``work`` for parts of the items, and of ``replace`` for items for which it fails.

    After that many failed attempts all of a failing part are replaced together; twice as many as there are items
    leave each item to itself.
    """
    waiting, failures = [items], 0
    while waiting:
        part = waiting.pop()
        try:
            yield work(part)
        except (OperationalError, InterfaceError):
            raise
        except errors:
            failures += 1
            middle = len(part) // 2
            if middle and failures < attempts:
                waiting += [part[middle:], part[:middle]]
            else:
                yield replace(part)


# ---------------------------------------------------------------- reading


def _begins(before: Progress, quiet: Probe | None) -> int:
    """Return the offset up to which nothing is known to have changed since the last sequenced change.

    The stored cursor moves only with changes, while on PostgreSQL positions move with every transaction.
    """
    if quiet is not None and (quiet.epoch, quiet.sequenced) == (before.epoch, before.cursor.offset):
        return quiet.offset
    return before.cursor.offset


def _tables(entries: list[LogEntry]) -> set[str]:
    """Return the tables that were read for these entries; only an entry that rows were read for has a fingerprint."""
    feeds = {_feed(entry.topic) for entry in entries if entry.kind in log.WITH_ROWS and entry.fingerprint}
    return {table for name in feeds for table in registry[name].tables}


def _begin_anew_if_rewound(seen: Probe) -> None:
    """Begin a new epoch if the outbox ends before the stored cursor: its ids would be used again."""
    if seen.offset < seen.sequenced:
        logger.warning(
            "the outbox ends at %d but was sequenced up to %d; a new log begins", seen.offset, seen.sequenced
        )
        positions.begin_epoch()


def _entries(before: Progress, until: OutboxCursor, begins: int) -> list[LogEntry] | None:
    """Return the entries for the outbox rows after the stored cursor, as of the snapshot that is being read.

    None when there are no such rows: another sequencer was quicker.
    """
    limit = get_conf().max_batch_rows
    rows = outbox_records.read(before.cursor, until, limit + 1)
    if not rows:
        return None
    amount = _amount(rows) if len(rows) <= limit else _flood(before.cursor, until)
    return _dated(_chained(amount, before, until.offset, begins), rows[0])


def _entries_apart(before: Progress, until: OutboxCursor, begins: int) -> list[LogEntry] | None:
    """Return the entries of a round that failed as a whole: outbox rows that fail even alone reset their feeds."""
    here = database()
    limit = get_conf().max_batch_rows
    rows = outbox_records.read(before.cursor, until, limit + 1)
    if not rows:
        return None

    def amount(some: Sequence[OutboxRecord]) -> _Round:
        with here.failing_alone():
            return _amount(some)

    def replace(some: Sequence[OutboxRecord]) -> _Round:
        outbox_records.skip("sequencing fails for", some)
        return _Round(_resets({row.source for row in some}))

    if len(rows) > limit:
        amounts: Iterable[_Round] = [_Round(_resets(_sources(before.cursor, until)))]
    else:
        amounts = _apart(rows, amount, replace, Exception, MAX_ATTEMPTS)
    whole = _Round()
    for part in amounts:
        whole.add(part.changes)
        whole.announcements += part.announcements
        whole.in_question |= part.in_question
        whole.others |= part.others
    return _dated(_chained(whole, before, until.offset, begins), rows[0])


def _dated(entries: list[LogEntry], oldest: OutboxRecord) -> list[LogEntry]:
    """Return the entries with the time of the oldest outbox row of the round."""
    for entry in entries:
        entry.written_at = oldest.written_at
    metrics.observe_since(metrics.sequenced, oldest.written_at)
    return entries


def _amount(rows: Sequence[OutboxRecord]) -> _Round:
    """Return the result of some outbox rows."""
    by_source: dict[str, list[OutboxRecord]] = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    amount = _own(by_source)
    unused = by_source.keys() - set(OWN_SOURCES)
    touched = set()
    for feed in registry:
        concerned = {table: by_source[table] for table in feed.tables & by_source.keys()}
        if concerned:
            # Functions of on_change need the rows of all topics.
            followed = dict.fromkeys if is_handled(feed.name) else interest.followed
            amount.add(feed_changes.of_rows(feed, concerned, followed))
            touched.add(feed.name)
        decisive = {table: by_source[table] for table in feed.rights_tables & by_source.keys()}
        if decisive:
            amount.in_question |= feed_changes.in_question(feed, decisive)
        unused -= concerned.keys() | decisive.keys()
    amount.others = _others(touched, unused)
    # A row of a table that is no longer live, or that is live only in another release.
    outbox_records.skip("no feed needs", [row for source in unused for row in by_source[source]])
    return amount


def _flood(since: OutboxCursor, until: OutboxCursor) -> _Round:
    """Return the result of a flood: topics of more rows than are read one by one are read again."""
    logger.info("more than %d changes at once; their topics are read again", get_conf().max_batch_rows)
    own: dict[str, list[OutboxRecord]] = defaultdict(list)
    sources = _sources(since, until)
    if sources & set(OWN_SOURCES):
        for row in outbox_records.read(since, until, MAX_OWN_ROWS, OWN_SOURCES):
            own[row.source].append(row)
    amount = _own(own)
    unused, touched = sources - set(OWN_SOURCES), set()
    for feed in registry:
        if feed.tables & sources:
            amount.add(feed_changes.of_flood(feed, sources, since, until))
            touched.add(feed.name)
        if feed.rights_tables & sources:
            amount.in_question.add(feed.name)
        unused -= feed.tables | feed.rights_tables
    amount.others = _others(touched, unused)
    return amount


def _others(touched: set[str], unused: set[str]) -> set[str]:
    """Return the feeds of other releases in which a change may touch topics that this release does not know.

    ``touched`` are feeds of this release; ``unused`` are tables that none of its feeds needs, but another release's
    may.
    """
    if not touched and not unused:
        return set()
    others = releases.with_other_topics()
    return others if unused else others & touched


def _sources(since: OutboxCursor, until: OutboxCursor) -> set[str]:
    here = database()
    missing, parameters = since.missing(until, here.STAMP)
    with here.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT {here.TEXT.format('source')} FROM realtime_outboxrow WHERE {missing}",
            parameters,
        )
        return {outbox_records.text(source) for (source,) in cursor.fetchall()}


def _resets(sources: set[str]) -> TopicChanges:
    return {feed.name: None for feed in registry if (feed.tables | feed.rights_tables) & sources}


def _own(rows: dict[str, list[OutboxRecord]]) -> _Round:
    """Return the result of the engine's own outbox rows: notices, changed rights, new releases."""
    amount = _Round()
    for topic, text in _parsed(rows.get(notices.SOURCE, []), notices.parse):
        amount.announcements.append((LogEntry.Kind.NOTICE.value, topic, text))
    if announced := rows.get(revocation.SOURCE):
        payload = revocation.payload(row.image for row in announced)
        amount.announcements.append((LogEntry.Kind.RIGHTS.value, log.EVERYONE, payload))
    amount.add(dict.fromkeys(_parsed(rows.get(releases.SOURCE, []), releases.parse)))
    return amount


def _parsed(rows: Iterable[OutboxRecord], parse: Callable[[dict[str, Any] | None], T]) -> list[T]:
    """Return the parsed images; skip those that cannot be parsed."""
    parsed: list[T] = []
    malformed = []
    for row in rows:
        try:
            parsed.append(parse(row.image))
        except ValueError:
            malformed.append(row)
    outbox_records.skip("nothing can be made of", malformed)
    return parsed


def _chained(amount: _Round, before: Progress, end: int, begins: int) -> list[LogEntry]:
    """Return the entries, each linked to the previous one of its topic."""
    drafts = [
        LogEntry(position=end, topic=topic, kind=kind, after=end, begins=end, payload=payload, fingerprint="")
        for kind, topic, payload in amount.announcements
    ]
    others = amount.others - amount.changes.keys()
    in_question = {
        topic
        for topic in amount.in_question
        if _feed(topic) == topic or _feed(topic) not in amount.in_question
    }
    named = {name for topic in amount.changes.keys() | in_question for name in (topic, _feed(topic))}
    newest = log.newest(named | others)
    for name in others:
        fingerprint = registry[name].fingerprint if name in registry else ""
        drafts.append(
            LogEntry(
                position=end, topic=name, kind=LogEntry.Kind.RESET.value, begins=begins, payload="",
                after=max(before.edge, newest.get(name, 0)), fingerprint=fingerprint,
            )
        )  # fmt: skip
    for topic, changed in amount.changes.items():
        feed = _feed(topic)
        after = max(before.edge, newest.get(topic, 0), newest.get(feed, 0))
        kind, payload, fingerprint, format = LogEntry.Kind.RESET.value, "", "", ""
        if changed == feed_changes.UNFOLLOWED:
            kind = LogEntry.Kind.UNFOLLOWED.value
        elif changed is not None:
            asks = topic in in_question or feed in in_question
            kind = LogEntry.Kind.RIGHTS.value if asks else LogEntry.Kind.CHANGES.value
            payload = messages.encode_changes(changed)
            fingerprint, format = registry[feed].fingerprint, changed.format
        drafts.append(
            LogEntry(
                position=end, topic=topic, kind=kind, after=after, begins=begins, payload=payload,
                fingerprint=fingerprint, format=format,
            )
        )  # fmt: skip
    # After the entries of topics: a feed's entry adds nothing to a topic that has an entry of its own.
    for topic in in_question - amount.changes.keys():
        drafts.append(
            LogEntry(
                position=end, topic=topic, kind=LogEntry.Kind.RIGHTS.value, begins=begins,
                after=max(before.edge, newest.get(topic, 0), newest.get(_feed(topic), 0)),
                payload=messages.encode_changes([]), fingerprint="",
            )
        )  # fmt: skip
    return drafts


def _feed(topic: str) -> str:
    return topic.partition(".")[0]
