"""The table watch: whether the tables of the feeds have changed since a reset last made their feeds read them.

Triggers record changes of rows, not of tables. The state of a table and of each of its triggers is stored with the
trigger's claim. So the next process that looks finds a change, also after all processes were down, and the table is
read again once.
"""

from collections import defaultdict

from ..databases.captures import TableState
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..feeds import registry
from ..models import OutboxRow, TriggerClaim
from . import capture


class TableWatch:
    """The states of the tables at the last look; a look is one query while nothing has changed."""

    def __init__(self) -> None:
        self.has_changed = False
        """Whether the last look found a change, or was the first one."""
        self.without_triggers: set[str] = set()
        """The live tables that lack a trigger: their changes are not captured."""
        self.exchanged: set[str] = set()
        """The live tables that have changed since a reset last made their feeds read them."""
        self._states: dict[str, TableState] | None = None
        self._needed: dict[str, set[str]] = {}
        self._is_settled = False

    @property
    def files(self) -> dict[str, str]:
        """The storage that each live table was read from at the last look, where the database reports it."""
        states = self._states or {}
        return {table: state.files for table, state in states.items() if state.files is not None}

    def forget(self) -> None:
        """Have the next look examine everything."""
        self._states = None

    def look(self) -> None:
        """Compare the live tables with their stored states."""
        here = database()
        states = here.table_states(capture.tables())
        self.has_changed = states != self._states
        if self.has_changed:
            self._states, self._is_settled = states, False
            self._needed = defaultdict(set)
            for found in map(here.triggers.completed, capture.captures(registry)):
                self._needed[found.table] |= set(here.triggers.statements(found))
        if self._is_settled:
            return
        seen = self._seen()
        self.without_triggers = {
            table
            for table, needed in self._needed.items()
            if table not in states or needed - states[table].triggers.keys()
        }
        self.exchanged = {table for table in states if self._unseen(table, seen)}
        self._is_settled = not (self.without_triggers or self.exchanged)

    def read_again(self) -> list[str]:
        """Write a reset of each exchanged table to the outbox, unless another process has; return the tables."""
        if not self.exchanged:
            return []
        seen = self._seen()
        if any(name not in seen for table in self.exchanged for name in self._unseen(table, seen)):
            capture.claim(database())  # an older release has installed the triggers, or the claims were lost
            seen = self._seen()
        reset = [table for table in sorted(self.exchanged) if _settle(table, self._unseen(table, seen), seen)]
        self.exchanged = set()
        return reset

    def _seen(self) -> dict[str, str]:
        names = [name for needed in self._needed.values() for name in needed]
        return dict(TriggerClaim.objects.filter(name__in=names).values_list("name", "seen"))

    def _unseen(self, table: str, seen: dict[str, str]) -> dict[str, str]:
        """Return the present state of each trigger of a table that has changed, by name."""
        present = self._states[table].triggers if self._states else {}
        return {
            name: state
            for name, state in present.items()
            if name in self._needed[table] and seen.get(name) != state
        }


def _settle(table: str, unseen: dict[str, str], seen: dict[str, str]) -> bool:
    """Store the state of the triggers, and reset the table if no other process was quicker."""
    with engine_transaction():
        moved = [
            TriggerClaim.objects.filter(name=name, seen=seen.get(name, "")).update(seen=state)
            for name, state in sorted(unseen.items())
        ]
        if any(moved):
            OutboxRow.objects.create(source=table, image=None)
    return any(moved)
