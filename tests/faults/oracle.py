"""The rows of each topic at every position, computed by the database from the suite's own triggers.

A trigger on each live table records every row's contents with the writer's transaction; one on the sequencer's row
records which transactions each sequenced position sees. This is independent of capture, sequencer, log and hub.
"""

import json
import sqlite3
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any

import psycopg

from realtime.engine.position import Position
from tests.processes.oracle import Oracle as Recorder

State = dict[str, tuple[object, ...]]
"""The rows of a topic: the values of the compared columns by key."""

Record = tuple[int, int, int | None, dict[str, Any] | None]
"""A recorded change: its number, its transaction, the row's key, and the row's contents; see ``Replay``."""

COLUMNS = {
    "entries": ("position", "label", "value", "unit", "status", "note"),
    "boards": ("slug", "title", "description", "position"),
    "items": ("name",),
    "erratics": ("name",),
    "slows": ("name",),
    "crates": ("label",),
    "readings": ("sector", "level"),
    "parcels": ("label", "weight"),
    "pulses": ("number",),
}
_TABLES = {"entries": "boards_entry", "boards": "boards_board"}
"""The tables that the suite's triggers are on, by feed."""

MAX_OFFSET = 2**63
NEXT_PARCELS = "parcels.1 of the next release"
_FROM = {
    "entries.1": "boards_entry WHERE board_id = 1 AND is_visible",
    "entries.2": "boards_entry WHERE board_id = 2 AND is_visible",
    "boards": "boards_board WHERE is_public",
    "items.a": "faulty_item WHERE shelf = 'a' AND NOT is_bad",
    "items.b": "faulty_item WHERE shelf = 'b' AND NOT is_bad",
    "erratics": "faulty_item WHERE shelf = 'a' AND NOT is_bad",
    "slows": "faulty_item WHERE shelf = 'b' AND NOT is_bad",
    "crates": "faulty_crate",
    "readings": "faulty_reading",
    "parcels.1": "faulty_parcel WHERE shelf = 1 AND weight < 50",
    NEXT_PARCELS: "faulty_parcel WHERE floor = 1 AND weight < 80",
    "pulses": "faulty_pulse",
}
"""The rows of a topic, in SQL: each page has to show these."""
SHOWN = tuple(_FROM)

_SET_UP = """
CREATE TABLE audit (
  id bigserial PRIMARY KEY, xid bigint, source text, key bigint, contents jsonb
);
CREATE TABLE seen (epoch text, position bigint, next bigint, open jsonb, PRIMARY KEY (epoch, position));
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    INSERT INTO public.audit (xid, source) VALUES (pg_current_xact_id()::text::bigint, TG_TABLE_NAME);
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO public.audit (xid, source, key)
      VALUES (pg_current_xact_id()::text::bigint, TG_TABLE_NAME, OLD.id);
  ELSE
    INSERT INTO public.audit (xid, source, key, contents)
      VALUES (pg_current_xact_id()::text::bigint, TG_TABLE_NAME, NEW.id, to_jsonb(NEW));
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO public.seen
    VALUES (NEW.epoch, NEW.next - jsonb_array_length(NEW.open), NEW.next, NEW.open) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER seen AFTER INSERT OR UPDATE ON realtime_sequencer FOR EACH ROW EXECUTE FUNCTION seen();
"""


def install(database: psycopg.Connection) -> None:
    """Install the triggers; existing rows count as written before all others."""
    database.execute(_SET_UP)
    for table in _TABLES.values():
        database.execute(
            f"INSERT INTO audit (xid, source, key, contents) SELECT 0, '{table}', id, to_jsonb({table}) FROM {table};"
            f"CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION audit();"
            f"CREATE TRIGGER audit_all AFTER TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit();"
        )


