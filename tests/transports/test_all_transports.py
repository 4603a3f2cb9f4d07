"""The promises of every transport: WebSocket (JSON, MessagePack), Server-Sent Events, polling."""

import asyncio
import decimal
import json
import random

import pytest
from django.db import connection, models

from realtime.boards.models import Board, Entry
from realtime.feeds import Feed
from tests.support.positions import position_now
from tests.support.replica import Replica
from tests.support.transports import TRANSPORTS, make


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


async def follow(one, replica: Replica, offset: int) -> None:
    """Pass messages to a replica until it has reached a position; there must be no gap."""
    while replica.position is None or replica.position.offset < offset:
        assert not replica.receive(json.dumps(await one.next()))


@pytest.mark.combinations("client", "format")
@pytest.mark.parametrize("format", ["rows", "html"])
async def test_a_snapshot_comes_first_and_then_the_changes(client, topic, quay, in_database, format):
    """An insert, an update, a hidden row and a delete; the rows are the table's at each position."""
    one, replica = client(), Replica(topic, format)
    await one.open(topic, format=format)
    first = await one.next()
    assert first["type"] == "snapshot"
    replica.receive(json.dumps(first))

    new = await in_database(quay.entries.create, label="new")
    for change in (
        lambda: Entry.objects.filter(pk=new.pk).update(value="changed"),
        lambda: Entry.objects.filter(label="Kelpstone").update(is_visible=False),
        new.delete,
    ):
        await follow(one, replica, (await in_database(position_now)).offset)
        assert str(new.pk) in replica.rows
        await in_database(change)
    await follow(one, replica, (await in_database(position_now)).offset)

    assert len(replica.rows) == 1
    assert replica.snapshots == 1


async def test_a_returning_client_gets_the_changes_it_missed_and_no_others(client, topic, quay, in_database):
    """It resumes from the id of the last message; the server holds the topic for another client meanwhile."""
    stays, leaves, replica = client(), client(), Replica(topic)
    await stays.open(topic)
    await stays.next()
    await leaves.open(topic)
    replica.receive(json.dumps(await leaves.next()))
    await leaves.close()
    for number in range(3):
        await in_database(quay.entries.create, label=f"missed {number}")
        await stays.next()

    back = client()
    await back.open(topic, leaves.id)
    await follow(back, replica, (await in_database(position_now)).offset)

    assert len(replica.rows) == 5
    assert replica.snapshots == 1


async def test_a_returning_client_that_missed_nothing_gets_no_changes(client, topic):
    """But an answer: an empty list of changes, which says that it is live."""
    stays, one = client(), client()
    await stays.open(topic)
    await stays.next()

    await one.open(topic, stays.id)
    answer = await one.next()

    assert (answer["type"], answer["changes"], answer["position"]) == ("changes", [], stays.id)


async def test_nan_and_infinity_are_sent_as_null(client, make_model, live, in_database):
    """In a column, in JSON or as a decimal; one such row must not make the whole topic unreadable."""
    columns = {"level": models.FloatField(), "more": models.JSONField(), "metres": NotANumber(5, 2)}
    gauges = await in_database(lambda: make_model("Gauge", **columns))
    await in_database(lambda: live(gauges, name="gauges", fields=list(columns)))
    await in_database(write_gauge, gauges._meta.db_table)
    one = client()

    await one.open("gauges")
    snapshot = await one.next()
    await in_database(gauges.objects.update, level=2.5)
    changes = await one.next()

    endless = {"level": None, "more": {"deep": [None, None]}, "metres": None}
    assert [row["row"] for row in snapshot["rows"]] == [endless]
    assert [change["row"] for change in changes["changes"]] == [endless | {"level": 2.5}]


class NotANumber(models.DecimalField):
    """A decimal column that holds NaN, as PostgreSQL allows."""

    def __init__(self, max_digits: int, decimal_places: int) -> None:
        super().__init__(max_digits=max_digits, decimal_places=decimal_places)

    def from_db_value(self, value, expression, connection):
        return decimal.Decimal("NaN")


def write_gauge(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (level, more, metres) VALUES (9e999, %s, 1)",
            [f'{{"deep": [1e999, {10**400}]}}'],
        )


@pytest.mark.combinations("client", "is_empty")
@pytest.mark.parametrize("is_empty", [False, True], ids=["rows", "no rows"])
async def test_a_client_that_has_received_no_change_yet_resumes(client, topic, quay, in_database, is_empty):
    """Its position is that of its first answer: from there it misses nothing, and gets nothing twice."""
    if is_empty:
        await in_database(quay.entries.all().delete)
    one, replica = client(), Replica(topic)
    await one.open(topic)
    replica.receive(json.dumps(await one.next()))
    await one.close()
    await in_database(quay.entries.create, label="written meanwhile")

    back = client()
    await back.open(topic, one.id)
    await follow(back, replica, (await in_database(position_now)).offset)

    assert await in_database(quay.entries.filter(is_visible=True).count) == len(replica.rows)


async def test_a_client_that_returns_twice_in_a_row_gets_each_change_once(client, topic, quay, in_database):
    """After the first return it has the change; after the second it is told that it has missed nothing."""
    stays, one, replica = client(), client(), Replica(topic)
    await stays.open(topic)
    await stays.next()
    await one.open(topic)
    replica.receive(json.dumps(await one.next()))
    await one.close()
    await in_database(quay.entries.create, label="written meanwhile")
    await stays.next()

    first = client()
    await first.open(topic, one.id)
    await follow(first, replica, (await in_database(position_now)).offset)
    await first.close()
    second = client()
    await second.open(topic, first.id)
    answer = await second.next()

    assert (answer["type"], answer["changes"], answer["position"]) == ("changes", [], first.id)


