"""What the triggers noted: outbox rows, each parsed alone, so that a malformed one affects no other."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

from django.db import DatabaseError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ..databases.outbox import OutboxCursor
from ..databases.registry import database
from ..runtime import metrics

logger = logging.getLogger("realtime.sequencer")

Image = dict[str, Any]

# As text, because only the first row's time is needed: converting it is what takes long.
_COLUMNS = "id, CAST(written_at AS text), source, image"


@dataclass(frozen=True, slots=True)
class Noted:
    """One outbox row.

    Shape: ``image`` None means that any row of the source may have changed. If ``is_malformed`` it could not be
           read as an image, and is None as well.
    """

    id: int
    written_at: str
    source: str
    image: Image | None
    is_malformed: bool = False


def read(since: OutboxCursor, until: OutboxCursor, at_most: int, sources: Sequence[str] = ()) -> list[Noted]:
    """Return the outbox rows visible at ``until`` and not at ``since``, oldest first, at most so many.

    Read them in the snapshot ``until``. ``sources``: only the rows of these.
    """
    missing, parameters = since.missing(until, database().STAMP)
    condition = f"{missing} AND source IN ({_marks(sources)})" if sources else missing
    condition, parameters = f"{condition} ORDER BY id LIMIT %s", [*parameters, *sources, at_most]  # type: ignore[list-item]
    try:
        found = _fetch(_COLUMNS, condition, parameters)
    except DatabaseError:
        # SQLite refuses a whole result for one text in it that is not UTF-8.
        found = _fetch_apart([id for (id,) in _fetch("id", condition, parameters)])
    rows = [_parse(*row) for row in found]
    skip("no image can be read from", [row for row in rows if row.is_malformed])
    return rows


def skip(why: str, rows: Iterable[Noted]) -> None:
    """Log and count rows that cannot be used, in one line for each source: "<why> 3 outbox rows of <source>"."""
    by_source: dict[str, list[int]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row.id)
    for source, ids in by_source.items():
        metrics.skipped_rows.inc(len(ids))
        logger.warning("%s %d outbox rows of %.80r, the first is %d", why, len(ids), source, ids[0])


def age(row: Noted) -> float:
    """Return how many seconds ago a row was written, by the clocks of the database and of this process."""
    written_at = parse_datetime(row.written_at)
    if written_at is None:
        return 0.0
    if written_at.tzinfo is None:  # SQLite's column has no zone; its clock is UTC
        written_at = written_at.replace(tzinfo=UTC)
    return max(0.0, (timezone.now() - written_at).total_seconds())


def _fetch(columns: str, condition: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with database().connection.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM realtime_outboxrow WHERE {condition}", parameters)
        return list(cursor.fetchall())


def _fetch_apart(ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """Return the rows of these ids, split until each one that cannot be read is alone; it has no image then."""
    try:
        return _fetch(_COLUMNS, f"id IN ({_marks(ids)}) ORDER BY id", ids)
    except DatabaseError:
        if len(ids) > 1:
            middle = len(ids) // 2
            return [*_fetch_apart(ids[:middle]), *_fetch_apart(ids[middle:])]
    # Raises where the cause is the database and not this row.
    _fetch("id", "id = %s", ids)
    try:
        ((source,),) = _fetch("source", "id = %s", ids)
    except DatabaseError:
        source = ""
    return [(ids[0], "", source, "unreadable")]


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def decode(image: str) -> Any:
    """Return an image, or a part of one; numbers have all their digits.

    Raises: ValueError, RecursionError.
    """
    return json.loads(image, parse_float=Decimal)


def _parse(id: int, written_at: str, source: str, image: str | None) -> Noted:
    try:
        parsed = None if image is None else decode(image)
    # A number may have more digits than Python converts, and brackets more levels.
    except (ValueError, RecursionError):
        return Noted(id, written_at, source, None, is_malformed=True)
    is_image = (parsed is None and image is None) or isinstance(parsed, dict)
    return Noted(id, written_at, source, parsed if is_image else None, is_malformed=not is_image)
