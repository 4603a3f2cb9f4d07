"""Sequencing: turns what has been committed to the outbox into log entries, one per touched topic.

Operations are worked out here, not in triggers. A touched row that is in its feed's queryset now is an
upsert in its topic; in every other topic that an image of it names it is a delete. Insert, update,
delete, move, key change, filter transition and change of a related row are that one rule.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connections, transaction

from .. import notices
from ..access import revocation
from ..conf import get_conf
from ..databases import OutboxCursor, database
from ..engine import messages
from ..engine.messages import Change
from ..feeds import Feed, registry
from ..models import LogEntry, Sequencer
from . import log, positions
from .positions import Probe

logger = logging.getLogger("realtime.sequencer")

Image = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one round of sequencing added to the log."""

    epoch: str
    end: int
    entries: list[LogEntry]


def sequence(seen: Probe, quiet: Probe | None = None) -> Batch | None:
    """Sequence what the outbox holds; None when there was nothing, or another sequencer was quicker.

    ``seen`` is what ``positions.probe`` just said, ``quiet`` what it last said while nothing waited.
    The rows are read in a snapshot without any lock, so that writers never wait for a feed's query or a
    template. Then, under the lock of the sequencer's row, the entries go in together with the step of the
    cursor, if it still stands where it stood: of two sequencers one succeeds, and the other has done some
    work for nothing.
    """
    if not seen.epoch:
        positions.ensure_epoch()
        return None
    if not seen.is_waiting:
        _begin_anew_if_rewound(seen)
        return None
    using = get_conf().database
    with positions.read_snapshot() as moment:
        if moment.epoch != seen.epoch:
            return None
        state = _state()
        entries = _entries(state, moment.cursor, _begins(state, quiet))
        if entries is None or not moment.is_kept(_tables(entries)):
            return None
    with transaction.atomic(using=using):
        database(using).hold_briefly(connections[using])
        if not _advance(state, moment.cursor):
            return None
        log.append(entries)
    return Batch(state.epoch, moment.cursor.offset, entries)


@dataclass(frozen=True, slots=True)
class _State:
    """How far the outbox has been sequenced, and from where on the log is whole."""

    epoch: str
    cursor: OutboxCursor
    edge: int


def _state() -> _State:
    with connections[get_conf().database].cursor() as cursor:
        cursor.execute(
            "SELECT epoch, next, open, edge FROM realtime_sequencer WHERE id = %s", [Sequencer.ROW]
        )
        epoch, next, open, edge = cursor.fetchone()
    return _State(epoch, OutboxCursor(next, tuple(json.loads(open))), edge)


def _advance(state: _State, until: OutboxCursor) -> bool:
    """Move the stored cursor on, if it still stands where it stood; return whether it did.

    The row stays locked until the transaction ends: who comes second waits, and finds it moved.
    """
    with connections[get_conf().database].cursor() as cursor:
        cursor.execute(
            "UPDATE realtime_sequencer SET next = %s, open = %s "
            "WHERE id = %s AND epoch = %s AND next = %s AND open = %s",
            [
                until.next,
                _as_json(until.open),
                Sequencer.ROW,
                state.epoch,
                state.cursor.next,
                _as_json(state.cursor.open),
            ],
        )
        return cursor.rowcount == 1


def _as_json(open: Sequence[int]) -> str:
    """Return transaction numbers as Django's JSONField writes them, which SQLite compares as text."""
    return json.dumps(list(open))


def _begins(state: _State, quiet: Probe | None) -> int:
    """Return the offset until which nothing happened after what was sequenced.

    The stored cursor moves only with changes, while on PostgreSQL positions move with every transaction.
    """
    if quiet is not None and (quiet.epoch, quiet.sequenced) == (state.epoch, state.cursor.offset):
        return quiet.offset
    return state.cursor.offset


def _tables(entries: list[LogEntry]) -> set[str]:
    """Return the tables that were read for these entries."""
    feeds = {entry.topic.partition(".")[0] for entry in entries if entry.kind == LogEntry.Kind.CHANGES}
    return {table for name in feeds for table in registry[name].tables}


def _begin_anew_if_rewound(seen: Probe) -> None:
    """Begin a new epoch where the outbox ends before what was sequenced of it: ids would come again."""
    if seen.offset < seen.sequenced:
        logger.warning("the outbox ends at %d, sequenced to %d: a new log", seen.offset, seen.sequenced)
        positions.begin_epoch()


def _outbox_rows(since: OutboxCursor, until: OutboxCursor, at_most: int) -> list[tuple[str, Image]]:
    """Return source and image of the outbox rows seen at ``until`` and not at ``since``, oldest first."""
    using = get_conf().database
    missing, parameters = since.missing_sql(until, database(using).STAMP)
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"SELECT source, image FROM realtime_outboxrow WHERE {missing} ORDER BY id LIMIT %s",
            [*parameters, at_most],
        )
        return [(source, None if image is None else json.loads(image)) for source, image in cursor.fetchall()]


def _entries(state: _State, until: OutboxCursor, begins: int) -> list[LogEntry] | None:
    """Return the entries for what the outbox has beyond the stored cursor, as of the snapshot that is being read.

    None when that is nothing: another sequencer was quicker.
    """
    conf = get_conf()
    end = until.offset
    images: dict[str, list[Image]] = defaultdict(list)
    rows = _outbox_rows(state.cursor, until, conf.max_batch_rows + 1)
    if not rows:
        return None
    is_flood = len(rows) > conf.max_batch_rows
    if is_flood:
        outbox = positions.unsequenced(state.cursor, until)
        sources = set(outbox.order_by().values_list("source", flat=True).distinct())
        own = outbox.filter(source__in=(notices.SOURCE, revocation.SOURCE))
        rows = list(own.order_by("id").values_list("source", "image"))
        logger.info("more than %d changes at once: their topics are read anew", conf.max_batch_rows)
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
    before = log.newest({name for topic in topics for name in (topic, topic.partition(".")[0])})
    for topic, changes in topics.items():
        after = max(state.edge, before.get(topic, 0), before.get(topic.partition(".")[0], 0))
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
    """Return the changes of each topic that the images touch; None: the topic must be read anew.

    A feed that fails (its queryset, a template) stops itself alone: hubs are told to read it anew, and
    say so to its subscribers as long as it does not work.
    """
    if any(None in of_table for of_table in images.values()):
        return {feed.name: None}
    connection = connections[get_conf().database]
    try:
        with database(connection.alias).failing_alone(connection):
            return _changes(feed, images)
    except Exception:
        logger.exception("feed %s cannot read its changed rows; its topics are to be read anew", feed.name)
        return {feed.name: None}


def _changes(feed: Feed, images: dict[str, list[Any]]) -> dict[str, list[Change] | None]:
    touched = feed.touched(images, get_conf().max_batch_rows)
    if touched is None:
        return {feed.name: None}
    if feed.limit is not None:
        # Which row comes in for one that leaves is found by reading; hubs send what differs.
        return dict.fromkeys(topic for topics in touched.values() for topic in topics)
    present = {instance.pk: instance for instance in feed.live_rows().filter(pk__in=list(touched)).order_by()}
    changes: dict[str, list[Change] | None] = defaultdict(list)
    for key, topics in touched.items():
        instance = present.get(key)
        here = feed.topic_of(instance) if instance is not None else None
        row = feed.row(instance) if here is not None else None
        if here is not None and row is not None:
            changes[here].append(row.upsert())
            topics.discard(here)
        for topic in topics:
            changes[topic].append(messages.delete(str(key)))
    return dict(changes)