@pytest.mark.combinations("client", "since")
@pytest.mark.parametrize("since", ["another0.5", "{epoch}.999999999999"])
async def test_a_position_that_cannot_be_served_gets_a_snapshot(client, topic, log, in_database, since):
    """A position of another epoch, or one that a restore has undone."""
    one = client()

    await one.open(topic, since.format(epoch=(await in_database(lambda: log.state)).epoch))

    assert (await one.next())["type"] == "snapshot"


@pytest.mark.combinations("client", "topic")
@pytest.mark.parametrize(
    "topic, code", [("nothing", 4404), ("entries.07", 4404), ("staffboards", 4403), ("entries.0", 4403)]
)
async def test_forbidden_and_unknown_topics_are_refused(client, topic, code):
    """By an error that names the topic."""
    one = client()

    await one.open(topic)
    error = await one.next()

    assert (error["type"], error["code"], error["topic"]) == ("error", code, topic)


async def test_the_session_identifies_the_reader(client, staff, sign_in, safe):
    """The cookies of a page of ours, over every transport."""
    one = client(await asyncio.to_thread(sign_in, staff))

    await one.open(f"entries.{safe.pk}")

    assert [row["row"]["label"] for row in (await one.next())["rows"]] == ["Combination"]


async def test_a_right_that_is_taken_away_ends_the_subscription(
    client, settings, staff, sign_in, safe, in_database
):
    """Within seconds, with an error; no later change is sent."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    one = client(await asyncio.to_thread(sign_in, staff))
    await one.open(f"entries.{safe.pk}")
    await one.next()
    waiting = asyncio.create_task(one.next())

    staff.is_staff = False
    await in_database(staff.save)
    error = await waiting
    await in_database(safe.entries.create, label="unseen")

    assert (error["type"], error["code"]) == ("error", 4403)


async def test_a_long_snapshot_is_sent_in_parts_and_complete(client, topic, quay, in_database):
    """More rows than one message holds; a change after them follows."""
    await in_database(
        quay.entries.bulk_create, [Entry(board=quay, label=f"{n}", note="x" * 400) for n in range(1500)]
    )
    one, replica = client(), Replica(topic)
    await one.open(topic)
    messages = [await one.next()]
    while messages[-1]["more"]:
        messages.append(await one.next())

    assert len(messages) > 2
    for message in messages:
        replica.receive(json.dumps(message))
    await in_database(quay.entries.create, label="after")
    await follow(one, replica, (await in_database(position_now)).offset)
    assert len(replica.rows) == 1503


async def test_a_client_that_reconnects_at_random_converges(client, topic, quay, in_database):
    """Random writes, and a client that leaves and resumes: its rows are always the table as of a position."""
    chance = random.Random(4)
    replica = Replica(topic)
    one = client()
    await one.open(topic)
    for number in range(12):
        rows = await in_database(lambda: list(quay.entries.values_list("pk", flat=True)))
        if chance.random() < 0.4 and len(rows) > 2:
            await in_database(Entry.objects.filter(pk=chance.choice(rows)).delete)
        else:
            await in_database(quay.entries.create, label=f"number {number}")
        if chance.random() < 0.5:
            await one.close()
            one = client()
            await one.open(topic, None if replica.position is None else str(replica.position))
        await follow(one, replica, (await in_database(position_now)).offset)

    assert set(replica.rows) == set(await in_database(lambda: [str(row.pk) for row in quay.entries.all()]))


async def asked_later(self, user, key):
    await asyncio.sleep(0)
    return await Board.objects.filter(pk=key, is_public=True).aexists()


async def listed_later(self, user, keys):
    return [
        key async for key in Board.objects.filter(pk__in=keys, is_public=True).values_list("pk", flat=True)
    ]


def asked(self, user, key):
    return Board.objects.filter(pk=key, is_public=True).exists()


def listed(self, user, keys):
    return Board.objects.filter(pk__in=keys, is_public=True).values_list("pk", flat=True)


@pytest.mark.combinations("client", "answers")
@pytest.mark.parametrize(
    "answers",
    [
        {"can_subscribe": asked},
        {"can_subscribe": asked_later},
        {"visible_topics": listed},
        {"visible_topics": listed_later},
    ],
    ids=["can_subscribe", "async can_subscribe", "visible_topics", "async visible_topics"],
)
async def test_a_feed_answers_about_rights_by_any_kind_of_function(
    client, live, quay, safe, in_database, answers
):
    """A coroutine counts by what it returns: it is true in itself. A right that ends is taken away like any other."""
    declared = {"name": "asked", "topic_field": "board_id", "fields": ["label"], "rights_depend_on": [Board]}
    await in_database(lambda: live(Entry, **{"can_subscribe": Feed.can_subscribe, **declared, **answers}))
    allowed, refused = client(), client()

    await refused.open(f"asked.{safe.pk}")
    assert (await refused.next())["code"] == 4403
    await allowed.open(f"asked.{quay.pk}")
    assert [row["row"]["label"] for row in (await allowed.next())["rows"]] == ["Saltmere", "Kelpstone"]

    await in_database(Board.objects.filter(pk=quay.pk).update, is_public=False)
    message = await allowed.next()
    while message["type"] == "changes":
        assert message["changes"] == []
        message = await allowed.next()
    assert message["code"] == 4403
