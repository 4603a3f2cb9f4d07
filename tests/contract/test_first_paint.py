"""First paints from memory are what a page would read itself, at each moment between a write and its delivery."""

import contextlib
import itertools
from collections.abc import Collection, Iterator

import pytest
from django.db import connection, transaction

from realtime.boards.models import Board, Entry
from realtime.delivery.first_paint import FirstPaints
from realtime.engine.topic import Topic
from realtime.models import LogEntry
from realtime.publishing import positions, progress
from tests.contract.conftest import Follower, contents

TOPIC = "entries.2"


class Process:
    """A process whose hub follows one topic, and its pages."""

    def __init__(self) -> None:
        self.follower = Follower(TOPIC)
        self.first_paints = FirstPaints()

    def vouched(self, name: str) -> Topic | None:
        return self.follower.topic if name == TOPIC else None

    def is_captured(self, tables: Collection[str]) -> bool:
        return True

    def paint(self) -> list[tuple]:
        """Return what a page shows, having compared it with what the database has for this connection."""
        first_paint = self.first_paints.paint(TOPIC, self)
        fresh = positions.read_topic(TOPIC)
        shown = contents([row for row, _ in first_paint.rows.values()])
        assert shown == contents(fresh.rows)
        assert first_paint.position.epoch in ("", fresh.position.epoch)
        known = self.first_paints.reading(TOPIC)
        assert known is None or contents(known.rows) == contents(fresh.rows)
        return shown

    def is_painted_from_memory(self) -> bool:
        """Return whether two pages show the very same rows: nothing was read for the second one."""
        one, other = (self.first_paints.paint(TOPIC, self).rows for _ in range(2))
        return all(
            first is second for (first, _), (second, _) in zip(one.values(), other.values(), strict=True)
        )


@pytest.fixture
def process(database) -> Process:
    return Process()


WRITES = {
    "update": lambda: Entry.objects.filter(board=2, position=1).update(label="new"),
    "insert": lambda: Entry.objects.create(board_id=2, label="more", position=99),
    "delete": lambda: Entry.objects.filter(board=2, position=3).delete(),
    "move": lambda: Entry.objects.filter(board=2, position=5).update(board=1),
    "hide": lambda: Entry.objects.filter(board=2, position=7).update(is_visible=False),
    "of another topic": lambda: Entry.objects.filter(board=1).update(label="elsewhere"),
    "of another feed": lambda: Board.objects.filter(pk=2).update(title="new"),
}


def test_a_page_at_any_moment_shows_what_is_committed(database, process):
    """Before and after each step: two writes (W), sequencing (S) and reading by the hub (H), in every order."""
    orders = sorted(set(itertools.permutations("WWSH")))
    for order, write in zip(orders * 2, itertools.cycle(WRITES.values()), strict=False):
        for step in order:
            if step == "S":
                database.sequence()
            elif step == "H":
                process.follower.follow()
            else:
                write()
            process.paint()
        database.sequence()
        process.follower.follow()
        process.paint()
        assert process.is_painted_from_memory()


@pytest.mark.parametrize("ends", ["committed", "rolled back", "rolled back to a savepoint"])
def test_a_page_in_a_transaction_shows_what_it_has_written(database, process, ends):
    """And the pages after it what was committed."""
    for write in WRITES.values():
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                write()
                process.paint()
                if ends == "rolled back to a savepoint":
                    raise ZeroDivisionError
            process.paint()
            if ends == "rolled back":
                raise ZeroDivisionError
        process.paint()
        database.sequence()
        process.follower.follow()
        process.paint()
        assert process.is_painted_from_memory()


@contextlib.contextmanager
def other_connection(database) -> Iterator:
    with contextlib.closing(database.connect()) as other:
        yield other


@pytest.mark.parametrize("is_repeatable", [False, True], ids=["read committed", "repeatable read"])
def test_a_page_in_a_transaction_never_shows_less_than_it_has_read(database, process, is_repeatable):
    """Another connection commits meanwhile; the hub may have that change before an older snapshot sees it."""
    if is_repeatable and database.vendor == "sqlite":
        pytest.skip("there each transaction has one snapshot")
    with transaction.atomic():
        if is_repeatable:
            connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        if database.vendor == "postgresql":  # on SQLite this transaction keeps others from writing
            process.paint()
            with other_connection(database) as other:
                other.execute("UPDATE boards_entry SET label = 'by another'")
        process.paint()
    process.paint()


def test_a_commit_that_another_transaction_overtook_is_shown(on_postgresql, process):
    """Positions order snapshots, not transactions: the older one commits after the newer one was sequenced."""
    with on_postgresql.connect() as late:
        late.execute("BEGIN")
        late.execute("UPDATE boards_entry SET label = 'late' WHERE board_id = 2 AND position = 1")
        Entry.objects.filter(board=2, position=3).update(label="early")
        on_postgresql.sequence()
        process.follower.follow()
        process.paint()
        late.execute("COMMIT")
        process.paint()
        on_postgresql.sequence()
        process.paint()
        process.follower.follow()
        process.paint()
        assert process.is_painted_from_memory()


def test_a_topic_that_the_log_no_longer_reaches_is_read(database, process):
    """A pruned entry may have changed the topic."""
    WRITES["update"]()
    database.sequence()
    LogEntry.objects.all().delete()
    progress.move_edge(positions.probe().epoch, positions.probe().offset)

    process.paint()


def test_rows_of_another_epoch_are_not_shown(database, process):
    """Positions of two lives of the log do not compare."""
    process.paint()
    WRITES["update"]()
    positions.begin_epoch()

    process.paint()
    WRITES["insert"]()
    process.paint()
