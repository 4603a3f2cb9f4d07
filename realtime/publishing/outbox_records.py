"""Outbox records: rows of the outbox, parsed. Each row is parsed alone, so that a malformed one affects no other."""

import json
import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ..databases.outbox import OutboxCursor
from ..databases.registry import database
from ..runtime import metrics

logger = logging.getLogger("realtime.sequencer")

Image = dict[str, Any]

MAX_CHARACTERS = 64 * 1024
"""Longer images are read one by one, and longer values in them are cut: no key and no topic's name is as long."""
MAX_LONG_CHARACTERS = 16 * 1024 * 1024
"""Still longer images are not read."""
_CUT = "\udc80"
"""Appended to a value that is cut: half of a surrogate pair, so that the result is equal to no stored value."""
_decoder = json.JSONDecoder(parse_float=Decimal)  # json.loads makes one for each text


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """One outbox row.

    Units: ``written_at`` is in seconds since 1970, by the clock of this process.
    Shape: ``image`` None means that any row of the source may have changed. If ``is_malformed`` it could not be
           read as an image, and is None as well.
    """

    id: int
    written_at: float
    source: str
    image: Image | None
    is_malformed: bool = False


def read(
    since: OutboxCursor, until: OutboxCursor, at_most: int, sources: Sequence[str] = ()
) -> list[OutboxRecord]:
    """Return at most ``limit`` outbox rows visible at ``until`` and not at ``since``, oldest first.

    Read them in the snapshot ``until``. ``sources``: only the rows of these.
    """
    condition, parameters = since.missing(until, database().STAMP)
    if sources:
        condition += f" AND source IN ({', '.join(['%s'] * len(sources))})"
    return _read(condition, [*parameters, *sources], at_most)


def read_these(ids: Sequence[int]) -> list[OutboxRecord]:
    """Return the outbox rows with these ids that are visible here, oldest first."""
    return _read(f"id IN ({', '.join(['%s'] * len(ids))})", ids, len(ids)) if ids else []


def _read(condition: str, parameters: Sequence[Any], at_most: int) -> list[OutboxRecord]:
    here = database()
    source, image = map(here.TEXT.format, ("source", "image"))
    found = here.fetch(
        f"SELECT id, {here.NOW} - written_at, {source}, CASE WHEN length({image}) <= %s THEN {image} END, "
        f"length({image}) > %s FROM realtime_outboxrow WHERE {condition} ORDER BY id LIMIT %s",
        [MAX_CHARACTERS, MAX_CHARACTERS, *parameters, at_most],
    )
    now = time.time()
    rows = [
        _parse(id, now - seconds(age), text(source), image, bool(is_long))
        for id, age, source, image, is_long in found
    ]
    skip("no image can be read from", [row for row in rows if row.is_malformed])
    return rows


def text(value: str | bytes) -> str:
    """Return a text; of bytes, those that are not UTF-8 become halves of surrogate pairs, as in names of files."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def skip(why: str, rows: Iterable[OutboxRecord]) -> None:
    """Log and count rows that cannot be used, in one line for each source: "<why> 3 outbox rows of <source>"."""
    by_source: dict[str, list[int]] = {}
    for row in rows:
        by_source.setdefault(row.source, []).append(row.id)
    for source, ids in by_source.items():
        metrics.skipped_rows.inc(len(ids))
        logger.warning("%s %d outbox rows of %.80r, the first is %d", why, len(ids), source, ids[0])


def seconds(age: float | None) -> float:
    """Return an age as seconds; 0 where the database has returned none, or a negative one."""
    return max(0.0, age) if age is not None and math.isfinite(age) else 0.0


def decode(image: str | bytes) -> Any:
    """Return an image, or a part of one; numbers have all their digits.

    Raises: ValueError, RecursionError.
    """
    return _decoder.decode(text(image))


def _parse(id: int, written_at: float, source: str, image: str | bytes | None, is_long: bool) -> OutboxRecord:
    try:
        parsed = _long(id) if is_long else None if image is None else decode(image)
    # A number may have more digits than Python converts, and brackets more levels.
    except (ValueError, RecursionError):
        return OutboxRecord(id, written_at, source, None, is_malformed=True)
    is_absent = image is None and not is_long
    is_image = is_absent or isinstance(parsed, dict)
    return OutboxRecord(id, written_at, source, parsed if is_image else None, is_malformed=not is_image)


def _long(id: int) -> Any:
    """Return a long image, in which long values are cut.

    Raises: ValueError, if it is too long for that; RecursionError.
    """
    here = database()
    image = here.TEXT.format("image")
    with here.connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {image} FROM realtime_outboxrow WHERE id = %s AND length({image}) <= %s",
            [id, MAX_LONG_CHARACTERS],
        )
        found = cursor.fetchone()
    if found is None:
        raise ValueError("the image is too long")
    parsed = decode(found[0])
    return {name: _cut(value) for name, value in parsed.items()} if isinstance(parsed, dict) else None


def _cut(value: Any) -> Any:
    """Return a value, or its beginning if it is long, as lists and objects may be."""
    # The form of bytes, for example.
    inner = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(inner, str):
        return value if len(inner) <= MAX_CHARACTERS else inner[:100] + _CUT
    return value if inner is None or isinstance(inner, int) else _CUT