def stored(database: Any, topic: str) -> State:
    """Return the rows of a topic as ``SELECT`` returns them."""
    columns = COLUMNS[topic.partition(".")[0]]
    found = database.execute(f"SELECT id, {', '.join(columns)} FROM {_FROM[topic]}").fetchall()
    return {str(key): tuple(values) for key, *values in found}


@lru_cache(maxsize=20_000)
def values(feed: str, row: bytes | str) -> tuple[object, ...]:
    """Return the compared columns of a row in its JSON form."""
    contents = json.loads(row)
    return tuple(contents[column] for column in COLUMNS[feed])


@dataclass
class Findings:
    """The result of comparing the viewers' states. Each violation is a sentence.

    Units: ``messages`` that changed a viewer's rows; states that were ``checked`` against the database; states at
           positions that were not sequenced and are therefore ``unknown`` to the database.
    """

    messages: int = 0
    checked: int = 0
    unknown: int = 0
    violations: list[str] = field(default_factory=list)


class Oracle:
    """Collects the viewers' states and compares them with the database's records."""

    def __init__(self) -> None:
        self.findings = Findings()
        self._states: dict[tuple[str, str, int], State] = {}
        self._compared: set[tuple[str, str, int]] = set()
        self._blind: dict[tuple[str, int], int] = {}
        """The last excluded offset, by the epoch and the offset at which an exclusion begins."""
        self._sums: set[int] = set()

    def record(self, topic: str, position: Position, rows: dict[str, tuple[str, bytes | str]]) -> None:
        """Record a viewer's rows after a message; two viewers at the same position must agree."""
        self.findings.messages += 1
        feed = topic.partition(".")[0]
        state = {key: values(feed, row) for key, (_, row) in rows.items()}
        at = (topic, position.epoch, position.offset)
        if feed == "boards":
            self._check_sum(at, state)
        if not position.epoch:
            return  # before the log has begun, and after a crash or a restore, offsets cannot be compared
        known = self._states.setdefault(at, state)
        if known != state and not self._is_blind(at):
            self._violate(f"two viewers differ at {at}: {difference(known, state)}")

    def record_backwards(self, topic: str, before: Position, after: Position) -> None:
        if before.epoch and not self._is_blind((topic, after.epoch, after.offset)):
            self._violate(f"{topic} went back from {before} to {after}")

    def exclude(self, epoch: str, begins: int, ends: int = MAX_OFFSET) -> None:
        """Exclude positions from the comparison, because there is no capture then, as during a migration.

        Call it before capture ends, because viewers are compared with each other at once; and again with the offset at
        which it is back.
        """
        self._blind[epoch, begins] = ends

    def compare(self, database: Any) -> None:
        """Compare all states that were not compared before and whose position was sequenced."""
        waiting = self._waiting()
        by_epoch: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for at in waiting:
            by_epoch[at[1]].append(at)
        records: dict[str, list[Record]] = defaultdict(list)
        for number, xid, source, key, contents in database.execute(
            "SELECT id, xid, source, key, contents FROM audit ORDER BY id"
        ):
            records[source].append((number, xid, key, contents))
        for epoch, states in by_epoch.items():
            snapshots = {
                position: (end, frozenset(open_))
                for position, end, open_ in database.execute(
                    "SELECT position, next, open FROM seen WHERE epoch = %s", [epoch]
                )
            }
            replays = {table: Replay(records[table]) for table in _TABLES.values()}
            for at in sorted(states, key=itemgetter(2)):
                topic, _, offset = at
                if offset not in snapshots or self._is_blind(at):
                    continue
                replay = replays[_TABLES[topic.partition(".")[0]]]
                self._check(at, shown(replay.advance(*snapshots[offset]), topic))
        self.findings.unknown = len(self._states) - len(self._compared)

    def _check(self, at: tuple[str, str, int], expected: State) -> None:
        self._compared.add(at)
        self.findings.checked += 1
        if expected != self._states[at]:
            self._violate(f"rows at {at} are not the topic: {difference(expected, self._states[at])}")

    def _waiting(self) -> list[tuple[str, str, int]]:
        """Return the states that were not compared; viewers add others meanwhile, in another thread."""
        return [at for at in list(self._states) if at not in self._compared]

    def _check_sum(self, at: tuple[str, str, int], state: State) -> None:
        """Check that the sum of the boards' positions is the same: another sum shows half of a transfer."""
        self._sums.add(sum(int(str(row[-1])) for row in state.values()))
        if len(self._sums) > 1:
            self._violate(f"half of a transfer at {at}: {self._sums}")
            self._sums.pop()

    def _is_blind(self, at: tuple[str, str, int]) -> bool:
        return any(
            epoch == at[1] and begins <= at[2] <= ends for (epoch, begins), ends in self._blind.items()
        )

    def _violate(self, words: str) -> None:
        if len(self.findings.violations) < 20:
            self.findings.violations.append(words)


