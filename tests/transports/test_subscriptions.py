"""Subscriptions over a WebSocket: what a client is sent, and which topics it may follow."""

import asyncio
import contextlib
import json
import logging
import threading
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from django.template import Context, Template

from realtime.boards.models import Board, Entry
from realtime.delivery import topic_reads
from realtime.delivery.rights import recheck
from realtime.engine.position import Position
from realtime.feeds import Feed, register, registry
from realtime.publishing import positions
from tests.conftest import until
from tests.support.positions import position_now
from tests.support.replica import Replica


def labels(snapshot: dict[str, Any]) -> list[str]:
    return [row["row"]["label"] for row in snapshot["rows"]]


async def test_without_a_position_a_snapshot_comes_first(connect, topic, in_database):
    """All rows, in order, as of one position."""
    peer = connect()
    await peer.open()

    snapshot = await peer.follow(topic)

    assert labels(snapshot) == ["Saltmere", "Kelpstone"]
    assert snapshot["position"] == str(await in_database(position_now))
    assert snapshot["more"] is False
    assert "html" not in snapshot["rows"][0]


async def test_following_a_topic_makes_no_connection_object_for_the_task(connect, topic, monkeypatch):
    """``connections`` makes one for each task of a loop, and the task keeps it: 3.5 KiB for each WebSocket."""
    tasks = []

    def create(alias: str) -> BaseDatabaseWrapper:
        with contextlib.suppress(RuntimeError):  # a thread has no task, and needs a connection
            tasks.append(asyncio.current_task())
        return ConnectionHandler.create_connection(connections, alias)

    monkeypatch.setattr(connections, "create_connection", create)
    first, second = connect(), connect()
    await first.open()
    await first.follow(topic)
    tasks.clear()  # those of the service, and one for all connections

    await second.open()
    await second.follow(topic)

    assert tasks == []


async def test_html_is_the_rendered_row(connect, topic):
    """Its root element carries key and order; the fields are left out."""
    peer = connect()
    await peer.open()

    first = (await peer.follow(topic, format="html"))["rows"][0]

    assert f'data-key="{first["key"]}"' in first["html"]
    assert f'data-order="{first["order"]}"' in first["html"]
    assert "row" not in first


async def test_a_subscribe_with_the_present_position_is_answered_by_no_changes(connect, topic, in_database):
    """Every subscribe is answered, also if nothing has changed."""
    position = str(await in_database(position_now))
    peer = connect()
    await peer.open()

    answer = await peer.follow(topic, position)

    assert (answer["type"], answer["changes"], answer["position"]) == ("changes", [], position)
    assert await peer.receive_nothing(0.1)


@pytest.mark.parametrize("format", ["rows", "html"])
async def test_between_a_page_and_its_subscription_there_is_no_gap(
    connect, quay, topic, in_database, rf, format
):
    """The first changes are those written after the page was rendered and before it subscribed, and no others."""
    peer, earlier = connect(), connect()
    await peer.open()
    await earlier.open()
    await earlier.follow(topic, format=format)
    await in_database(
        quay.entries.bulk_create, [Entry(board=quay, label=f"ferry {number}") for number in range(10)]
    )
    await earlier.receive()
    request = rf.get("/")
    request.user = AnonymousUser()
    template = Template("{% load realtime %}{% live 'entries' board %}")
    page = await in_database(template.render, Context({"request": request, "board": quay.pk}))
    replica = Replica(topic, format)
    replica.position = Position.parse(page.split('position="')[1].split('"')[0])
    painted = await in_database(positions.read_topic, topic)
    replica.digests = {row.key: row.digest_in(format) for row in painted.rows}
    gone = await in_database(quay.entries.get, label="Kelpstone")
    await in_database(Entry.objects.filter(pk=gone.pk).delete)
    new = await in_database(quay.entries.create, label="between")
    now = await in_database(position_now)

    await peer.send_to(text_data=replica.subscription())
    received: list[tuple[str, str]] = []
    while replica.position.offset < now.offset:
        message = await peer.receive()
        assert not replica.receive(json.dumps(message))
        received += [(change["op"], change["key"]) for change in message.get("changes", [])]

    assert sorted(received) == [("delete", str(gone.pk)), ("upsert", str(new.pk))]
    assert replica.snapshots == 0
    assert await peer.receive_nothing(0.1)


