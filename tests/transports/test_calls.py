"""Calls: one reply each, the rights of the moment, and their limits."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from django import forms

from realtime.access.budgets import Budgets
from realtime.actions import Action, actions
from realtime.delivery.rights import recheck
from tests.conftest import PATIENCE_SECONDS, until
from tests.support.transports import Request


async def test_a_call_gets_one_reply(connect):
    """With its id, in order."""
    peer = connect()
    await peer.open()

    for number in (1, 2**40, -3):
        await peer.send("call", id=number, action="echo", args={"text": f" {number} "})

    assert [await peer.receive() for _ in range(3)] == [
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
async def test_the_reply_to_a_failed_call_gives_the_reason(
    connect, monkeypatch, lines, action, arguments, code, fields
):
    """A code, and the form's errors for each argument; the connection continues."""
    form, everyone = actions["echo"].form, lambda user: True
    for known in (
        Action("staff_only", lambda user, data: "done", form, lambda user: user.is_staff),
        Action("broken", lambda user, data: 1 / 0, form, everyone),
        Action("unspeakable", lambda user, data: object(), form, everyone),
    ):
        monkeypatch.setitem(actions, known.name, known)
    peer = connect()
    await peer.open()

    await peer.send("call", id=7, action=action, args=arguments)
    reply = await peer.receive()

    assert (reply["type"], reply["id"], reply["error"]["code"]) == ("reply", 7, code)
    if fields is None:
        assert "fields" not in reply["error"]
    elif fields is not ...:
        assert reply["error"]["fields"] == fields
    assert "division" not in reply["error"]["message"]
    assert any("Traceback" in line for line in lines()) == (code == 4500)
    await peer.send("ping")
    assert (await peer.receive())["type"] == "heartbeat"


async def test_changes_made_by_a_call_are_sent_to_subscribers(connect, quay, topic, monkeypatch):
    """Like those of any other writer."""
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

    await peer.send("call", id=1, action="write", args={"text": "called"})
    first, second = await peer.receive(), await peer.receive()

    by_type = {message["type"]: message for message in (first, second)}
    assert by_type["changes"]["changes"][0]["key"] == str(by_type["reply"]["ok"])


