"""Forced interleavings: two sequencing processes step by step, and commits in many orders."""

import contextlib
import itertools
import os
import queue
import random
import subprocess
import sys
import threading

import psycopg
import pytest
from django.db.models import Count

from realtime.boards.models import Entry
from realtime.models import LogEntry
from realtime.publishing import log
from tests.contract.conftest import Follower
from tests.contract.test_sequencing import labels
from tests.support.servers import ROOT

STEPS = 3  # of a round: read, write, commit
BLOCKED_SECONDS = 0.15  # then the other process continues; the result does not depend on it


class Stepper:
    """A sequencing process; ``step`` lets it continue to its next stop, unless the other one blocks it."""

    def __init__(self, address: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.stepper"],
            cwd=ROOT, env={**os.environ, "DATABASE_URL": address}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._stops: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.at = self._stops.get(timeout=60)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._stops.put(line.strip())

    def step(self) -> None:
        if self._arrived(BLOCKED_SECONDS):
            self._go()
            self._arrived(BLOCKED_SECONDS)

    def finish(self) -> None:
        """Continue until it is idle."""
        while not (self._arrived(60) and self.at == "idle"):
            self._go()

    def stop(self) -> None:
        self._process.communicate(timeout=60)

    def _go(self) -> None:
        assert self._process.stdin is not None
        self.at = ""
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _arrived(self, seconds: float) -> bool:
        """Return whether it waits at a stop; false while it is blocked."""
        if not self.at:
            with contextlib.suppress(queue.Empty):
                self.at = self._stops.get(timeout=seconds)
        return bool(self.at)


@pytest.fixture
def steppers(database):
    if database.vendor == "postgresql":
        address = database.source.url(database.name)
    else:
        address = f"sqlite:///{database.source / database.name}"
    both = [Stepper(address) for _ in range(2)]
    yield both
    for one in both:
        one.stop()


def test_two_processes_in_every_order_neither_lose_nor_repeat(database, steppers):
    """All orders of the steps of two rounds, with a write before them and one between them."""
    follower, numbers = Follower("entries.2"), itertools.count()
    orders = sorted(set(itertools.permutations([0, 1] * STEPS)))

    for place, order in enumerate(orders):
        wanted = [f"step {next(numbers)}", f"step {next(numbers)}"]
        Entry.objects.filter(pk=1).update(label=wanted[0])
        held_back = True
        for number, who in enumerate(order):
            steppers[who].step()
            # On SQLite a process that has written and not committed blocks every other writer.
            if held_back and number >= place % len(order) and "written" not in {one.at for one in steppers}:
                Entry.objects.filter(pk=3).update(label=wanted[1])
                held_back = False
        for one in sorted(steppers, key=lambda one: one.at != "written"):
            one.finish()
        if held_back:
            Entry.objects.filter(pk=3).update(label=wanted[1])
        while database.sequence() is not None:
            pass

        assert sorted(labels(follower.follow())) == wanted, f"order {order}"
        follower.assert_equals_source()

    again = LogEntry.objects.order_by().values("topic", "position").annotate(times=Count("id"))
    assert not again.filter(times__gt=1).exists(), "two entries for one topic and position"


INTERLEAVINGS = [100, pytest.param(int(os.environ.get("INTERLEAVINGS", "300")), marks=pytest.mark.matrix)]
WRITERS = 4


@pytest.mark.parametrize("interleavings", INTERLEAVINGS)
def test_commits_in_any_order_are_all_sequenced(on_postgresql, interleavings):
    """Overlapping transactions, committed or rolled back in any order, sequenced at any moment in between.

    A reader that follows ids runs beside it and must lose commits, which shows that late commits occur.
    """
    chance, follower = random.Random(11), Follower("entries.2")
    naive_last, naive_lost, done = 0, 0, 0
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(contextlib.closing(on_postgresql.connect())) for _ in range(WRITERS)]
        reader = stack.enter_context(contextlib.closing(on_postgresql.connect()))
        for number in range(interleavings):
            steps = _steps(number, chance)
            committed: set[str] = set()
            told: list[str] = []
            naive: set[int] = set()
            for step in steps:
                if step is None:
                    on_postgresql.sequence()
                    told += labels(follower.follow())
                    assert set(told) == committed, f"interleaving {number}: {steps}"
                    found = _outbox(reader, naive_last)
                    naive |= found
                    naive_last = max(found, default=naive_last)
                else:
                    who, statement, label = step
                    writers[who].execute(statement)
                    committed |= {label} if statement == "COMMIT" else set()
            assert len(told) == len(committed), f"interleaving {number}: {told}"
            done += len(committed)
            naive_lost += len(_outbox(reader, 0) - naive)
            log.prune()
        follower.assert_equals_source()
    print(f"{interleavings} interleavings, {done} commits, 0 lost; by the order of ids {naive_lost} lost")
    assert naive_lost, "no commit was late: the test has shown nothing"


def _steps(number: int, chance: random.Random) -> list[tuple[int, str, str] | None]:
    """Return the steps of one interleaving: a writer's statement, or None to sequence, which is the last step."""
    queues: list[list[tuple[int, str, str] | None]] = []
    for who in range(WRITERS):
        label, end = f"{number}-{who}", chance.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK"))
        update = f"UPDATE boards_entry SET label = '{label}' WHERE id = {2 * who + 1}"
        queues.append([(who, "BEGIN", label), (who, update, label), (who, end, label)])
    queues.append([None] * 3)
    steps = []
    while waiting := [one for one in queues if one]:
        steps.append(chance.choice(waiting).pop(0))
    return [*steps, None]


def _outbox(reader: psycopg.Connection, after: int) -> set[int]:
    rows = reader.execute("SELECT id FROM realtime_outboxrow WHERE id > %s", [after])
    return {number for (number,) in rows}
