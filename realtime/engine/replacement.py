"""Replacements: all rows of a topic that were read again, and how they differ from its present rows. For any thread."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import messages
from .messages import Change, Content, Format, Row

MANY_ROWS = 2000
"""With this many rows or more, digests are computed when rows are compared, not when they are first needed."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Rows that are to replace a topic's, and the changes that lead to them.

    Shape: ``rows`` by key. A row that is not changed is the object that the topic has, unless that lacks contents.
    Units: ``size`` is that of the changes in bytes, as in ``ChangeSet``.
    """

    rows: dict[str, Row]
    changes: list[Change]
    size: int
    digests: dict[Format, int]
    contents: Sequence[Content]


def compare(
    present: Mapping[str, Row],
    fresh: Mapping[str, Row],
    digests: Mapping[Format, int],
    contents: Sequence[Content],
    *,
    is_narrower: bool,
) -> Replacement:
    """Return the replacement of the present rows.

    ``digests`` are those of the present rows. ``contents`` are those of the fresh rows; ``is_narrower``: the present
    ones have all of it.
    """
    keys = differing(present, fresh)
    kept = fresh.keys() - set(keys) if is_narrower else ()
    changes = [fresh[key].upsert() if key in fresh else messages.delete(key) for key in keys]
    formats: Iterable[Format] = (*digests, *contents) if len(fresh) >= MANY_ROWS else digests
    return Replacement(
        {key: present[key] if key in kept else row for key, row in fresh.items()},
        changes,
        sum(map(messages.contents_size, changes)),
        {format: _digest_after(present, fresh, keys, digests.get(format), format) for format in formats},
        contents,
    )


def differing(present: Mapping[str, Row], fresh: Mapping[str, Row]) -> list[str]:
    """Return the keys of rows that only one of the two has, or that have other contents."""
    gone = [key for key in present if key not in fresh]
    return gone + [key for key, row in fresh.items() if key not in present or not present[key].is_same(row)]


def _digest_after(
    present: Mapping[str, Row],
    fresh: Mapping[str, Row],
    differing: Iterable[str],
    known: int | None,
    format: Format,
) -> int:
    """Return the digest of the fresh rows, from that of the present ones if it is known."""
    if known is None:
        return digest_of(fresh.values(), format)
    pairs = [each.get(key) for key in differing for each in (present, fresh)]
    return known ^ digest_of(filter(None, pairs), format)


def digest_of(rows: Iterable[Row], format: Format) -> int:
    """Return the digest of rows in any order: each row can be removed from it, and added, alone."""
    digest = 0
    for row in rows:
        digest ^= row.digest_in(format)
    return digest