async def test_a_right_that_is_taken_away_permits_no_more_calls(
    connect, service, settings, staff, sign_in, in_database, monkeypatch, lose
):
    """An earlier call of the user gives no right either."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.05}
    staff_only = Action(
        "staff_only", lambda user, data: "done", actions["echo"].form, lambda user: user.is_staff
    )
    monkeypatch.setitem(actions, "staff_only", staff_only)
    peer = connect(session=await asyncio.to_thread(sign_in, staff))
    await peer.open()
    await peer.send("call", id=1, action="staff_only", args={"text": "x"})
    assert (await peer.receive())["ok"] == "done"
    await in_database(lose, staff)
    await recheck(service.hub, service.reader_threads)

    await peer.send("call", id=2, action="staff_only", args={"text": "x"})

    assert (await peer.receive())["error"]["code"] == 4403


# ---------------------------------------------------------------- limits


@pytest.fixture
def busy(monkeypatch) -> Iterator[threading.Event]:
    """An action that anyone may call, and that runs until the event is set."""
    may_end = threading.Event()

    def wait(user, data):
        may_end.wait(PATIENCE_SECONDS)

    monkeypatch.setitem(actions, "wait", Action("wait", wait, forms.Form, lambda user: True))
    yield may_end
    may_end.set()


def post_call(application, **headers: str) -> Request:
    body = b'{"action": "wait"}'
    given = {"content-type": "application/json", **headers}
    return Request(application, "/realtime/calls/", method="POST", headers=given, body=body)


async def test_calls_of_one_address_leave_room_for_others(application, connect, settings, service, busy):
    """Over sockets or by POST, and whatever sessions they make up."""
    settings.REALTIME |= {"MAX_CALLS_PER_CALLER": 2, "ACTION_THREADS": 4}
    first = connect()
    await first.open()
    await first.send("call", id=1, action="wait")
    made_up = post_call(application, origin="http://localhost", cookie="sessionid=" + "x" * 32)
    calls = [asyncio.create_task(made_up.fetch())]
    await until(lambda: service.places._in_use[("caller", "127.0.0.1")] == 2)

    second = connect()
    await second.open()
    await second.send("call", id=2, action="wait")
    refused = await second.receive()
    status, headers, _ = await post_call(application, origin="http://localhost", cookie="sessionid=y").fetch()

    assert refused["error"]["code"] == 4529
    assert status == 429
    assert int(headers["retry-after"]) > 0
    busy.set()
    assert (await first.receive())["id"] == 1
    assert (await calls[0])[0] == 200
    await second.send("call", id=3, action="wait")
    assert "error" not in await second.receive()


async def test_calls_of_one_user_are_counted_over_sessions(
    application, settings, service, busy, staff, sign_in, in_database
):
    """A user who signs in twice is one caller."""
    settings.REALTIME |= {"MAX_CALLS_PER_CALLER": 1, "ACTION_THREADS": 4}
    one, other = [f"sessionid={await in_database(sign_in, staff)}" for _ in range(2)]
    under_way = asyncio.create_task(post_call(application, origin="http://localhost", cookie=one).fetch())
    await until(lambda: service.places._in_use[("caller", staff.pk)] == 1)

    status, _, _ = await post_call(application, origin="http://localhost", cookie=other).fetch()

    assert status == 429
    busy.set()
    assert (await under_way)[0] == 200


# ---------------------------------------------------------------- arguments

MANY = '{"x": [' + ",".join(["[]"] * 5000) + "]}"


async def test_calls_are_limited_before_their_arguments_are_looked_at(
    application, connect, service, settings
):
    """Decoding them costs more than all that comes before it."""
    settings.REALTIME |= {"MAX_CALLS": 0}
    peer = connect()
    await peer.open()

    await peer.send_to(text_data=f'{{"type": "call", "id": 1, "action": "echo", "args": {MANY}}}')
    refused = await peer.receive()
    body = f'{{"action": "echo", "args": {MANY}}}'.encode()
    request = Request(
        application,
        "/realtime/calls/",
        method="POST",
        headers={"content-type": "application/json"},
        body=body,
    )

    assert refused["error"]["code"] == 4529
    assert (await request.fetch())[0] == 429


async def test_arguments_beyond_the_bounds_are_a_bad_message(application, connect):
    """On a socket, where such messages are counted, and by POST."""
    peer = connect()
    await peer.open()

    for _ in range(10):
        await peer.send_to(text_data=f'{{"type": "call", "id": 1, "action": "echo", "args": {MANY}}}')
    messages, code = await peer.receive_rest()
    body = f'{{"action": "echo", "args": {MANY}}}'.encode()
    request = Request(
        application,
        "/realtime/calls/",
        method="POST",
        headers={"content-type": "application/json"},
        body=body,
    )
    status, _, answer = await request.fetch()

    assert [message["code"] for message in messages] == [4400] * 11  # the last one is the bye
    assert "more than 1000 values" in messages[0]["message"]
    assert code == 4400
    assert (status, answer["errors"][0]["code"]) == (400, 4400)


async def test_a_call_is_paid_from_the_share_of_its_address(connect, service, monkeypatch):
    """Also if the action fails: the thread was busy."""

    def work(user, data):
        end = time.thread_time() + 0.05
        while time.thread_time() < end:
            pass
        raise ValueError("at last")

    monkeypatch.setitem(actions, "work", Action("work", work, forms.Form, lambda user: True))
    service.processing = Budgets(1, 0.04, lambda: 0.0)
    peer = connect()
    await peer.open()

    await peer.send("call", id=1, action="work")

    assert (await peer.receive())["error"]["code"] == 4500
    assert service.processing.seconds_until("127.0.0.1", 0) > 0
    assert service.processing.seconds_until("10.0.0.1", 0) == 0
