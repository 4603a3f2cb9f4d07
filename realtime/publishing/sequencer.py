"""Sequencing: turns what has been committed to the outbox into log entries, one per touched topic.

Operations are derived here, not in triggers. A touched row that is in its feed's queryset now is an
upsert in its topic; in every other topic that one of its images names it is a delete. That one rule covers
insert, update, delete, move, key change, filter transition and change of a related row.
"""

import json
import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from .. import notices
from ..access import revocation
from ..conf import get_conf
from ..databases.outbox import OutboxCursor, Probe
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..engine import messages
from ..engine.messages import Change
from ..feeds import Feed, registry
from ..models import LogEntry
from . import log, positions, progress
from .progress import Progress

logger = logging.getLogger("realtime.sequencer")

Image = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one round of sequencing added to the log."""

    epoch: str
    end: int
    entries: list[LogEntry]


def sequence(seen: Probe, quiet: Probe | None = None) -> Batch | None:
    """Sequence what the outbox holds; return None if it holds nothing, or if another sequencer was quicker.

    ``seen`` is the latest result of ``positions.probe``, ``quiet`` its latest result while nothing waited.
    The rows are read in a snapshot without any lock, so that writers never wait for a feed's query or a
    template. Then, in one transaction that locks the sequencer's row, the cursor moves and the entries are
    added, provided that the stored cursor is still the one read: one of two sequencers succeeds, and the
    other discards its work.
    """
    if not seen.epoch:
        positions.ensure_epoch()
        return None
    if not seen.is_waiting:
        _begin_anew_if_rewound(seen)
        return None
    with positions.read_snapshot() as moment:
        before = progress.read()
        if before is None or moment.epoch != seen.epoch:
            return None
        entries = _entries(before, moment.cursor, _begins(before, quiet))
        if entries is None or not moment.is_kept(_tables(entries)):
            return None
    with engine_transaction():
        if not progress.advance(before, moment.cursor):
            return None
        log.append(entries)
    return Batch(before.epoch, moment.cursor.offset, entries)


def _begins(before: Progress, quiet: Probe | None) -> int:
    """Return the offset up to which nothing is known to have changed since the last sequenced change.

    The stored cursor moves only with changes, while on PostgreSQL positions move with every transaction.
    """
    if quiet is not None and (quiet.epoch, quiet.sequenced) == (before.epoch, before.cursor.offset):
        return quiet.offset
    return before.cursor.offset


def _tables(entries: list[LogEntry]) -> set[str]:
    """Return the tables that were read for these entries."""
    feeds = {entry.topic.partition(".")[0] for entry in entries if entry.kind == LogEntry.Kind.CHANGES}
    return {table for name in feeds for table in registry[name].tables}


def _begin_anew_if_rewound(seen: Probe) -> None:
    """Begin a new epoch if the outbox ends before the stored cursor: its ids would be used again."""
    if seen.offset < seen.sequenced:
        logger.warning(
            "the outbox ends at %d but was sequenced up to %d; a new log begins", seen.offset, seen.sequenced
        )
        positions.begin_epoch()


def _outbox_rows(since: OutboxCursor, until: OutboxCursor, at_most: int) -> list[tuple[str, Image]]:
    """Return source and image of the outbox rows visible at ``until`` and not at ``since``, oldest first."""
    here = database()
    missing, parameters = since.missing(until, here.STAMP)
    with here.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT source, image FROM realtime_outboxrow WHERE {missing} ORDER BY id LIMIT %s",
            [*parameters, at_most],
        )
        return [(source, None if image is None else json.loads(image)) for source, image in cursor.fetchall()]


def _entries(before: Progress, until: OutboxCursor, begins: int) -> list[LogEntry] | None:
    """Return the entries for the outbox rows after the stored cursor, as of the snapshot that is being read.

    None when there are no such rows: another sequencer was quicker.
    """
    conf = get_conf()
    end = until.offset
    images: dict[str, list[Image]] = defaultdict(list)
    sources: set[str] = set()
    rows = _outbox_rows(before.cursor, until, conf.max_batch_rows + 1)
    if not rows:
        return None
    is_flood = len(rows) > conf.max_batch_rows
    if is_flood:
        outbox = positions.unsequenced(before.cursor, until)
        sources.update(outbox.order_by().values_list("source", flat=True).distinct())
        own = outbox.filter(source__in=(notices.SOURCE, revocation.SOURCE))
        rows = list(own.order_by("id").values_list("source", "image"))
        logger.info("more than %d changes at once; their topics are read again", conf.max_batch_rows)
    for source, image in rows:
        images[source].append(image)

    drafts = [_notice(image, end) for image in images.pop(notices.SOURCE, [])]
    if images.pop(revocation.SOURCE, None):
        drafts.append(_announcement(end, LogEntry.Kind.RIGHTS.value, log.EVERYONE))
    topics: dict[str, list[Change] | None] = {}
    for feed in registry:
        concerned = {table: images[table] for table in feed.tables & images.keys()}
        if is_flood and feed.tables & sources:
            topics[feed.name] = None
        elif concerned:
            topics |= _touched_topics(feed, concerned)
    newest = log.newest({name for topic in topics for name in (topic, topic.partition(".")[0])})
    for topic, changes in topics.items():
        after = max(before.edge, newest.get(topic, 0), newest.get(topic.partition(".")[0], 0))
        kind = LogEntry.Kind.RESET if changes is None else LogEntry.Kind.CHANGES
        payload = "" if changes is None else messages.encode_changes(changes)
        drafts.append(
            LogEntry(position=end, topic=topic, kind=kind, after=after, begins=begins, payload=payload)
        )
    return drafts


def _notice(image: Image, end: int) -> LogEntry:
    image = image or {}
    return _announcement(end, LogEntry.Kind.NOTICE.value, image["topic"], image["text"])


def _announcement(end: int, kind: str, topic: str, payload: str = "") -> LogEntry:
    return LogEntry(position=end, topic=topic, kind=kind, after=end, begins=end, payload=payload)


def _touched_topics(feed: Feed, images: dict[str, list[Image]]) -> dict[str, list[Change] | None]:
    """Return the changes of each topic that the images touch; None for a topic that must be read again.

    A feed that fails (its queryset, a template) affects no other feed: hubs read its topics again, and send its
    subscribers an error while it fails.
    """
    if any(None in of_table for of_table in images.values()):
        return {feed.name: None}
    try:
        with database().failing_alone():
            return _changes(feed, images)
    except Exception:
        logger.exception("feed %s cannot read its changed rows; its topics must be read again", feed.name)
        return {feed.name: None}


def _changes(feed: Feed, images: dict[str, list[Any]]) -> dict[str, list[Change] | None]:
    touched = feed.touched(images, get_conf().max_batch_rows)
    if touched is None:
        return {feed.name: None}
    if feed.is_read_whole:
        # Only reading the topic shows which other rows change with this one; hubs send the difference.
        return dict.fromkeys(topic for topics in touched.values() for topic in topics)
    present = feed.read_rows(touched)
    changes: dict[str, list[Change]] = defaultdict(list)
    for key, topics in touched.items():
        if key in present:
            here, row = present[key]
            changes[here].append(row.upsert())
            topics.discard(here)
        for topic in topics:
            changes[topic].append(messages.delete(str(key)))
    return {**changes}
