"""The client for tests of a project: in a transaction that is never committed, and without one."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.template import engines
from django.test import Client

from realtime.boards.models import Board, Entry
from realtime.client import Change, Refused
from realtime.feeds import Feed, registry
from realtime.notices import broadcast
from realtime.publishing import capture
from realtime.testing import LiveClient, sequence_now

pytestmark = pytest.mark.parametrize("transactions", ["one transaction", "committed"])


@pytest.fixture
def board(request, transactions) -> Board:
    """A public board with two entries."""
    request.getfixturevalue("db" if transactions == "one transaction" else "transactional_db")
    board = Board.objects.create(slug="quay", title="The quay")
    board.entries.create(label="Saltmere", position=1)
    board.entries.create(label="Kelpstone", position=2)
    return board


@pytest.fixture
def client(board):
    with LiveClient(f"entries.{board.pk}") as client:
        yield client


def labels(client: LiveClient) -> list[str]:
    return [row["label"] for row in client.rows.values()]


def test_a_snapshot_with_an_epoch_comes_first_and_then_changes(board, client):
    """As a page receives it: one snapshot, and for each delivery one message with the changes."""
    board.entries.filter(label="Saltmere").update(label="Saltmere Quay")
    board.entries.create(label="new", position=3)
    sequence_now()
    board.entries.filter(label="Kelpstone").delete()
    sequence_now()

    _, snapshot, first, second = client.messages
    assert [message["type"] for message in client.messages] == ["welcome", "snapshot", "changes", "changes"]
    epoch, _, offset = snapshot["position"].partition(".")
    assert epoch
    assert first["position"].startswith(f"{epoch}.")
    assert first["after"] == int(offset)
    assert [change["op"] for change in first["changes"]] == ["upsert", "upsert"]
    assert [change["op"] for change in second["changes"]] == ["delete"]
    assert labels(client) == ["Saltmere Quay", "new"]


def test_changes_are_returned_one_by_one(board, client):
    """Each with what the row was before; the first rows are changes too, unless they are skipped."""
    assert [change.op for change in client.skip()] == ["upsert", "upsert"]
    entry = board.entries.get(label="Saltmere")
    entry.label = "x"
    entry.save()

    change = client.next_change()

    assert isinstance(change, Change)
    assert (change.op, change.key, change.row["label"], change.before["label"]) == (
        "upsert", str(entry.pk), "x", "Saltmere",
    )  # fmt: skip


def test_until_waits_for_a_condition_and_says_what_there_is(board, client):
    """In a transaction it looks once, because no other process writes there."""
    board.entries.create(label="new")

    client.until(lambda client: "new" in labels(client))

    with pytest.raises(
        AssertionError, match=r"the condition does not hold in topic entries\.\d+; its rows are .*Saltmere"
    ):
        client.until(lambda client: "missing" in labels(client), seconds=0.05)
    client.skip()
    with pytest.raises(AssertionError, match="nothing has changed"):
        client.next_change(seconds=0.05)


@pytest.mark.parametrize("write", ["bulk", "raw", "many to one", "rolled back"])
def test_every_writer_is_seen(board, client, write):
    """The triggers are the real ones: signals and save() are not needed."""
    from django.db import connection, transaction

    client.skip()
    if write == "bulk":
        Entry.objects.bulk_create([Entry(board=board, label=str(number)) for number in range(20)])
    elif write == "raw":
        with connection.cursor() as cursor:
            cursor.execute("UPDATE boards_entry SET label = 'raw' WHERE board_id = %s", [board.pk])
    elif write == "many to one":
        board.delete()
    else:
        with transaction.atomic():
            board.entries.update(label="never")
            transaction.set_rollback(True)
    sequence_now()

    expected = {"bulk": 20, "raw": 2, "many to one": 2, "rolled back": 0}
    assert len(client.skip()) == expected[write] or client.error is not None
    assert client.error is None or write == "many to one"
    if client.error is None:
        client.check()


def test_a_dropped_client_receives_on_resume_what_it_missed(board, client):
    """By its position: no second snapshot."""
    client.skip()
    client.drop()
    board.entries.filter(label="Saltmere").delete()
    sequence_now()
    assert len(client.rows) == 2

    client.resume()

    assert labels(client) == ["Kelpstone"]
    assert [message["type"] for message in client.messages].count("snapshot") == 1
    assert [change.op for change in client.skip()] == ["delete"]


def test_a_client_without_the_right_is_refused_with_words(board):
    """By can_subscribe of the feed, which gets the user as it is in the database now."""
    board.is_public = False
    board.save()
    users = get_user_model().objects
    stranger, staff = users.create_user("stranger"), users.create_user("staff", is_staff=True)

    for user in (None, AnonymousUser(), stranger):
        with pytest.raises(Refused, match="you may not use") as refused:
            LiveClient(f"entries.{board.pk}", user=user).open()
        assert refused.value.code == 4403
    with LiveClient(f"entries.{board.pk}", user=staff) as client:
        assert len(client.rows) == 2

        users.filter(pk=staff.pk).update(is_staff=False)
        sequence_now()

        assert client.error.code == 4403
        assert dict(client.rows) == {}
        with pytest.raises(AssertionError, match="you may not use"):
            client.next_change()


@pytest.mark.parametrize("topic", ["nothing", "entries.x", "entries.07", "entries"])
def test_a_topic_that_does_not_exist_is_refused(board, topic):
    """With the error that a page receives."""
    with pytest.raises(Refused, match="no topic") as refused:
        LiveClient(topic).open()
    assert refused.value.code == 4404


def test_a_page_is_followed_as_it_shows_its_topics(board):
    """The rows are rendered, as in the page; a topic that it does not show is an error of the test."""
    page = Client(headers={"host": "localhost"}).get(f"/boards/{board.slug}/")

    with LiveClient.of_page(page, f"entries.{board.pk}") as client:
        board.entries.filter(label="Saltmere").update(label="Saltmere Quay")
        sequence_now()

        assert "Saltmere Quay" in next(iter(client.rows.values()))
        assert client.messages[-1]["changes"][0]["html"].startswith("<")
    with pytest.raises(AssertionError, match="is not among them"):
        LiveClient.of_page(page, "entries.0")


@pytest.mark.parametrize("tag", ["", 'tag="tbody"'])
def test_a_page_is_followed_whichever_element_has_the_topic(board, rf, tag):
    """A table cannot contain an element of ``<live-topic>``."""
    source = "{% load realtime %}{% live 'entries' key " + tag + " %}"
    request = rf.get("/")
    request.user = AnonymousUser()
    text = engines["django"].from_string(source).render({"key": board.pk}, request)
    page: Any = HttpResponse(text)
    page.wsgi_request = request

    with LiveClient.of_page(page) as client:
        assert client.topic == f"entries.{board.pk}"
        assert len(client.rows) == board.entries.count()


def test_notices_arrive(board, client):
    """Notices to every page, and notices to the topic."""
    broadcast("to all")
    broadcast("here", f"entries.{board.pk}")
    broadcast("elsewhere", "boards")
    sequence_now()

    assert [message["text"] for message in client.messages if message["type"] == "notice"] == [
        "to all",
        "here",
    ]


def test_a_broadcast_is_what_others_would_receive(board, sociable, monkeypatch):
    """With the name that the feed gives; or it is refused, as the feed says."""
    user = get_user_model().objects.create_user("ada")
    with LiveClient(f"entries.{board.pk}", user=user) as client:
        message = client.broadcast("typing", {"row": "1"})
        monkeypatch.setattr(sociable, "can_broadcast", lambda self, user, key: user.is_staff)
        with pytest.raises(Refused, match="may not broadcast"):
            client.broadcast("typing")

    assert message == {
        "type": "broadcast", "topic": f"entries.{board.pk}", "event": "typing", "payload": {"row": "1"}, "name": "ada",
    }  # fmt: skip


def test_time_passes_when_it_is_told_to(board, client):
    """A heartbeat is due, and vouches for the rows; nothing waits for a clock."""
    client.advance(14)
    assert client.messages[-1]["type"] == "snapshot"

    client.advance(1)

    assert client.messages[-1]["type"] == "heartbeat"
    assert client.messages[-1]["positions"] == {client.topic: client.position}
    assert client.messages[-1]["digests"]


@pytest.fixture
def throwaway(board):
    """A function that registers a feed of entries for one test."""
    names = []

    def register(**attributes):
        feed = type(
            "ThrowAway", (Feed,), {"name": "throwaway", "can_subscribe": lambda *_: True, **attributes}
        )(Entry)
        registry.add(feed)
        names.append(feed.name)
        return feed

    yield register
    for name in names:
        registry.remove(name)
    capture.install()


def test_min_interval_holds_messages_back_until_time_has_passed(board, throwaway):
    """Then they are one message."""
    throwaway(fields=["label"], min_interval=5.0)
    with LiveClient("throwaway") as client:
        for label in ("a", "b", "c"):
            board.entries.update(label=label)
            sequence_now()
        assert labels(client) == ["a", "a"]

        client.advance(5)

        assert labels(client) == ["c", "c"]


def test_refresh_seconds_reads_again(board, throwaway):
    """Data outside of tables may have changed: the time, or a switch as here."""
    shown = {"rows": Entry.objects.none}
    throwaway(
        fields=["label"],
        refresh_seconds=60,
        get_queryset=lambda feed: Entry.objects.filter(pk__in=shown["rows"]()),
    )
    with LiveClient("throwaway") as client:
        shown["rows"] = Entry.objects.all
        client.advance(59)
        assert dict(client.rows) == {}

        client.advance(1)

        assert len(client.rows) == 2


def test_check_finds_what_a_feed_does_not_declare(board, throwaway):
    """The board's title is in the rows, and depends_on does not name the board."""
    throwaway(fields=["label"], get_queryset=lambda feed: Entry.objects.filter(board__title="The quay"))
    with LiveClient("throwaway") as client:
        client.check()
        Board.objects.filter(pk=board.pk).update(title="Another")

        with pytest.raises(AssertionError, match="depends_on does not name"):
            client.check()


