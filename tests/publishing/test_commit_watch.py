"""Each commit of a write in this process wakes the publisher, and nothing else does."""

import contextlib
import threading

import pytest
from django.db import connection, connections, transaction

from realtime.boards.models import Board, Entry
from realtime.publishing import commit_watch


@pytest.fixture
def woken(quay):
    """A list that grows each time the publisher would be woken."""
    calls: list[bool] = []

    def waker() -> None:
        calls.append(connection.in_atomic_block)

    commit_watch.subscribe(waker)
    yield calls
    commit_watch.unsubscribe(waker)


def test_a_write_wakes(woken, quay):
    """Once it is committed; outside a transaction that is at once."""
    Entry.objects.filter(board=quay).update(value="x")

    assert woken == [False]


def test_a_transaction_wakes_once(woken, quay):
    """After its commit, whatever the number of its writes."""
    with transaction.atomic():
        for number in range(5):
            quay.entries.create(label=str(number))
        assert woken == []

    assert woken == [False]


def test_reading_does_not_wake(woken, quay):
    """Most queries of a server are reads."""
    list(Entry.objects.all())
    Board.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("WITH x AS (SELECT id FROM boards_board) SELECT count(*) FROM x")

    assert woken == []


def test_a_rolled_back_write_does_not_wake(woken, quay):
    """There is nothing to sequence."""
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        quay.entries.update(value="x")
        raise ZeroDivisionError

    assert woken == []


def test_rolling_back_a_savepoint_keeps_the_waking_of_other_writes(woken, quay):
    """A committed write before or after it still wakes."""
    with transaction.atomic():
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            quay.entries.update(value="in it")
            raise ZeroDivisionError
        quay.entries.update(value="after it")
    with transaction.atomic():
        quay.entries.update(value="before it")
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            quay.entries.update(value="in it")
            raise ZeroDivisionError

    assert woken == [False, False]


@pytest.mark.parametrize(
    "sql",
    [
        "update boards_entry set value = 'x'",
        "\n  UPDATE boards_entry SET value = 'x'",
        "REPLACE INTO boards_board (slug, title) VALUES ('a', 'b')",
        "WITH x AS (SELECT 1) DELETE FROM boards_entry",
    ],
)
def test_raw_sql_wakes(woken, sql):
    """In any letter case and after any white space."""
    with connection.cursor() as cursor:
        cursor.execute(sql)

    assert woken == [False]


def test_many_statements_at_once_wake(woken, quay):
    """As ``executemany`` sends them."""
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE boards_entry SET value = %s", [["a"], ["b"]])

    assert woken


def test_the_engines_own_writes_do_not_wake(woken, quay):
    """Otherwise each round of the publisher would start the next one."""

    def write_ignored() -> None:
        commit_watch.ignore_this_thread()
        quay.entries.update(value="x")
        connections.close_all()

    thread = threading.Thread(target=write_ignored)
    thread.start()
    thread.join()

    assert woken == []


def test_an_unsubscribed_waker_is_not_called(woken, quay):
    """Unsubscribing twice is no error."""
    calls: list[int] = []

    def waker() -> None:
        calls.append(1)

    commit_watch.subscribe(waker)
    commit_watch.unsubscribe(waker)
    commit_watch.unsubscribe(waker)
    quay.entries.update(value="x")

    assert calls == []


def test_a_failing_waker_does_not_fail_the_write(woken, quay):
    """The row is committed already, and the error is not the writer's."""

    def waker() -> None:
        raise RuntimeError("broken")

    commit_watch.subscribe(waker)
    try:
        with transaction.atomic():
            quay.entries.update(value="x")
        Entry.objects.filter(board=quay).update(value="y")
    finally:
        commit_watch.unsubscribe(waker)

    assert set(quay.entries.values_list("value", flat=True)) == {"y"}


def test_manually_managed_transactions_work_as_usual(woken, quay):
    """``set_autocommit(False)`` allows no on_commit: such a write is found by the tick instead."""
    transaction.set_autocommit(False)
    try:
        Entry.objects.filter(board=quay).update(value="by hand")
        transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert set(quay.entries.values_list("value", flat=True)) == {"by hand"}


def test_a_new_connection_is_watched_once(log):
    """Also when Django signals its creation again."""
    commit_watch.watch_connection(connection)
    commit_watch.watch_connection(connection)

    assert connection.execute_wrappers.count(commit_watch._watch_statement) == 1
