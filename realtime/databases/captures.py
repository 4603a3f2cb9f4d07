"""What is captured of a table; each database has a module beside this one that turns it into triggers."""

import hashlib
from dataclasses import dataclass

TRIGGER_PREFIX = "realtime_"
OUTBOX_TABLE = "realtime_outboxrow"


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
