"""The moment of closing: what a transaction writes that closes a topic is not sent to visitors that it shuts out."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, models, transaction

from realtime import notices
from realtime.boards.live import EntryFeed
from realtime.boards.models import Board, Entry
from realtime.feeds import registry
from realtime.models import OutboxRow
from tests.conftest import PATIENCE_SECONDS, in_question, summary, until
from tests.support.transports import TRANSPORTS, make

SECRET = "s3cret"


@pytest.fixture(autouse=True)
def no_interval(settings) -> None:
    """Rights are checked again only where a change shows that they may have changed: never at an interval."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 1000}


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


def in_sql(*statements: tuple[str, list[Any]]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement, parameters in statements:
            cursor.execute(statement, parameters)


def by_django(board: Board) -> None:
    with transaction.atomic():
        board.is_public = False
        board.save()
        board.entries.create(label=SECRET)


def text_first(board: Board) -> None:
    with transaction.atomic():
        board.entries.update(value=SECRET)
        Board.objects.filter(pk=board.pk).update(is_public=False)


def title_too(board: Board) -> None:
    Board.objects.filter(pk=board.pk).update(is_public=False, title=SECRET)


def by_sql(board: Board) -> None:
    in_sql(
        ("UPDATE boards_entry SET note = %s WHERE board_id = %s", [SECRET, board.pk]),
        ("UPDATE boards_board SET is_public = false WHERE id = %s", [board.pk]),
    )


def moved_in(board: Board) -> None:
    with transaction.atomic():
        other = Board.objects.create(slug="other", title="Other", is_public=False)
        entry = other.entries.create(label=SECRET)
        Board.objects.filter(pk=board.pk).update(is_public=False)
        Entry.objects.filter(pk=entry.pk).update(board=board)


def deleted_rows(board: Board) -> None:
    with transaction.atomic():
        board.entries.all().delete()
        Board.objects.filter(pk=board.pk).update(is_public=False, title=SECRET)


def many_rows(board: Board) -> None:
    """More than are sequenced one by one."""
    with transaction.atomic():
        Board.objects.filter(pk=board.pk).update(is_public=False)
        Entry.objects.bulk_create(Entry(board=board, label=SECRET) for _ in range(30))


def one_after_the_other(board: Board) -> None:
    Board.objects.filter(pk=board.pk).update(is_public=False)
    board.entries.create(label=SECRET)


def unknown_rows(board: Board) -> None:
    """As after ``TRUNCATE`` or a reinstalled trigger: nothing shows which rows have changed."""
    with transaction.atomic():
        board.entries.create(label=SECRET)
        Board.objects.filter(pk=board.pk).update(is_public=False)
        OutboxRow.objects.all().delete()
        OutboxRow.objects.create(source="boards_board", image=None)
        OutboxRow.objects.create(source="boards_entry", image=None)


CLOSINGS: list[Callable[[Board], None]] = [
    by_django, text_first, title_too, by_sql, moved_in, deleted_rows, many_rows, one_after_the_other, unknown_rows,
]  # fmt: skip


@pytest.mark.combinations("client", "close")
@pytest.mark.parametrize("close", CLOSINGS, ids=lambda close: close.__name__)
async def test_a_change_that_closes_a_board_is_not_sent_to_visitors_that_it_shuts_out(
    client, service, staff, sign_in, quay, in_database, settings, close
):
    """The next message is the refusal; staff get what the transaction wrote. Once reopened, it is live again."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 20}
    topics = [f"entries.{quay.pk}", f"board.{quay.pk}"]
    format = "rows" if CLOSINGS.index(close) % 2 else "html"
    session = await in_database(sign_in, staff)
    outside = {topic: client() for topic in topics}
    inside = {topic: client(session) for topic in topics}
    for clients in (outside, inside):
        for topic, one in clients.items():
            await one.open(topic, format=format)
            assert (await one.next())["type"] == "snapshot"

    await in_database(close, quay)

    for topic, one in outside.items():
        refusal = await one.next()
        assert (refusal["type"], refusal.get("code")) == ("error", 4403), f"{topic}: {refusal}"
    seen = ""
    while SECRET not in seen:
        shown = topics[1] if close in (title_too, deleted_rows) else topics[0]
        seen += json.dumps(await inside[shown].next())

    await in_database(Board.objects.filter(pk=quay.pk).update, is_public=True, title="Open")
    back = client()
    await back.open(topics[1], format=format)
    while "Open" not in json.dumps(message := await back.next()):
        assert message["type"] != "error"


async def test_a_topic_without_news_is_refused_as_soon_as_its_board_is_closed(
    client, service, quay, in_database
):
    """Long before the next regular check, also where SQL closes it."""
    one = client()
    await one.open(f"entries.{quay.pk}")
    await one.next()

    await in_database(in_sql, ("UPDATE boards_board SET is_public = false WHERE id = %s", [quay.pk]))

    assert (await one.next())["code"] == 4403


async def test_a_topic_that_stays_open_misses_nothing(client, service, quay, safe, in_database):
    """Another board is closed, the title of this one changes: its rows are sent as before."""
    one = client()
    await one.open(f"entries.{quay.pk}")
    await one.next()

    def change() -> None:
        with transaction.atomic():
            Board.objects.filter(pk=quay.pk).update(title="Another title")
            Board.objects.create(slug="third", title="Third", is_public=False)
            quay.entries.create(label="for everyone")

    await in_database(change)

    message = await one.next()
    assert (message["type"], message["changes"][0]["row"]["label"]) == ("changes", "for everyone")


async def test_a_snapshot_that_was_read_after_the_closing_is_not_sent(
    connect, service, quay, in_database, monkeypatch
):
    """The right held when it was checked; the rows were read later, and have not been sequenced."""
    read = service.hub._reads.read

    async def closed_meanwhile(*asked: Any):
        await in_database(by_django, quay)
        return await read(*asked)

    monkeypatch.setattr(service.hub._reads, "read", closed_meanwhile)
    peer = connect()
    await peer.open()

    answer = await peer.follow(f"entries.{quay.pk}")

    assert (answer["type"], answer.get("code")) == ("error", 4403)


async def test_a_poll_of_rows_that_were_read_after_the_closing_is_refused(
    application, service, quay, in_database, monkeypatch
):
    """As on a socket."""
    read = service.hub._reads.read

    async def closed_meanwhile(*asked: Any):
        await in_database(by_django, quay)
        return await read(*asked)

    monkeypatch.setattr(service.hub._reads, "read", closed_meanwhile)
    one = make("poll", None, application)
    await one.open(f"entries.{quay.pk}")

    assert (await one.next())["code"] == 4403


async def test_a_notice_that_comes_with_the_closing_is_not_sent(
    connect, service, staff, sign_in, quay, in_database
):
    """Visitors who lose the topic by the same transaction get no notice; those who keep it do."""
    outside, inside = connect(), connect(session=await in_database(sign_in, staff))
    for peer in (outside, inside):
        await peer.open()
        await peer.follow(f"entries.{quay.pk}")

    def close() -> None:
        with transaction.atomic():
            notices.broadcast(SECRET, f"entries.{quay.pk}")
            Board.objects.filter(pk=quay.pk).update(is_public=False)

    await in_database(close)

    assert (await inside.receive_next("notice"))["text"] == SECRET
    refusal = await outside.receive()
    assert (refusal["type"], refusal.get("code")) == ("error", 4403)


# ---------------------------------------------------------------- when rights cannot be checked


@pytest.fixture
def check(monkeypatch) -> Any:
    """Replaces the check of entries: ``check(function)``, which gets the answer of the real one."""
    real = EntryFeed.can_subscribe

    def replace(function: Callable[[bool], bool]) -> None:
        monkeypatch.setattr(
            EntryFeed, "can_subscribe", lambda self, user, key: function(real(self, user, key))
        )

    return replace


async def open_both(connect: Any, quay: Board) -> Any:
    """Return a client that follows the entries of a board, and the list of boards."""
    peer = connect()
    await peer.open()
    await peer.follow(f"entries.{quay.pk}")
    await peer.follow("boards")
    return peer


async def test_while_the_database_does_not_answer_nothing_is_sent_of_that_topic(
    connect, service, quay, in_database, check
):
    """Other topics go on; once it answers, those without a right are refused first."""
    peer = await open_both(connect, quay)
    is_away = threading.Event()
    is_away.set()
    asked: list[bool] = []

    def ask(answer: bool) -> bool:
        asked.append(answer)
        if is_away.is_set():
            raise DatabaseError("away")
        return answer

    check(ask)
    await in_database(by_django, quay)
    await until(lambda: asked)
    await in_database(Board.objects.create, slug="new", title="For everyone")
    seen = [await peer.receive()]
    while "For everyone" not in str(seen):
        seen.append(await peer.receive())
    is_away.clear()
    while seen[-1].get("code") != 4403:
        seen.append(await peer.receive())

    assert SECRET not in str(seen)


async def test_a_slow_check_delays_its_own_feed_alone(connect, service, quay, in_database, check):
    """Messages of another feed arrive meanwhile; those of the slow one are sent after the check."""
    peer = await open_both(connect, quay)
    may_go_on = threading.Event()
    check(lambda answer: may_go_on.wait(PATIENCE_SECONDS) and answer)

    def change() -> None:
        with transaction.atomic():
            Board.objects.filter(pk=quay.pk).update(title="Renamed")
            quay.entries.create(label="held back")

    await in_database(change)
    message = await peer.receive_next("changes")
    assert message["topic"] == "boards"
    may_go_on.set()

    assert "held back" in str(await peer.receive_next("changes", f"entries.{quay.pk}"))


async def test_a_check_that_fails_for_one_user_does_not_hold_up_the_others(
    connect, service, staff, sign_in, quay, in_database, monkeypatch
):
    """A user for whom the check fails has no right."""
    inside = connect(session=await in_database(sign_in, staff))
    outside = connect()
    for peer in (inside, outside):
        await peer.open()
        await peer.follow(f"entries.{quay.pk}")

    def fail(self: EntryFeed, user: Any, key: int) -> bool:
        if user.is_anonymous:
            raise ZeroDivisionError
        return True

    monkeypatch.setattr(EntryFeed, "can_subscribe", fail)
    await in_database(by_django, quay)

    assert SECRET in str(await inside.receive_next("changes"))
    assert (await outside.receive_next("error"))["code"] == 4403


# ---------------------------------------------------------------- what a feed says that its rights depend on


@pytest.mark.parametrize("grounds", ["membership", "licence"])
async def test_a_right_that_depends_on_rows_ends_with_them(
    connect, service, make_model, live, sign_in, quay, in_database, grounds
):
    """One of two users loses the right, in the transaction that writes what only the other one may read.

    The rows name a board, or have nothing to do with boards: then they give the right to all of them.
    """
    link = models.ForeignKey(Board, models.CASCADE, db_constraint=False, related_name="+")
    links, values = ({"board": link}, {"board_id": quay.pk}) if grounds == "membership" else ({}, {})
    model: Any = await in_database(make_model, "Ground", user=models.IntegerField(), **links)

    def can_subscribe(self: Any, user: Any, key: int) -> bool:
        return bool(model.objects.filter(user=user.pk or 0, **values).exists())

    def prepare() -> list[str]:
        live(
            Entry, name="guarded", topic_field="board_id", fields=["label"], rights_depend_on=[model],
            can_subscribe=can_subscribe,
        )  # fmt: skip
        users = [get_user_model().objects.create_user(name) for name in ("stays", "goes")]
        for user in users:
            model.objects.create(user=user.pk, **values)
        return [sign_in(user) for user in users]

    stays, goes = [connect(session=session) for session in await in_database(prepare)]
    for peer in (stays, goes):
        await peer.open()
        assert (await peer.follow(f"guarded.{quay.pk}"))["type"] == "snapshot"

    def close() -> None:
        with transaction.atomic():
            quay.entries.create(label=SECRET)
            model.objects.filter(user=get_user_model().objects.get(username="goes").pk).delete()

    await in_database(close)

    assert SECRET in str(await stays.receive_next("changes"))
    received: list[Any] = []
    while not received or received[-1]["type"] == "heartbeat":  # one may come first: the server is busy
        received.append(await goes.receive())
    assert (received[-1]["type"], received[-1].get("code")) == ("error", 4403), received


async def test_a_thousand_changes_of_a_row_ask_few_questions(connect, service, quay, in_database, check):
    """One question for each user and topic in a batch, whatever its number of connections and changes."""
    peers = [connect() for _ in range(20)]
    for peer in peers:
        await peer.open()
        await peer.follow(f"entries.{quay.pk}")
    asked: list[bool] = []

    def ask(answer: bool) -> bool:
        asked.append(answer)
        return answer

    check(ask)

    def change() -> None:
        with transaction.atomic():
            for number in range(200):
                Board.objects.filter(pk=quay.pk).update(title=str(number))
            quay.entries.create(label="after them")

    await in_database(change)
    for peer in peers:
        assert "after them" in str(await peer.receive_next("changes"))

    assert len(asked) <= 4


def test_a_change_that_rights_do_not_depend_on_asks_nothing(log, quay):
    """Neither another column's table nor the rows themselves."""

    quay.entries.create(label="new")
    batch = log.sequence()

    assert batch is not None
    assert in_question(batch.entries) == set()


def test_changes_travel_with_their_question(log, quay, safe):
    """The entry of a topic whose rights may have changed says so, and those of others do not."""

    with transaction.atomic():
        Board.objects.filter(pk=quay.pk).update(title="new")
        created = quay.entries.create(label="new")
        safe.entries.create(label="new")
    batch = log.sequence()

    assert batch is not None
    of_the_board = {feed.name for feed in registry if feed.topic_field and feed.name != "screens"}
    assert of_the_board >= {"entries", "board", "notices"}
    assert in_question(batch.entries) == {f"{feed}.{quay.pk}" for feed in of_the_board}
    assert summary(batch.entries)[f"entries.{quay.pk}"] == [("upsert", str(created.pk))]
