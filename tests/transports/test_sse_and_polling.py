"""The same promises on every way in: WebSocket (JSON, MessagePack), Server-Sent Events, polling."""

import asyncio
import decimal
import json
import random

import msgspec
import pytest
from django.conf import settings as django_settings
from django.db import connection, models

from realtime.actions import Action, actions
from realtime.boards.models import Entry
from realtime.publishing.positions import position_now
from tests.conftest import PATIENCE_SECONDS, until
from tests.support.replica import Replica
from tests.support.transports import TRANSPORTS, Request, make


@pytest.fixture
def topic(quay) -> str:
    return f"entries.{quay.pk}"


@pytest.fixture(params=TRANSPORTS)
async def client(request, connect, application):
    """Return clients of one transport; all leave at the end."""
    opened = []

    def of(session: str | None = None):
        opened.append(make(request.param, connect, application, session))
        return opened[-1]

    yield of
    for one in opened:
        await one.close()


async def follow(one, replica: Replica, offset: int) -> None:
    """Hand messages to a replica until it has come to a position; there must be no gap."""
    while replica.position is None or replica.position.offset < offset:
        assert not replica.receive(json.dumps(await one.next()))


# ---------------------------------------------------------------- what all promise


@pytest.mark.parametrize("format", ["rows", "html"])
async def test_a_snapshot_comes_first_and_then_the_changes(client, topic, quay, in_database, format):
    """An insert, an update, a move out of sight and a delete; the rows are the table's at each position."""
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


async def test_one_that_comes_back_gets_what_it_missed_and_no_more(client, topic, quay, in_database):
    """From the id of the last message; the server holds the topic for somebody else meanwhile."""
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


async def test_one_that_missed_nothing_is_told_so(client, topic):
    """By an empty list of changes: you are live."""
    stays, one = client(), client()
    await stays.open(topic)
    await stays.next()

    await one.open(topic, stays.id)
    answer = await one.next()

    assert (answer["type"], answer["changes"], answer["position"]) == ("changes", [], stays.id)


async def test_what_is_no_number_comes_as_null(client, make_model, live, in_database):
    """In a column, in JSON or as a decimal; one such row must not cost a reader the whole topic."""
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
    """A decimal as PostgreSQL may have it."""

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


@pytest.mark.parametrize("since", ["another0.5", "{epoch}.999999999999"])
async def test_a_position_that_cannot_be_served_gets_a_snapshot(client, topic, log, in_database, since):
    """Of another life, or of a future that a restore took back."""
    one = client()

    await one.open(topic, since.format(epoch=(await in_database(lambda: log.state)).epoch))

    assert (await one.next())["type"] == "snapshot"


@pytest.mark.parametrize(
    "topic, code", [("nothing", 4404), ("entries.07", 4404), ("staffboards", 4403), ("entries.0", 4403)]
)
async def test_what_one_may_not_have_is_refused(client, topic, code):
    """By an error that names it."""
    one = client()

    await one.open(topic)
    error = await one.next()

    assert (error["type"], error["code"], error["topic"]) == ("error", code, topic)


async def test_the_session_says_who_reads(client, staff, sign_in, safe):
    """The cookies of a page of ours, whatever carries them."""
    one = client(await asyncio.to_thread(sign_in, staff))

    await one.open(f"entries.{safe.pk}")

    assert [row["row"]["label"] for row in (await one.next())["rows"]] == ["Combination"]


async def test_a_right_that_is_taken_away_ends_it(client, settings, staff, sign_in, safe, in_database):
    """Within seconds, with an error, and without a word of what happens after."""
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


async def test_a_long_snapshot_comes_in_parts_and_whole(client, topic, quay, in_database):
    """More rows than one message holds; a change while it is under way is not lost."""
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


async def test_clients_that_break_off_anywhere_converge(client, topic, quay, in_database):
    """Random writes, and clients that leave and return with what they have: always the table as of a position."""
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


# ---------------------------------------------------------------- MessagePack


async def test_messagepack_is_the_same_object(connect, topic):
    """Field by field; and it takes no text."""
    text, binary = make("json", connect, None), make("msgpack", connect, None)
    await text.open(topic)
    await binary.open(topic)

    assert await text.next() == await binary.next()


async def test_a_text_on_a_binary_connection_is_refused(connect):
    """With words that say what it takes."""
    peer = connect(subprotocols=["realtime.v1.msgpack"])
    await peer.connect(PATIENCE_SECONDS)
    msgspec.msgpack.decode((await peer.receive_output(PATIENCE_SECONDS))["bytes"])

    await peer.send_to(text_data='{"type":"ping"}')
    error = msgspec.msgpack.decode((await peer.receive_output(PATIENCE_SECONDS))["bytes"])

    assert (error["code"], "binary messages" in error["message"]) == (4400, True)


# ---------------------------------------------------------------- Server-Sent Events