async def test_the_first_subscriber_with_an_older_position_gets_a_snapshot(connect, quay, topic, in_database):
    """The server does not hold the changes since that position."""
    position = str(await in_database(position_now))
    await in_database(quay.entries.filter(label="Kelpstone").delete)
    peer = connect()
    await peer.open()

    answer = await peer.follow(topic, position)

    assert answer["type"] == "snapshot"
    assert labels(answer) == ["Saltmere"]


@pytest.mark.parametrize(
    "position",
    ["another0.5", "{epoch}.999999999999", "{epoch}.0", ".5"],
    ids=["another epoch", "the future", "before the log", "no epoch"],
)
async def test_a_position_that_cannot_be_served_gets_a_snapshot(connect, topic, log, in_database, position):
    """The client starts again from there; this is no error."""
    epoch = (await in_database(lambda: log.state)).epoch
    peer = connect()
    await peer.open()

    assert (await peer.follow(topic, position.format(epoch=epoch)))["type"] == "snapshot"


@pytest.mark.parametrize("position", ["", "x", "a.b", "a.-1", "a.1.2", "é.\u0661", "a." + "9" * 30])
async def test_a_position_in_no_valid_form_is_a_bad_message(connect, topic, position):
    """The error names the topic, which is not subscribed."""
    peer = connect()
    await peer.open()

    error = await peer.follow(topic, position)

    assert (error["type"], error["code"]) == ("error", 4400)


