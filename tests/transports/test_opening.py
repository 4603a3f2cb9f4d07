"""The moment of opening: rows removed from a topic before it was opened are not sent to visitors that it lets in.

The rows that a process holds are a moment older than the right that was just checked, or much older where nothing
publishes.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from realtime.boards.models import Board, Entry
from realtime.delivery import shared_topic
from realtime.engine.position import Position
from realtime.models import OutboxRow
from tests.support.transports import TRANSPORTS, make

SECRET = "s3cret"


@pytest.fixture(autouse=True)
def unpublished(settings, monkeypatch) -> None:
    """Only tests sequence, and subscribers do not wait long for it."""
    settings.REALTIME = {**settings.REALTIME, "PUBLISHER": False, "RECHECK_SECONDS": 1000}
    monkeypatch.setattr(shared_topic, "UNSEQUENCED_SECONDS", 0.05)


@pytest.fixture(params=TRANSPORTS)
async def client(request, connect, application):
    """A function that makes clients of one transport; all leave at the end."""
    opened = []

    def of(session: str | None = None):
        opened.append(make(request.param, connect, application, session))
        return opened[-1]

    yield of
    for one in opened:
        await one.close()


@pytest.fixture
async def followed(service, connect, staff, sign_in, safe, in_database):
    """The topics of the board for staff, which this process holds for one of them."""
    peer = connect(session=await in_database(sign_in, staff))
    await peer.open()
    await in_database(Board.objects.filter(pk=safe.pk).update, title=SECRET)
    for topic in (f"entries.{safe.pk}", f"board.{safe.pk}"):
        assert SECRET in json.dumps(await peer.follow(topic))
    return peer


def deleted(board: Board) -> None:
    with transaction.atomic():
        board.entries.all().delete()
        Board.objects.filter(pk=board.pk).update(is_public=True, title="Open")


def open_first(board: Board) -> None:
    with transaction.atomic():
        Board.objects.filter(pk=board.pk).update(is_public=True, title="Open")
        board.entries.update(value="")


def rewritten(board: Board) -> None:
    with transaction.atomic():
        for entry in board.entries.all():
            entry.value = ""
            entry.save()
        board.is_public, board.title = True, "Open"
        board.save()


def moved_out(board: Board) -> None:
    with transaction.atomic():
        other = Board.objects.create(slug="other", title="Other", is_public=False)
        Entry.objects.filter(board=board).update(board=other)
        Board.objects.filter(pk=board.pk).update(is_public=True, title="Open")


def by_sql(board: Board) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM boards_entry WHERE board_id = %s", [board.pk])
        cursor.execute("UPDATE boards_board SET is_public = true, title = 'Open' WHERE id = %s", [board.pk])


def one_after_the_other(board: Board) -> None:
    board.entries.all().delete()
    Board.objects.filter(pk=board.pk).update(title="Open")
    Board.objects.filter(pk=board.pk).update(is_public=True)


def unknown_rows(board: Board) -> None:
    """As after ``TRUNCATE`` or a reinstalled trigger: nothing shows which rows have changed."""
    with transaction.atomic():
        deleted(board)
        OutboxRow.objects.all().delete()
        OutboxRow.objects.create(source="boards_board", image=None)
        OutboxRow.objects.create(source="boards_entry", image=None)


OPENINGS: list[Callable[[Board], None]] = [
    deleted, open_first, rewritten, moved_out, by_sql, one_after_the_other, unknown_rows,
]  # fmt: skip


@pytest.mark.combinations("client", "open")
@pytest.mark.parametrize("open", OPENINGS, ids=lambda open: open.__name__)
async def test_rows_removed_before_a_board_was_opened_are_not_sent(client, followed, safe, in_database, open):
    """Although no process publishes: visitors that it lets in wait a moment, and get the present rows."""
    format = "rows" if OPENINGS.index(open) % 2 else "html"
    await in_database(open, safe)

    for topic in (f"entries.{safe.pk}", f"board.{safe.pk}"):
        one = client()
        await one.open(topic, format=format)
        first = await one.next()

        assert first["type"] == "snapshot"
        assert SECRET not in json.dumps(first)


async def test_a_user_who_gets_the_right_gets_the_rows_of_then(client, followed, sign_in, safe, in_database):
    """Not those that were removed before."""

    def prepare() -> str:
        user = get_user_model().objects.create_user("newcomer")
        session: str = sign_in(user)
        with transaction.atomic():
            safe.entries.update(value="")
            get_user_model().objects.filter(pk=user.pk).update(is_staff=True)
        return session

    one = client(await in_database(prepare))
    await one.open(f"entries.{safe.pk}")
    first = await one.next()

    assert first["type"] == "snapshot"
    assert SECRET not in json.dumps(first)


async def test_a_new_subscriber_waits_for_the_log(client, followed, safe, in_database, log, monkeypatch):
    """Where something publishes, nothing is read: the rows come from the log."""
    monkeypatch.setattr(shared_topic, "UNSEQUENCED_SECONDS", 60.0)
    await in_database(deleted, safe)
    one = client()

    async def first_message() -> Any:
        await one.open(f"entries.{safe.pk}")
        return await one.next()

    asking = asyncio.ensure_future(first_message())
    await asyncio.sleep(0)
    await in_database(log.sequence)
    first = await asking

    assert (first["type"], SECRET in json.dumps(first)) == ("snapshot", False)


async def test_earlier_subscribers_miss_nothing(connect, followed, safe, in_database, log):
    """The rows were read for a new subscriber meanwhile; what is sequenced later fits."""
    await in_database(deleted, safe)
    newcomer: Any = connect()
    await newcomer.open()
    assert (await newcomer.follow(f"entries.{safe.pk}"))["rows"] == []

    await in_database(safe.entries.create, label="for everyone")
    await in_database(log.sequence)

    for peer in (followed, newcomer):
        seen = ""
        while "for everyone" not in seen:
            seen += json.dumps(await peer.receive_next("changes", f"entries.{safe.pk}"))


async def test_rights_that_change_every_second_let_a_subscriber_in(service, followed, safe, monkeypatch):
    """Each check takes a query, and no second in which the log is waited for: rights would have changed again."""
    shared = service.hub._shared[f"entries.{safe.pk}"]
    (subscriber,) = shared.subscribers
    verdict = await service.rights.check(subscriber.visitor, shared.name)
    waits, changes = [], [Position("later", 1), Position("later", 2), Position("later", 2)]

    async def reach(heads: Any) -> None:
        waits.append(heads)

    async def check(visitor: Any, topic: str) -> Any:
        shared.rights_since = changes.pop(0)
        return verdict

    monkeypatch.setattr(shared, "reach", reach)
    monkeypatch.setattr(service.rights, "check", check)
    shared.rights_since = Position("later", 0)

    await service.hub.confirm(shared.name, subscriber, verdict)

    assert (waits, changes) == ([verdict.heads], [])