async def events(request: Request, count: int) -> list[str]:
    return [(await request.chunk())[0] for _ in range(count)]


async def event_with(request: Request, words: str) -> str:
    """Return the next event that holds these words."""
    while True:
        event, _ = await request.chunk()
        if words in event:
            return event


async def test_several_topics_share_a_stream(application, topic, quay, in_database):
    """The id names the position of each, in the order of the address, and resumes all of them."""
    asked = [("topic", topic), ("topic", "nope"), ("topic", "boards")]
    request = Request(application, "/realtime/sse/", asked)
    await request.start()
    retry, welcome, error, first, second = await events(request, 5)
    await request.leave()

    assert retry == "retry: 2000\n\n"
    assert "id:" not in welcome
    assert '"code":4404' in error
    id = second.split("\n")[0].removeprefix("id: ")
    one, none, other = id.split(",")
    assert (f'"position":"{one}"' in first, none, f'"position":"{other}"' in second) == (True, "", True)

    await in_database(quay.entries.create, label="missed")
    again = Request(application, "/realtime/sse/", asked, headers={"last-event-id": id})
    await again.start()
    missed = await event_with(again, '"label":"missed"')
    await again.leave()
    assert missed.startswith("id: ")
    assert '"type":"changes"' in missed


async def test_part_of_a_snapshot_has_no_id(application, topic, quay, in_database):
    """Who has but that would resume without the rest."""
    await in_database(
        quay.entries.bulk_create, [Entry(board=quay, label=f"{n}", note="x" * 400) for n in range(1500)]
    )
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()
    first = await event_with(request, '"more":true')
    last = await event_with(request, '"more":false')
    await request.leave()

    assert "id:" not in first
    assert "id:" in last


async def test_a_stream_has_a_heartbeat(application, topic, settings):
    """A comment for proxies, and an event for who asks for it."""
    settings.REALTIME = {**settings.REALTIME, "HEARTBEAT_SECONDS": 0.15}
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()

    *_, beat = await events(request, 4)
    await request.leave()

    assert beat.startswith(": heartbeat\nevent: heartbeat\nid: ")
    assert f'"positions":{{"{topic}":' in beat


async def test_a_stopping_server_ends_its_streams(application, service, topic):
    """With a bye that says when to come back."""
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()
    await events(request, 3)

    service.dismiss()
    bye, has_more = await request.chunk()
    last, has_more = await request.chunk()

    assert '"code":4512' in bye
    assert (last, has_more) == ("", False)
    await request.leave()


async def test_nothing_is_left_of_a_stream_whose_client_has_gone(application, service, topic):
    """No connection, no subscriber."""
    request = Request(application, "/realtime/sse/", [("topic", topic)])
    await request.start()
    await events(request, 3)
    assert len(service.hub.connections) == 1

    await request.leave()

    assert (service.hub.connections, service.hub.subscriptions) == ([], 0)


# ---------------------------------------------------------------- polling


async def test_a_poll_that_has_seen_all_is_answered_304(application, topic, in_database):
    """By its ETag, which is the position."""
    path = f"/realtime/topics/{topic}/"
    _, headers, answer = await Request(application, path).fetch()
    assert headers["etag"] == f'"{answer["position"]}"'

    status, same, nothing = await Request(
        application, path, headers={"if-none-match": headers["etag"]}
    ).fetch()

    assert (status, same["etag"], nothing) == (304, headers["etag"], None)


async def test_a_long_poll_waits_for_the_first_change(application, service, topic, quay, in_database):
    """And for no longer than it says."""
    path = f"/realtime/topics/{topic}/"
    _, _, answer = await Request(application, path).fetch()
    since = ("since", answer["position"])
    waiting = asyncio.create_task(Request(application, path, [since, ("wait", "20")]).fetch())
    await until(lambda: service.hub.connections)

    await in_database(quay.entries.create, label="awaited")
    _, _, answer = await waiting
    _, _, nothing = await Request(
        application, path, [("since", answer["position"]), ("wait", "0.05")]
    ).fetch()

    assert [change["row"]["label"] for change in answer["messages"][0]["changes"]] == ["awaited"]
    assert nothing == {"position": answer["position"], "messages": []}
    assert service.hub.connections == []