@pytest.mark.parametrize(
    "topic, code",
    [
        ("nothing", 4404),
        ("", 4404),
        ("entries", 4404),
        ("entries.x", 4404),
        ("entries.07", 4404),
        ("entries.0", 4403),
        ("entries.9223372036854775807", 4403),
        ("entries.9223372036854775808", 4404),
        ("staffboards", 4403),
        ("x" * 5000, 4404),
        ("entries.\x00", 4404),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_forbidden_or_unknown_topic_is_refused(connect, lines, topic, code):
    """By an error that names it, and one log line; an absent board is refused like a hidden one."""
    peer = connect()
    await peer.open()

    error = await peer.follow(topic)

    assert (error["type"], error["code"]) == ("error", code)
    (line,) = lines(logging.WARNING)
    assert "Traceback" not in line
    assert len(line) < 500


async def test_a_key_too_large_for_the_database_causes_no_traceback(connect, live, in_database, lines):
    """A client asks a public feed for a number that no integer column holds."""
    await in_database(live, Entry, name="open", topic_field="board_id")
    peer = connect()
    await peer.open()

    await peer.follow("open.99999999999999999999")

    assert not any("Traceback" in line for line in lines())


async def test_a_limited_topic_is_filled_up_when_a_row_leaves(connect, live, quay, in_database):
    """And cut again when one is added; a subscriber receives both halves of such a change in one message."""
    await in_database(
        live, Entry, name="latest", topic_field="board_id", fields=["label"], ordering=["-position"], limit=2
    )
    peer = connect()
    await peer.open()
    replica = Replica(f"latest.{quay.pk}")
    replica.receive(json.dumps(await peer.follow(replica.topic)))
    first = list(replica.keys)

    new = await in_database(quay.entries.create, label="new", position=9)
    replica.receive(json.dumps(await peer.receive_next("changes")))
    second = list(replica.keys)
    await in_database(new.delete)
    replica.receive(json.dumps(await peer.receive_next("changes")))

    assert len(first) == 2
    assert second[1:] == first[:1]
    assert replica.keys == first
    assert replica.snapshots == 1


async def test_each_change_is_sent_in_its_order(connect, quay, topic, in_database):
    """An insert, an update, and an update that hides the row."""
    peer = connect()
    await peer.open()
    replica = Replica(topic)
    assert not replica.receive(json.dumps(await peer.follow(topic)))

    new = await in_database(quay.entries.create, label="new", position=-1)
    inserted = await peer.receive()
    await in_database(Entry.objects.filter(pk=new.pk).update, value="changed")
    updated = await peer.receive()
    await in_database(Entry.objects.filter(pk=new.pk).update, is_visible=False)
    hidden = await peer.receive()

    for message in (inserted, updated, hidden):
        assert not replica.receive(json.dumps(message))
    assert inserted["changes"][0]["row"]["label"] == "new"
    assert updated["changes"][0]["row"]["value"] == "changed"
    assert hidden["changes"] == [{"op": "delete", "key": str(new.pk)}]
    assert str(new.pk) not in replica.keys


async def test_subscribing_again_replaces_the_subscription(connect, quay, topic, in_database):
    """One message for each change, in the format requested last."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)

    await peer.follow(topic, format="html")
    await in_database(quay.entries.create, label="once")

    (change,) = (await peer.receive())["changes"]
    assert "html" in change
    assert "row" not in change
    assert await peer.receive_nothing(0.1)


async def test_after_unsubscribing_no_changes_are_sent(connect, quay, topic, in_database):
    """No changes of that topic; other topics continue."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    await peer.follow("boards")
    await peer.send("unsubscribe", topic=topic)
    await peer.send("unsubscribe", topic="never followed")

    await in_database(quay.entries.create, label="unsent")
    await in_database(Board.objects.filter(pk=quay.pk).update, title="sent")

    assert (await peer.receive())["topic"] == "boards"
    assert await peer.receive_nothing(0.1)


async def test_a_client_that_unsubscribes_and_subscribes_at_once_misses_nothing(
    connect, quay, topic, in_database
):
    """As a page does when it renders its element again."""
    peer = connect()
    await peer.open()
    position = (await peer.follow(topic))["position"]

    for _ in range(5):
        await peer.send("unsubscribe", topic=topic)
        await peer.send("subscribe", topic=topic, position=position)
    answers = [await peer.receive() for _ in range(5)]
    await in_database(quay.entries.create, label="after it all")

    assert [answer["changes"] for answer in answers] == [[]] * 5
    assert len((await peer.receive())["changes"]) == 1
    assert await peer.receive_nothing(0.1)


async def test_the_topics_of_a_connection_are_limited(connect, settings, topic):
    """One too many is refused; a followed one may be subscribed again, and unsubscribing makes room."""
    settings.REALTIME = {**settings.REALTIME, "MAX_SUBSCRIPTIONS": 2}
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    await peer.follow("boards")

    refused = await peer.follow(topic.replace("entries", "board"))
    again = await peer.follow("boards")
    await peer.send("unsubscribe", topic=topic)
    then = await peer.follow(topic.replace("entries", "board"))

    assert (refused["type"], refused["code"]) == ("error", 4529)
    assert [again["type"], then["type"]] == ["snapshot", "snapshot"]


async def test_topics_requested_at_once_are_limited_as_well(connect, settings, topic):
    """As many are followed as may be, the first ones; the others are refused."""
    settings.REALTIME = {**settings.REALTIME, "MAX_SUBSCRIPTIONS": 2}
    peer = connect()
    await peer.open()

    for name in (topic, "boards", topic.replace("entries", "board")):
        await peer.send("subscribe", topic=name)
    answers = [await peer.receive() for _ in range(3)]

    assert {answer["topic"]: answer["type"] for answer in answers} == {
        topic: "snapshot", "boards": "snapshot", topic.replace("entries", "board"): "error",
    }  # fmt: skip


@pytest.fixture
def held_read(topic, monkeypatch):
    """Reading the topic waits until this event is set."""
    go_on = threading.Event()

    def read(name, *args):
        assert name != topic or go_on.wait(60)
        return positions.read_topic(name, *args)

    monkeypatch.setattr(topic_reads, "read_topic", read)
    monkeypatch.setattr(topic_reads, "FIRST_SECONDS", 60.0)
    yield go_on
    go_on.set()


async def test_a_topic_that_is_read_slowly_keeps_no_other_of_its_connection(connect, topic, held_read):
    """The others are answered; messages of other types wait for all topics, as their answers may depend on them."""
    peer = connect()
    await peer.open()
    await peer.send("subscribe", topic=topic)

    other = await peer.follow("boards")
    await peer.send("ping")
    assert await peer.receive_nothing(0.1)
    held_read.set()

    assert other["type"] == "snapshot"
    assert (await peer.receive())["topic"] == topic
    assert (await peer.receive())["positions"].keys() == {topic, "boards"}


async def test_the_server_reads_on_while_topics_are_read(connect, topic, held_read):
    """Otherwise it would not see the answers to its pings, and end the connection."""
    peer = connect()
    await peer.open()

    for name in (topic, *(f"entries.{number}" for number in range(1000, 1040))):
        await peer.send("subscribe", topic=name)
    for _ in range(40):
        assert (await peer.receive())["code"] == 4403
    await peer.send("subscribe", topic="boards")

    assert (await peer.receive())["topic"] == "boards"


async def test_a_connection_that_closes_while_its_topics_are_read_leaves_nothing(
    connect, service, topic, held_read
):
    """No subscriber, and no task that subscribes."""
    peer = connect()
    await peer.open()
    await peer.send("subscribe", topic=topic)
    await until(lambda: service.hub.subscriptions == 1)

    await peer.disconnect()

    assert service.hub.subscriptions == 0
    await until(lambda: not [one for one in asyncio.all_tasks() if "subscribe" in one.get_name()])
    held_read.set()
    await until(lambda: not service.hub._shared[topic].is_reading)
    assert service.hub.subscriptions == 0


async def test_a_client_cannot_make_topics_without_bound(connect, settings, topic, service):
    """Neither with one connection that leaves topics again nor with several: the bound is that of the address."""
    settings.REALTIME = {**settings.REALTIME, "MAX_TOPICS_PER_ADDRESS": 2}
    board = topic.replace("entries", "board")
    peer, other = connect(), connect()
    await peer.open()
    await other.open()
    await peer.follow(topic)
    await other.follow("boards")

    refused = await peer.follow(board)
    await other.send("unsubscribe", topic="boards")
    then = await peer.follow(board)

    assert (refused["type"], refused["code"], refused["topic"]) == ("error", 4529, board)
    assert then["type"] == "snapshot"
    assert service.hub.topics == 2


async def test_a_new_epoch_sends_every_page_a_snapshot(connect, topic, in_database):
    """Positions of different epochs cannot be compared."""
    peer = connect()
    await peer.open()
    before = await peer.follow(topic)

    await in_database(positions.begin_epoch)

    after = await peer.receive_next("snapshot", topic)
    assert after["position"].split(".")[0] != before["position"].split(".")[0]
    assert labels(after) == labels(before)


async def test_many_returning_clients_cost_few_queries(connect, service, topic, monkeypatch):
    """After a cold start, each with the position it had: rows, rights and positions are read once for all."""
    functions: list[str] = []

    def counted(run):
        async def counted(function, *arguments):
            functions.append(function.__name__)
            return await run(function, *arguments)

        return counted

    first = connect()
    await first.open()
    position = (await first.follow(topic))["position"]
    for threads in (service.reader_threads, service.topic_threads):
        monkeypatch.setattr(threads, "run", counted(threads.run))
    service.hub._shared.clear()
    peers = [connect() for _ in range(100)]
    await asyncio.gather(*(peer.open() for peer in peers))

    answers = await asyncio.gather(*(peer.follow(topic, position) for peer in peers))

    assert {answer["type"] for answer in answers} == {"changes"}
    assert functions.count("_timed") == 1
    assert len([name for name in functions if name != "_tail"]) <= 10


# ---------------------------------------------------------------- rights


async def test_nothing_of_a_hidden_board_is_sent(connect, safe, secret, in_database):
    """Neither its rows, nor their deletes, nor that anything happened."""
    peer = connect()
    await peer.open()
    await peer.follow("boards")
    assert (await peer.follow(secret))["code"] == 4403
    assert (await peer.follow(f"board.{safe.pk}"))["code"] == 4403

    await in_database(safe.entries.create, label="another")
    await in_database(safe.entries.filter(label="Combination").delete)
    await in_database(Board.objects.filter(pk=safe.pk).update, title="Another title")
    await in_database(safe.delete)

    assert await peer.receive_nothing(0.3)


async def test_a_row_that_moves_to_a_hidden_board_is_a_delete(connect, quay, topic, safe, in_database):
    """With its key and nothing else; no later change of it is sent."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    entry = await in_database(quay.entries.first)

    await in_database(Entry.objects.filter(pk=entry.pk).update, board=safe, value="s3cret")
    changes = (await peer.receive())["changes"]
    await in_database(Entry.objects.filter(pk=entry.pk).update, value="another s3cret")

    assert changes == [{"op": "delete", "key": str(entry.pk)}]
    assert await peer.receive_nothing(0.1)


async def test_staff_follow_hidden_boards(connect, staff, sign_in, secret):
    """By the session of their page."""
    session = await asyncio.to_thread(sign_in, staff)
    peer = connect(session=session)
    await peer.open()

    assert labels(await peer.follow(secret)) == ["Combination"]
    assert (await peer.follow("staffboards"))["type"] == "snapshot"


async def test_a_right_that_is_taken_away_ends_its_subscriptions(
    connect, settings, staff, sign_in, safe, secret, in_database, lose
):
    """Within seconds, with an error; public topics continue."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.follow(secret)
    await peer.follow("boards")

    await in_database(lose, staff)
    error = await peer.receive()
    await in_database(safe.entries.create, label="unseen")

    assert (error["type"], error["code"], error["topic"]) == ("error", 4403, secret)
    assert await peer.receive_nothing(0.2)
    assert (await peer.follow("boards"))["type"] == "snapshot"


async def test_a_right_that_is_taken_away_opens_no_new_topic(
    connect, service, settings, staff, sign_in, secret, in_database, lose
):
    """The user of an open connection is read again: not even a snapshot is sent."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.follow("boards")
    await in_database(lose, staff)
    await recheck(service.hub, service.reader_threads)

    answer = await peer.follow(secret)

    assert answer.get("code") == 4403, "the board's rows were sent"


async def test_a_feed_whose_check_of_rights_fails_does_not_keep_those_of_other_feeds(
    connect, settings, staff, sign_in, live, secret, in_database, monkeypatch
):
    """The rights of the other feeds are checked all the same."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    feed = await in_database(live, Entry, name="aaa_moody")
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.follow("aaa_moody")
    await peer.follow(secret)

    def fail(user: Any, key: Any) -> bool:
        raise RuntimeError("moody")

    monkeypatch.setattr(feed, "can_subscribe", fail)
    await in_database(get_user_model().objects.update, is_staff=False)

    async with asyncio.timeout(60):
        await peer.receive_next("error", secret)


async def test_a_feed_whose_check_of_rights_fails_refuses(connect, live, in_database, monkeypatch, lines):
    """The client is sent an internal error, the log has a traceback, and the connection continues."""
    feed = await in_database(live, Entry, name="moody")
    monkeypatch.setattr(feed, "can_subscribe", lambda user, key: 1 / 0)
    peer = connect()
    await peer.open()

    assert (await peer.follow("moody"))["code"] == 4500
    assert (await peer.follow("boards"))["type"] == "snapshot"
    assert any("ZeroDivisionError" in line for line in lines(logging.ERROR))


async def test_html_of_a_feed_without_a_template_is_refused_with_words(connect, live):
    """Otherwise the page would wait for rows that never come; the format rows is there."""
    await database_sync_to_async(live)(Board, name="bare", fields=["slug"])
    peer = connect()
    await peer.open()

    refused = await peer.follow("bare", format="html")

    assert (refused["type"], refused["code"]) == ("error", 4404)
    assert "'bare' has no html: its feed has no row template" in refused["message"]
    assert (await peer.follow("bare"))["type"] == "snapshot"


async def test_a_feed_that_is_off_is_refused_with_words(connect, topic):
    """Its declaration is wrong; other topics of the connection are live."""
    register(Board)(type("Off", (Feed,), {"name": "off", "ordering": ["titel"]}))
    try:
        peer = connect()
        await peer.open()

        refused = await peer.follow("off")

        assert (refused["type"], refused["code"]) == ("error", 4500)
        assert "the feed 'off' is off; `manage.py check`" in refused["message"]
        assert (await peer.follow(topic))["type"] == "snapshot"
    finally:
        registry.remove("off")