def test_a_feed_that_is_new_is_captured(board, throwaway):
    """A reused test database has the triggers of the feeds that there were."""
    throwaway(fields=["label"])
    capture.uninstall()
    assert capture.missing()

    with LiveClient("throwaway") as client:
        client.skip()
        board.entries.create(label="new")

        client.until(lambda client: len(client.rows) == 3)


def test_two_clients_are_independent(board, client):
    """Each has rows and a position of its own; one that is closed receives nothing more."""
    with LiveClient("boards") as boards:
        board.title = "x"
        board.save()
        board.entries.create(label="new")
        sequence_now()
        assert next(iter(boards.rows.values()))["title"] == "x"
    board.title = "y"
    board.save()
    sequence_now()

    assert next(iter(boards.rows.values()))["title"] == "x"
    assert len(client.rows) == 3


@pytest.mark.django_db(transaction=True)
async def test_asynchronous_tests_have_the_same(transactions, transactional_db):
    """Names that begin with an a, as Django's."""
    from realtime.testing import asequence_now

    board = await Board.objects.acreate(slug="quay", title="The quay")
    async with LiveClient(f"entries.{board.pk}") as client:
        await board.entries.acreate(label="one")
        await client.auntil(lambda client: labels(client) == ["one"])
        client.skip()
        await board.entries.acreate(label="two", position=2)
        assert (await client.anext_change()).row["label"] == "two"
        client.drop()
        await board.entries.acreate(label="three", position=3)
        await asequence_now()
        await client.aresume()
        await client.aadvance(15)
        await client.acheck()

        assert labels(client) == ["one", "two", "three"]
