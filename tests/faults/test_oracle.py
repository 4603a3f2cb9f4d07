"""The oracle's replay of the recorded changes, compared with reading all of them for each snapshot."""

import random

import pytest

from realtime.engine.position import Position
from tests.faults.oracle import Oracle, Record, Replay


def rows_of(records: list[Record], end: int, open_: frozenset[int]) -> dict[object, object]:
    """Return the rows that a snapshot sees, from the last visible record of each."""
    found: dict[object, object] = {}
    for _, xid, key, contents in sorted(records):
        if xid < end and xid not in open_:
            if key is None:
                found.clear()
            else:
                found[key] = contents
    return {key: contents for key, contents in found.items() if contents}


class History:
    """Transactions that overlap, and lock the rows that they write until they end."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.records: list[Record] = []
        self.snapshots: list[tuple[int, frozenset[int]]] = []
        self._next = 1
        self._locks: dict[int, set[int]] = {}
        for _ in range(400):
            self._chance.choice(
                (self._begin, self._write, self._write, self._write, self._commit, self._look)
            )()
            if self._chance.random() < 0.02:
                self._truncate()
        self._look()

    def _begin(self) -> None:
        self._locks[self._next] = set()
        self._next += 1

    def _write(self) -> None:
        if self._locks:
            xid, key = self._chance.choice(list(self._locks)), self._chance.randrange(6)
            if not any(key in locked for other, locked in self._locks.items() if other != xid):
                self._locks[xid].add(key)
                contents = self._chance.choice((None, {"value": self._chance.random()}))
                self.records.append((len(self.records), xid, key, contents))

    def _commit(self) -> None:
        if self._locks:
            self._locks.pop(self._chance.choice(list(self._locks)))

    def _truncate(self) -> None:
        if not any(self._locks.values()):
            self.records.append((len(self.records), self._next, None, None))
            self._next += 1

    def _look(self) -> None:
        self.snapshots.append((self._next, frozenset(self._locks)))


@pytest.mark.parametrize("seed", range(20))
def test_a_replay_has_the_rows_that_each_snapshot_sees(seed: int) -> None:
    history = History(seed)
    replay = Replay(history.records)

    replayed = [dict(replay.advance(end, open_)) for end, open_ in history.snapshots]

    assert replayed == [rows_of(history.records, end, open_) for end, open_ in history.snapshots]
    assert sum(map(len, replayed)) > 20, "the history has rows"


def test_rows_from_before_the_first_change_have_the_lowest_number() -> None:
    replay = Replay([(-1, -1, 7, {"value": 1}), (3, 3, 7, {"value": 2})])

    assert [dict(replay.advance(end)) for end in (0, 3, 4)] == [
        {7: {"value": 1}},
        {7: {"value": 1}},
        {7: {"value": 2}},
    ]


def crates(label: str) -> dict[str, tuple[str, bytes | str]]:
    return {"1": ("", f'{{"label": "{label}"}}')}


def test_two_viewers_at_one_position_have_to_agree() -> None:
    oracle = Oracle()

    oracle.record("crates", Position("a", 7), crates("one"))
    oracle.record("crates", Position("a", 7), crates("two"))

    assert oracle.findings.violations


def test_viewers_may_differ_at_positions_without_capture_alone() -> None:
    oracle = Oracle()

    oracle.exclude("a", 7)
    for offset in (6, 7, 8):
        for label in ("one", "two"):
            oracle.record("crates", Position("a", offset), crates(label))
    oracle.exclude("a", 7, 8)
    for label in ("one", "two"):
        oracle.record("crates", Position("a", 9), crates(label))

    assert [words.partition(":")[0] for words in oracle.findings.violations] == [
        "two viewers differ at ('crates', 'a', 6)",
        "two viewers differ at ('crates', 'a', 9)",
    ]
