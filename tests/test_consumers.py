"""One connection over the whole protocol, as its peer sees it."""

import asyncio
import json
import logging
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session as SessionRow
from django.template import Context, Template

from realtime.actions import Action, actions
from realtime.boards.models import Board, Entry
from realtime.consumers import RealtimeConsumer
from realtime.delivery.rights import recheck
from realtime.engine.position import Position
from realtime.publishing import positions
from realtime.publishing.positions import position_now
from realtime.service import draining
from tests.conftest import until
from tests.support.replica import Replica


@pytest.fixture
def topic(quay) -> str:
    return f"entries.{quay.pk}"


@pytest.fixture
def secret(safe) -> str:
    return f"entries.{safe.pk}"


def labels(snapshot: dict[str, Any]) -> list[str]:
    return [row["row"]["label"] for row in snapshot["rows"]]


# ---------------------------------------------------------------- the handshake


@pytest.mark.parametrize(
    "offered, chosen",
    [
        ([], None),
        (["realtime.v1.json"], "realtime.v1.json"),
        (["realtime.v9.json", "realtime.v1.json"], "realtime.v1.json"),
    ],
    ids=["none", "ours", "ours among others"],
)
async def test_a_subprotocol_is_chosen_from_those_offered(connect, offered, chosen):
    """None asked for means JSON, so that a browser's console just works."""
    peer = connect(subprotocols=offered)

    assert await peer.connect(10) == (True, chosen)
    assert await peer.hear() == {
        "type": "welcome",
        "protocol": "realtime.v1",
        "heartbeat_seconds": 15.0,
        "max_message_bytes": 16384,
        "acknowledge_bytes": 65536,
    }


