"""What is captured of a table; each database has a module beside this one that turns it into triggers."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models

from ..feeds import Feed

TRIGGER_PREFIX = "realtime_"


@dataclass(frozen=True, slots=True)
class Capture:
    """The columns of a table that its triggers note, old and new: what names its rows, their topics, or
    the rows of other tables that depend on them.

    Shape: ``unique`` holds the column groups by which one row can push out another (INSERT OR REPLACE).
    """

    table: str
    columns: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]

    @property
    def noted(self) -> set[str]:
        """All columns that the triggers name."""
        return {*self.columns, *(column for group in self.unique for column in group)}

    def trigger_name(self, event: str, body: str) -> str:
        """Return a name that changes with the definition: "installed and current" is a look at names."""
        digest = hashlib.blake2s(f"{self.table}\0{event}\0{body}".encode(), digest_size=6).hexdigest()
        return f"{TRIGGER_PREFIX}{digest}_{event}"


def captures(feeds: Iterable[Feed]) -> list[Capture]:
    """Return what the feeds need captured, one capture per table."""
    columns: dict[type[models.Model], dict[str, None]] = {}
    for feed in feeds:
        for model, fields in feed.sources.items():
            columns.setdefault(model, {}).update(dict.fromkeys(field.column for field in fields))
    return [Capture(model._meta.db_table, tuple(noted), _unique(model)) for model, noted in columns.items()]


def _unique(model: type[models.Model]) -> tuple[tuple[str, ...], ...]:
    groups = [[field.name] for field in model._meta.local_fields if field.unique]
    groups += [list(names) for names in model._meta.unique_together]
    # One with a condition too: it notes a row too many where the condition does not hold.
    groups += [
        list(found.fields) for found in model._meta.constraints if isinstance(found, models.UniqueConstraint)
    ]
    return tuple(tuple(model._meta.get_field(name).column for name in names) for names in groups if names)