@pytest.mark.parametrize(
    "path, parameters, headers, status, words",
    [
        ("/realtime/sse/", [], {}, 400, "name the topics to follow"),
        ("/realtime/sse/", [("topic", f"t{n}") for n in range(129)], {}, 429, "128 topics"),
        ("/realtime/sse/", [("topic", "boards"), ("format", "xml")], {}, 400, "rows or html"),
        ("/realtime/sse/", [("topic", "boards"), ("since", "a.1,a.2")], {}, 400, "2 positions for 1"),
        ("/realtime/sse/", [("topic", "boards"), ("since", "x")], {}, 400, "<epoch>.<integer>"),
        ("/realtime/sse/", [("topic", "boards")], {"origin": "https://evil.example"}, 403, "is not ours"),
        ("/realtime/sse/", [("topic", "boards")], {"origin": "null"}, 403, "is not ours"),
        ("/realtime/sse/", [("topic", "boards")], {"sec-fetch-site": "cross-site"}, 403, "another site"),
        ("/realtime/sse/", [("topic", "boards")], {"host": "evil.example"}, 403, "ALLOWED_HOSTS"),
        ("/realtime/sse/", [("x", "")] * 501, {}, 400, "not understood"),
        ("/realtime/topics/boards/", [("wait", "soon")], {}, 400, "number of seconds"),
        ("/realtime/topics/boards/", [("wait", "nan")], {}, 400, "number of seconds"),
        (
            "/realtime/sse/",
            [("topic", "boards"), ("format", "rows"), ("format", "html")],
            {},
            400,
            "2 formats for 1",
        ),
        ("/realtime/topics/boards/", [("since", "x")], {}, 400, "<epoch>.<integer>"),
        ("/realtime/topics/boards/", [], {"if-none-match": '"x"'}, 400, "<epoch>.<integer>"),
        ("/realtime/topics/boards/", [], {"sec-fetch-site": "cross-site"}, 403, "another site"),
        ("/realtime/calls/", [], {}, 405, "use POST"),
    ],
)
async def test_a_request_that_cannot_be_is_refused_in_words(
    application, service, path, parameters, headers, status, words
):
    """With the status that fits; nothing is left of it."""
    refused, _, answer = await Request(application, path, parameters, headers=headers).fetch()

    assert (refused, words in answer["errors"][0]["message"]) == (status, True)
    assert (service.hub.connections, service.hub.subscriptions) == ([], 0)


@pytest.mark.parametrize(
    "path, parameters, status, caching",
    [
        ("/realtime/sse/", [("topic", "boards")], 200, "no-store, no-transform"),
        ("/realtime/sse/", [], 400, "private, no-cache"),
        ("/realtime/topics/boards/", [], 200, "private, no-cache"),
        ("/realtime/topics/nope/", [], 404, "private, no-cache"),
        ("/realtime/calls/", [], 405, "private, no-cache"),
    ],
)
async def test_an_answer_is_no_page_and_no_part_of_another_sites(
    application, path, parameters, status, caching
):
    """Whatever is in it: a browser runs nothing of it and guesses no type; no page and no cache lends it to others."""
    request = Request(application, path, parameters)

    got, headers = await request.start()
    await request.leave()

    assert got == status
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-type"].startswith(("text/event-stream", "application/json"))
    assert headers["cache-control"] == caching


# ---------------------------------------------------------------- calls


def posted(application, body: object, **headers: str) -> Request:
    given = {"content-type": "application/json", **headers}
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(application, "/realtime/calls/", method="POST", headers=given, body=encoded)


async def test_a_call_by_post_is_answered(application):
    """As on a socket, without an id."""
    status, _, answer = await posted(application, {"action": "echo", "args": {"text": "hi"}}).fetch()

    assert (status, answer) == (200, {"ok": {"text": "hi"}})


async def test_what_is_no_number_is_null_in_an_answer(application, connect, monkeypatch):
    """By POST and on a socket."""
    form, everyone = actions["echo"].form, actions["echo"].permission
    answer = {"metres": decimal.Decimal("NaN"), "levels": [float("inf"), 1.5]}
    monkeypatch.setitem(actions, "gauge", Action("gauge", lambda user, data: answer, form, everyone))
    peer = connect()
    await peer.open()

    _, _, posted_answer = await posted(application, {"action": "gauge", "args": {"text": "x"}}).fetch()
    await peer.say("call", id=1, action="gauge", args={"text": "x"})

    assert posted_answer["ok"] == {"metres": None, "levels": [None, 1.5]}
    assert (await peer.hear())["ok"] == posted_answer["ok"]


@pytest.mark.parametrize(
    "body, headers, status",
    [
        ({"action": "nothing"}, {}, 404),
        ({"action": "echo", "args": {}}, {}, 400),
        (b"{", {}, 400),
        (b"[" * 2000, {}, 400),
        (b"x" * 20_000, {}, 400),
        ({"action": "echo"}, {"content-type": "text/plain"}, 415),
        ({"action": "echo"}, {"origin": "https://evil.example"}, 403),
        ({"action": "echo"}, {"cookie": f"{django_settings.SESSION_COOKIE_NAME}=x"}, 403),
    ],
    ids=[
        "no action",
        "bad form",
        "no JSON",
        "deep",
        "long",
        "a form",
        "foreign",
        "cookies without an origin",
    ],
)
async def test_a_call_that_cannot_be_is_refused(application, body, headers, status):
    """A page of another site can send a form, but neither JSON nor our Origin."""
    refused, _, answer = await posted(application, body, **headers).fetch()

    assert (refused, bool(answer.get("error") or answer.get("errors"))) == (status, True)