@pytest.mark.parametrize(
    "handshake, why",
    [
        ({"subprotocols": ["realtime.v9.json"]}, "we speak realtime.v1.json"),
        ({"origin": "https://evil.example"}, "is not ours; see CSRF_TRUSTED_ORIGINS"),
        ({"origin": "null"}, "is not ours"),
        ({"origin": "http://["}, "is not ours"),
        ({"headers": [(b"origin", b"https://evil.example")]}, "is not ours"),
        ({"host": "evil.example", "origin": "http://evil.example"}, "is not in ALLOWED_HOSTS"),
        ({"host": "[", "origin": "http://["}, "is not in ALLOWED_HOSTS"),
        ({"headers": [(b"host", b"127.0.0.1")]}, "is not in ALLOWED_HOSTS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_handshake_from_elsewhere_is_refused(connect, service, lines, handshake, why):
    """Before it is accepted, with one line that says why; nothing is left of it."""
    peer = connect(**handshake)

    is_accepted, _ = await peer.connect(10)

    assert not is_accepted
    (line,) = lines(logging.WARNING)
    assert why in line
    assert "Traceback" not in line
    assert service.hub.connections == []


async def test_a_client_without_origin_is_nobody(connect, staff, sign_in, secret):
    """It is no browser: it may read what is public, whatever cookies it sends."""
    session = await asyncio.to_thread(sign_in, staff)
    peer = connect(origin=None, session=session)
    await peer.open()

    assert (await peer.follow(secret))["code"] == 4403
    assert (await peer.follow("boards"))["type"] == "snapshot"


# ---------------------------------------------------------------- subscribe


async def test_without_a_position_a_snapshot_comes_first(connect, topic, in_database):
    """All rows, in order, as of one position."""
    peer = connect()
    await peer.open()

    snapshot = await peer.follow(topic)

    assert labels(snapshot) == ["Saltmere", "Kelpstone"]
    assert snapshot["position"] == str(await in_database(position_now))
    assert snapshot["more"] is False
    assert "html" not in snapshot["rows"][0]


async def test_html_is_the_rendered_row(connect, topic):
    """Its root element carries key and order; the fields are left out."""
    peer = connect()
    await peer.open()

    first = (await peer.follow(topic, format="html"))["rows"][0]

    assert f'data-key="{first["key"]}"' in first["html"]
    assert f'data-order="{first["order"]}"' in first["html"]
    assert "row" not in first


async def test_with_the_present_position_nothing_is_sent_but_an_answer(connect, topic, in_database):
    """Every subscribe is answered, also by "nothing new"."""
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
    """What is written after the page was rendered, and before it subscribes, comes first, and no more."""
    peer, earlier = connect(), connect()
    await peer.open()
    await earlier.open()
    await earlier.follow(topic)
    await in_database(
        quay.entries.bulk_create, [Entry(board=quay, label=f"ferry {number}") for number in range(10)]
    )
    await earlier.hear()
    request = rf.get("/")
    request.user = AnonymousUser()
    template = Template("{% load realtime %}{% live 'entries' board %}")
    page = await in_database(template.render, Context({"request": request, "board": quay.pk}))
    replica = Replica(topic, format)
    replica.position = Position.parse(page.split('position="')[1].split('"')[0])
    gone = await in_database(quay.entries.get, label="Kelpstone")
    await in_database(Entry.objects.filter(pk=gone.pk).delete)
    new = await in_database(quay.entries.create, label="between")
    now = await in_database(position_now)

    await peer.send_to(text_data=replica.subscription())
    told: list[tuple[str, str]] = []
    while replica.position.offset < now.offset:
        message = await peer.hear()
        assert not replica.receive(json.dumps(message))
        told += [(change["op"], change["key"]) for change in message.get("changes", [])]

    assert sorted(told) == [("delete", str(gone.pk)), ("upsert", str(new.pk))]
    assert replica.snapshots == 0
    assert await peer.receive_nothing(0.1)


async def test_the_first_to_follow_an_older_page_gets_all_rows(connect, quay, topic, in_database):
    """The server holds nothing of the topic's past: a snapshot, as of now."""
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
    """The client starts again from there; nothing of it is an error."""
    epoch = (await in_database(lambda: log.state)).epoch
    peer = connect()
    await peer.open()

    assert (await peer.follow(topic, position.format(epoch=epoch)))["type"] == "snapshot"


@pytest.mark.parametrize("position", ["", "x", "a.b", "a.-1", "a.1.2", "é.\u0661", "a." + "9" * 30])
async def test_a_position_that_no_server_gave_is_a_bad_message(connect, topic, position):
    """It names the topic, which is not subscribed then."""
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
async def test_a_topic_that_one_may_not_have_is_refused(connect, lines, topic, code):
    """By a message that names it, and one line; a board that is not there is refused like a hidden one."""
    peer = connect()
    await peer.open()

    error = await peer.follow(topic)

    assert (error["type"], error["code"]) == ("error", code)
    (line,) = lines(logging.WARNING)
    assert "Traceback" not in line
    assert len(line) < 500


async def test_a_key_too_large_for_the_database_is_no_fault_of_ours(connect, live, in_database, lines):
    """A feed open to everyone is asked for a row number that no integer column holds."""
    await in_database(live, Entry, name="open", topic_field="board_id")
    peer = connect()
    await peer.open()

    await peer.follow("open.99999999999999999999")

    assert not any("Traceback" in line for line in lines())


async def test_a_limited_topic_moves_up_when_a_row_leaves(connect, live, quay, in_database):
    """And down when one comes: who follows hears both halves in one message."""
    await in_database(
        live, Entry, name="latest", topic_field="board_id", fields=["label"], ordering=["-position"], limit=2
    )
    peer = connect()
    await peer.open()
    replica = Replica(f"latest.{quay.pk}")
    replica.receive(json.dumps(await peer.follow(replica.topic)))
    first = list(replica.keys)

    new = await in_database(quay.entries.create, label="new", position=9)
    replica.receive(json.dumps(await peer.hear_next("changes")))
    second = list(replica.keys)
    await in_database(new.delete)
    replica.receive(json.dumps(await peer.hear_next("changes")))

    assert len(first) == 2
    assert second[1:] == first[:1]
    assert replica.keys == first
    assert replica.snapshots == 1


async def test_changes_arrive(connect, quay, topic, in_database):
    """An insert, an update, a move out of sight and a delete, each after the one before."""
    peer = connect()
    await peer.open()
    replica = Replica(topic)
    assert not replica.receive(json.dumps(await peer.follow(topic)))

    new = await in_database(quay.entries.create, label="new", position=-1)
    inserted = await peer.hear()
    await in_database(Entry.objects.filter(pk=new.pk).update, value="changed")
    updated = await peer.hear()
    await in_database(Entry.objects.filter(pk=new.pk).update, is_visible=False)
    hidden = await peer.hear()

    for message in (inserted, updated, hidden):
        assert not replica.receive(json.dumps(message))
    assert inserted["changes"][0]["row"]["label"] == "new"
    assert updated["changes"][0]["row"]["value"] == "changed"
    assert hidden["changes"] == [{"op": "delete", "key": str(new.pk)}]
    assert str(new.pk) not in replica.keys


async def test_subscribing_again_replaces_the_subscription(connect, quay, topic, in_database):
    """One message a change, in the format asked for last."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)

    await peer.follow(topic, format="html")
    await in_database(quay.entries.create, label="once")

    (change,) = (await peer.hear())["changes"]
    assert "html" in change
    assert "row" not in change
    assert await peer.receive_nothing(0.1)


async def test_unsubscribing_is_silence(connect, quay, topic, in_database):
    """Of that topic; the others go on."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    await peer.follow("boards")
    await peer.say("unsubscribe", topic=topic)
    await peer.say("unsubscribe", topic="never followed")

    await in_database(quay.entries.create, label="unheard")
    await in_database(Board.objects.filter(pk=quay.pk).update, title="heard")

    assert (await peer.hear())["topic"] == "boards"
    assert await peer.receive_nothing(0.1)


async def test_who_leaves_and_returns_at_once_misses_nothing(connect, quay, topic, in_database):
    """As a page does that re-renders its element."""
    peer = connect()
    await peer.open()
    position = (await peer.follow(topic))["position"]

    for _ in range(5):
        await peer.say("unsubscribe", topic=topic)
        await peer.say("subscribe", topic=topic, position=position)
    answers = [await peer.hear() for _ in range(5)]
    await in_database(quay.entries.create, label="after it all")

    assert [answer["changes"] for answer in answers] == [[]] * 5
    assert len((await peer.hear())["changes"]) == 1
    assert await peer.receive_nothing(0.1)


async def test_one_connection_follows_so_many_topics_and_no_more(connect, settings, topic):
    """One too many is refused; one may be followed again, and one left makes room."""
    settings.REALTIME = {**settings.REALTIME, "MAX_SUBSCRIPTIONS": 2}
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    await peer.follow("boards")

    refused = await peer.follow(topic.replace("entries", "board"))
    again = await peer.follow("boards")
    await peer.say("unsubscribe", topic=topic)
    then = await peer.follow(topic.replace("entries", "board"))

    assert (refused["type"], refused["code"]) == ("error", 4529)
    assert [again["type"], then["type"]] == ["snapshot", "snapshot"]


# ---------------------------------------------------------------- who may read


async def test_a_hidden_board_leaks_nothing(connect, safe, secret, in_database):
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
    """With its key and nothing else; what happens to it there is not told."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    entry = await in_database(quay.entries.first)

    await in_database(Entry.objects.filter(pk=entry.pk).update, board=safe, value="s3cret")
    changes = (await peer.hear())["changes"]
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


def demote(user: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(is_staff=False)


def deactivate(user: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(is_active=False)


def sign_out(user: Any) -> None:
    SessionRow.objects.all().delete()


def change_password(user: Any) -> None:
    user.set_password("other words")
    user.save()


LOSSES = [demote, deactivate, sign_out, change_password]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
async def test_a_right_that_is_taken_away_ends_its_subscriptions(
    connect, settings, staff, sign_in, safe, secret, in_database, lose
):
    """Within seconds, with an error that says so; what is public goes on."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.follow(secret)
    await peer.follow("boards")

    await in_database(lose, staff)
    error = await peer.hear()
    await in_database(safe.entries.create, label="unseen")

    assert (error["type"], error["code"], error["topic"]) == ("error", 4403, secret)
    assert await peer.receive_nothing(0.2)
    assert (await peer.follow("boards"))["type"] == "snapshot"


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
async def test_a_right_that_is_taken_away_opens_no_new_topic(
    connect, service, settings, staff, sign_in, secret, in_database, lose
):
    """A connection that has been open since is asked anew who it is: no snapshot, not even one."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.follow("boards")
    await in_database(lose, staff)
    await recheck(service.hub, service.reader_threads)

    answer = await peer.follow(secret)

    assert answer.get("code") == 4403, "the board's rows were sent"


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
async def test_a_right_that_is_taken_away_permits_no_more_calls(
    connect, service, settings, staff, sign_in, in_database, monkeypatch, lose
):
    """Nor does a call of before vouch for who calls now."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    staff_only = Action(
        "staff_only", lambda user, data: "done", actions["echo"].form, lambda user: user.is_staff
    )
    monkeypatch.setitem(actions, "staff_only", staff_only)
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.say("call", id=1, action="staff_only", args={"text": "x"})
    assert (await peer.hear())["ok"] == "done"
    await in_database(lose, staff)
    await recheck(service.hub, service.reader_threads)

    await peer.say("call", id=2, action="staff_only", args={"text": "x"})

    assert (await peer.hear())["error"]["code"] == 4403


async def test_a_feed_that_cannot_say_who_may_read_keeps_no_one_elses_rights(
    connect, settings, staff, sign_in, live, secret, in_database, monkeypatch
):
    """Its own question fails; the others are asked all the same."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    feed = await in_database(live, Entry, name="aaa_moody")
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.follow("aaa_moody")
    await peer.follow(secret)

    def fail(user: Any, key: Any) -> bool:
        raise RuntimeError("moody")

    monkeypatch.setattr(feed, "can_subscribe", fail)
    await in_database(demote, staff)

    async with asyncio.timeout(3):
        await peer.hear_next("error", secret)


async def test_a_feed_that_cannot_say_who_may_read_refuses(connect, live, in_database, monkeypatch, lines):
    """An error of ours, told as such, with a traceback in the log; the connection goes on."""
    feed = await in_database(live, Entry, name="moody")
    monkeypatch.setattr(feed, "can_subscribe", lambda user, key: 1 / 0)
    peer = connect()
    await peer.open()

    assert (await peer.follow("moody"))["code"] == 4500
    assert (await peer.follow("boards"))["type"] == "snapshot"
    assert any("ZeroDivisionError" in line for line in lines(logging.ERROR))


# ---------------------------------------------------------------- calls


async def test_a_call_gets_one_reply(connect):
    """With its id, in order."""
    peer = connect()
    await peer.open()

    for number in (1, 2**40, -3):
        await peer.say("call", id=number, action="echo", args={"text": f" {number} "})

    assert [await peer.hear() for _ in range(3)] == [
        {"type": "reply", "id": number, "ok": {"text": f" {number} "}} for number in (1, 2**40, -3)
    ]


@pytest.mark.parametrize(
    "action, arguments, code, fields",
    [
        ("echo", {}, 4400, {"text": ["This field is required."]}),
        ("echo", {"text": "x" * 1001}, 4400, ...),
        ("no such", {}, 4404, None),
        ("staff_only", {"text": "x"}, 4403, None),
        ("broken", {"text": "x"}, 4500, None),
        ("unspeakable", {"text": "x"}, 4500, None),
    ],
    ids=["missing", "too long", "unknown", "forbidden", "failing", "an answer that is no JSON"],
)
async def test_a_call_that_is_not_carried_out_says_why(
    connect, monkeypatch, lines, action, arguments, code, fields
):
    """The reply carries a code, and the form's words for each argument; the connection goes on."""
    form, everyone = actions["echo"].form, lambda user: True
    for known in (
        Action("staff_only", lambda user, data: "done", form, lambda user: user.is_staff),
        Action("broken", lambda user, data: 1 / 0, form, everyone),
        Action("unspeakable", lambda user, data: object(), form, everyone),
    ):
        monkeypatch.setitem(actions, known.name, known)
    peer = connect()
    await peer.open()

    await peer.say("call", id=7, action=action, args=arguments)
    reply = await peer.hear()

    assert (reply["type"], reply["id"], reply["error"]["code"]) == ("reply", 7, code)
    if fields is None:
        assert "fields" not in reply["error"]
    elif fields is not ...:
        assert reply["error"]["fields"] == fields
    assert "division" not in reply["error"]["message"]
    assert any("Traceback" in line for line in lines()) == (code == 4500)
    await peer.say("ping")
    assert (await peer.hear())["type"] == "heartbeat"


async def test_what_a_call_changes_streams_back(connect, quay, topic, monkeypatch):
    """Like any other write."""
    write = Action(
        "write",
        lambda user, data: quay.entries.create(label=data["text"]).pk,
        actions["echo"].form,
        lambda user: True,
    )
    monkeypatch.setitem(actions, "write", write)
    peer = connect()
    await peer.open()
    await peer.follow(topic)

    await peer.say("call", id=1, action="write", args={"text": "called"})
    first, second = await peer.hear(), await peer.hear()

    by_type = {message["type"]: message for message in (first, second)}
    assert by_type["changes"]["changes"][0]["key"] == str(by_type["reply"]["ok"])


# ---------------------------------------------------------------- heartbeats


async def test_a_ping_is_answered_with_the_positions_reached(connect, quay, topic, in_database):
    """After the changes that led there."""
    peer = connect()
    await peer.open()
    await peer.say("ping")
    empty = await peer.hear()
    await peer.follow(topic)
    await in_database(quay.entries.create, label="new")
    changes = await peer.hear()

    await peer.say("ping")

    assert empty == {"type": "heartbeat", "positions": {}}
    assert await peer.hear() == {"type": "heartbeat", "positions": {topic: changes["position"]}}


async def test_heartbeats_come_by_themselves(connect, settings):
    """However quiet the topics are."""
    settings.REALTIME = {**settings.REALTIME, "HEARTBEAT_SECONDS": 0.15}
    peer = connect()
    await peer.open()

    assert [(await peer.hear())["type"] for _ in range(3)] == ["heartbeat"] * 3


# ---------------------------------------------------------------- bad messages

BAD = {
    "nothing": "",
    "no JSON": "hello",
    "a number": "5",
    "a list": "[]",
    "null": "null",
    "no type": "{}",
    "an unknown type": '{"type":"explode"}',
    "a server's type": '{"type":"welcome"}',
    "a type of another type": '{"type":5}',
    "no topic": '{"type":"subscribe"}',
    "a topic of another type": '{"type":"subscribe","topic":5}',
    "an unknown format": '{"type":"subscribe","topic":"boards","format":"xml"}',
    "a position of another type": '{"type":"subscribe","topic":"boards","position":5}',
    "no id": '{"type":"call","action":"echo"}',
    "an id of another type": '{"type":"call","id":"1","action":"echo"}',
    "arguments of another type": '{"type":"call","id":1,"action":"echo","args":[]}',
    "too deep": '{"type":"call","id":1,"action":"echo","args":{"a":' + "[" * 5000 + "]" * 5000 + "}}",
    "half a surrogate": '{"type":"unsubscribe","topic":"\\ud800"}',
    "two messages": '{"type":"ping"}{"type":"ping"}',
    "a raw control character": '{"type":"unsubscribe","topic":"\n"}',
    "lines of a log": '{"type":"x\\n2026-01-01 ERROR realtime: forged"}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
async def test_a_bad_message_is_answered_and_logged_in_one_line(connect, lines, text):
    """No traceback, no line break of the client's; the connection goes on."""
    peer = connect()
    await peer.open()

    await peer.send_input({"type": "websocket.receive", "text": text})
    error = await peer.hear()

    assert (error["type"], error["code"]) == ("error", 4400)
    (line,) = lines(logging.WARNING)
    assert "\n" not in line
    assert len(line) < 500
    await peer.say("ping")
    assert (await peer.hear())["type"] == "heartbeat"


async def test_a_binary_message_is_a_bad_one(connect, lines):
    """There is a subprotocol for text alone."""
    peer = connect()
    await peer.open()

    await peer.send_to(bytes_data=b'{"type":"ping"}')

    assert (await peer.hear())["code"] == 4400
    assert len(lines(logging.WARNING)) == 1


async def test_ten_bad_messages_end_the_connection(connect, lines):
    """Each is answered; then a bye, and the close with its code."""
    peer = connect()
    await peer.open()

    for _ in range(15):
        await peer.send_to(text_data="nonsense")
    messages, code = await peer.hear_end()

    assert [message["type"] for message in messages] == ["error"] * 10 + ["bye"]
    assert (messages[-1]["code"], code) == (4400, 4400)
    assert len(lines(logging.WARNING)) == 10


@pytest.mark.parametrize("excess, ends", [(0, False), (1, True), (1_000_000, True)])
async def test_a_message_may_be_16_kib_long(connect, excess, ends):
    """In bytes; one more and the connection ends."""
    empty = json.dumps({"type": "unsubscribe", "topic": ""})
    text = json.dumps({"type": "unsubscribe", "topic": "x" * (16 * 1024 - len(empty) + excess)})
    peer = connect()
    await peer.open()

    await peer.send_to(text_data=text)
    await peer.say("ping")

    if ends:
        messages, code = await peer.hear_end()
        assert code == 4400
        assert messages[-1]["type"] == "bye"
    else:
        assert (await peer.hear())["type"] == "heartbeat"


async def test_one_that_misbehaves_disturbs_no_other(connect, quay, topic, in_database):
    """Its neighbour hears the same as before, once."""
    good, bad = connect(), connect()
    await good.open()
    await bad.open()
    await good.follow(topic)
    await bad.follow(topic)

    for _ in range(12):
        await bad.send_to(text_data="nonsense")
    _, code = await bad.hear_end()
    await in_database(quay.entries.create, label="new")

    assert code == 4400
    assert (await good.hear())["changes"][0]["row"]["label"] == "new"
    assert await good.receive_nothing(0.1)


# ---------------------------------------------------------------- the end


async def test_every_event_is_one_line(connect, topic, lines):
    """Open, each message, close with its code, under the connection's name."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    await peer.say("unsubscribe", topic=topic)
    await peer.say("call", id=1, action="echo", args={"text": "private words"})
    await peer.hear()
    await peer.disconnect(4321)

    name, *words = [line.partition(" ")[::2] for line in lines(logging.INFO, "realtime.connection")]
    assert name[1].startswith("open from ")
    assert [line for _, line in words][:3] == [
        f"message subscribe '{topic}' from None",
        f"message unsubscribe '{topic}'",
        "message call 'echo'",
    ]
    assert words[3][1].startswith("close 4321 after ")
    assert len(words) == 4
    assert {connection for connection, _ in [name, *words]} == {name[0]}
    assert not any("private words" in line for line in lines())


async def test_who_has_gone_leaves_nothing(connect, service, topic):
    """No connection, no subscriber, no writer task."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)
    assert len(service.hub.connections) == 1

    await peer.disconnect()

    assert service.hub.connections == []
    assert service.hub._shared[topic].subscribers == set()
    await until(lambda: not [one for one in asyncio.all_tasks() if "writer" in one.get_name()])


async def test_a_cancelled_connection_leaves_nothing(connect, service, topic):
    """daphne cancels what does not end by itself."""
    peer = connect()
    await peer.open()
    await peer.follow(topic)

    peer.future.cancel()
    await asyncio.gather(peer.future, return_exceptions=True)

    assert service.hub.connections == []
    assert service.hub._shared[topic].subscribers == set()
    await until(lambda: not [one for one in asyncio.all_tasks() if "writer" in one.get_name()])


async def test_a_stopping_server_says_when_to_come_back(connect, service, topic):
    """To each its own moment, then the close; twice is once."""
    peers = [connect() for _ in range(3)]
    for peer in peers:
        await peer.open()
    await peers[0].follow(topic)

    await service.stop()
    await service.stop()

    for peer in peers:
        (bye,), code = await peer.hear_end()
        assert (bye["type"], bye["code"], code) == ("bye", 4512, 4512)
        assert 0 <= bye["retry_after_seconds"] <= 5


async def test_who_comes_while_the_server_stops_is_not_kept(connect, service, lines):
    """It is refused, or told to come back: never left with a server that has ended."""
    await service.stop()
    peer = connect()

    is_accepted, _ = await peer.connect(10)
    if is_accepted:
        _, code = await peer.hear_end()
        assert code == 4512

    assert not any("Traceback" in line for line in lines())


class SlowSocket:
    """A server's side of a socket whose client takes its time: each message waits until it is taken."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.is_waiting, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_go_on.set()

    async def send(self, event: dict[str, Any]) -> None:
        self.is_waiting.set()
        await self.may_go_on.wait()
        self.sent.append(event)


async def test_the_bye_is_said_also_to_who_is_being_written_to(service, topic):
    """A server that stops in the middle of a slow write still says why, before it closes."""
    scope = {
        "type": "websocket", "path": "/realtime/ws/", "subprotocols": [],
        "headers": [(b"host", b"localhost"), (b"origin", b"http://localhost")],
    }  # fmt: skip
    socket = SlowSocket()
    running = asyncio.create_task(RealtimeConsumer.as_asgi()(scope, socket.incoming.get, socket.send))
    await socket.incoming.put({"type": "websocket.connect"})
    await until(lambda: len(socket.sent) == 2)  # accepted and welcomed
    socket.may_go_on.clear()
    socket.is_waiting.clear()
    await socket.incoming.put({"type": "websocket.receive", "text": '{"type":"ping"}'})
    await asyncio.wait_for(socket.is_waiting.wait(), 10)

    for connection in service.hub.connections:
        connection.end(draining())
    socket.may_go_on.set()
    await until(lambda: socket.sent[-1]["type"] == "websocket.close")

    texts = [json.loads(event["text"])["type"] for event in socket.sent if event["type"] == "websocket.send"]
    assert texts == ["welcome", "heartbeat", "bye"]
    await socket.incoming.put({"type": "websocket.disconnect", "code": 4512})
    await running


async def test_a_new_epoch_reaches_every_page_as_a_snapshot(connect, topic, in_database):
    """Nothing that a page holds compares with it."""
    peer = connect()
    await peer.open()
    before = await peer.follow(topic)

    await in_database(positions.begin_epoch)

    after = await peer.hear_next("snapshot", topic)
    assert after["position"].split(".")[0] != before["position"].split(".")[0]
    assert labels(after) == labels(before)


async def test_a_storm_of_returning_clients_is_a_few_questions_to_the_database(
    connect, service, topic, monkeypatch
):
    """From a cold start, each with the position it had: rows, rights and positions are asked for once for all."""
    asked: list[str] = []
    run = service.reader_threads.run

    async def counted(function, *arguments):
        asked.append(function.__name__)
        return await run(function, *arguments)

    first = connect()
    await first.open()
    position = (await first.follow(topic))["position"]
    monkeypatch.setattr(service.reader_threads, "run", counted)
    service.hub._shared.clear()
    peers = [connect() for _ in range(100)]
    await asyncio.gather(*(peer.open() for peer in peers))

    answers = await asyncio.gather(*(peer.follow(topic, position) for peer in peers))

    assert {answer["type"] for answer in answers} == {"changes"}
    assert asked.count("read_topic") == 1
    assert len([name for name in asked if name != "tail"]) <= 10
