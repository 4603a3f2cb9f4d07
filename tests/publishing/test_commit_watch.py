"""Waking: each commit of a write in this process is told at once, and no other."""

import contextlib
import threading

import pytest
from django.db import connection, connections, transaction

from realtime.boards.models import Board, Entry
from realtime.publishing import commit_watch


@pytest.fixture
def woken(quay):
    """How often the publisher would have been woken: a list that grows."""
    calls: list[bool] = []

    def waker() -> None:
        calls.append(connection.in_atomic_block)

    commit_watch.subscribe(waker)
    yield calls
    commit_watch.unsubscribe(waker)


def test_a_write_wakes(woken, quay):
    """Once it is committed: at once, outside of a transaction."""
    Entry.objects.filter(board=quay).update(value="x")

    assert woken == [False]


def test_a_transaction_wakes_once(woken, quay):
    """However many writes it has, after it has been committed."""
    with transaction.atomic():
        for number in range(5):
            quay.entries.create(label=str(number))
        assert woken == []

    assert woken == [False]


def test_reading_wakes_nobody(woken, quay):
    """Most of what a server does."""
    list(Entry.objects.all())
    Board.objects.count()

    assert woken == []


def test_a_rolled_back_write_wakes_nobody(woken, quay):
    """There is nothing to sequence."""
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        quay.entries.update(value="x")
        raise ZeroDivisionError

    assert woken == []


def test_a_savepoint_that_is_rolled_back_takes_no_other_writes_wake_up_along(woken, quay):
    """Written before it, in it or after it: what is committed wakes."""
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
    """However it is written."""
    with connection.cursor() as cursor:
        cursor.execute(sql)

    assert woken == [False]


def test_many_statements_at_once_wake(woken, quay):
    """As ``executemany`` sends them."""
    with connection.cursor() as cursor:
        cursor.executemany("UPDATE boards_entry SET value = %s", [["a"], ["b"]])

    assert woken


def test_the_engines_own_writes_wake_nobody(woken, quay):
    """Else each round of the publisher would call for the next."""

    def quietly() -> None:
        commit_watch.ignore_this_thread()
        quay.entries.update(value="x")
        connections.close_all()

    thread = threading.Thread(target=quietly)
    thread.start()
    thread.join()

    assert woken == []


def test_who_has_unsubscribed_is_not_woken(woken, quay):
    """Nor is it an error to unsubscribe twice."""
    calls: list[int] = []

    def waker() -> None:
        calls.append(1)

    commit_watch.subscribe(waker)
    commit_watch.unsubscribe(waker)
    commit_watch.unsubscribe(waker)
    quay.entries.update(value="x")

    assert calls == []


def test_a_failing_waker_fails_no_write(woken, quay):
    """The row is committed already; its writer has nothing to do with us."""

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


def test_transactions_managed_by_hand_work_as_ever(woken, quay):
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
    """Whatever opens it, and however often it is announced."""
    commit_watch.watch_connection(connection)
    commit_watch.watch_connection(connection)

    assert connection.execute_wrappers.count(commit_watch._watch_statement) == 1