class SQLiteOracle(Oracle):
    """The same on SQLite, with the random walk's oracle: every position of the entries' topics can be checked."""

    def __init__(self, database: sqlite3.Connection) -> None:
        super().__init__()
        self._recorder = Recorder(database)

    def reconnect(self, database: sqlite3.Connection) -> None:
        """Read the records from another file from now on, which has to contain them."""
        self._recorder.connect(database)

    def compare(self, database: Any) -> None:
        waiting = self._waiting()  # before the records are read: viewers add states meanwhile
        replay = Replay(self._recorder.records())
        for at in sorted(waiting, key=itemgetter(2)):
            topic, _, offset = at
            if topic != "boards" and not self._is_blind(at):
                self._check(at, shown(replay.advance(offset), topic))
        self.findings.unknown = len(self._states) - len(self._compared)


class Replay:
    """The rows of a table as later and later snapshots see them, from the records of their changes.

    A record is ``(number, xid, key, contents)``: of two records of a row the one with the higher number is the later
    change, contents of ``None`` mean that the row was deleted, and a key of ``None`` that all rows were.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._coming = deque(sorted(records, key=itemgetter(1)))
        self._held: list[Record] = []
        self._rows: dict[object, dict[str, Any]] = {}
        self._numbers: dict[object, int] = {}
        self._emptied = -2

    def advance(self, end: int, open_: frozenset[int] = frozenset()) -> dict[object, dict[str, Any]]:
        """Return the rows by key in a snapshot that sees the transactions below ``end``, without the open ones.

        It must see all that the snapshot before it has seen.
        """
        due = self._held
        while self._coming and self._coming[0][1] < end:
            due.append(self._coming.popleft())
        self._held = [record for record in due if record[1] in open_]
        for number, xid, key, contents in sorted(due, key=itemgetter(0)):
            if xid not in open_:
                self._apply(number, key, contents)
        return self._rows

    def _apply(self, number: int, key: object, contents: dict[str, Any] | None) -> None:
        if key is None:
            self._emptied = number
            for earlier in [key for key in self._rows if self._numbers[key] < number]:
                del self._rows[earlier]
        elif number > max(self._emptied, self._numbers.get(key, -2)):
            self._numbers[key] = number
            self._rows.pop(key, None)
            if contents:
                self._rows[key] = contents


def shown(rows: dict[object, dict[str, Any]], topic: str) -> State:
    """Return the rows of a table that a topic shows."""
    feed, _, board = topic.partition(".")
    return {
        str(key): tuple(contents[column] for column in COLUMNS[feed])
        for key, contents in rows.items()
        if (contents["board_id"] == int(board) and contents["is_visible"] if board else contents["is_public"])
    }


def difference(expected: State, got: State) -> str:
    """Return the first few rows in which two states differ."""
    keys = sorted(key for key in {*expected, *got} if expected.get(key) != got.get(key))
    return "; ".join(f"row {key}: {expected.get(key)} / {got.get(key)}" for key in keys[:3])
