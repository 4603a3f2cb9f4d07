"""The call endpoint: actions by POST."""

import decimal
import json

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError

from realtime.actions import Action, actions
from tests.support.transports import Request


def posted(application, body: object, **headers: str) -> Request:
    given = {"content-type": "application/json", **headers}
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request(application, "/realtime/calls/", method="POST", headers=given, body=encoded)


async def test_a_call_by_post_is_answered(application):
    """As on a socket, without an id."""
    status, _, answer = await posted(application, {"action": "echo", "args": {"text": "hi"}}).fetch()

    assert (status, answer) == (200, {"ok": {"text": "hi"}})


async def test_nan_and_infinity_are_null_in_a_reply(application, connect, monkeypatch):
    """By POST and on a socket."""
    form, everyone = actions["echo"].form, actions["echo"].permission
    answer = {"metres": decimal.Decimal("NaN"), "levels": [float("inf"), 1.5]}
    monkeypatch.setitem(actions, "gauge", Action("gauge", lambda user, data: answer, form, everyone))
    peer = connect()
    await peer.open()

    _, _, posted_answer = await posted(application, {"action": "gauge", "args": {"text": "x"}}).fetch()
    await peer.send("call", id=1, action="gauge", args={"text": "x"})

    assert posted_answer["ok"] == {"metres": None, "levels": [None, 1.5]}
    assert (await peer.receive())["ok"] == posted_answer["ok"]


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
async def test_an_impossible_call_is_refused(application, body, headers, status):
    """A page of another site can send a form, but neither JSON nor our Origin."""
    refused, _, answer = await posted(application, body, **headers).fetch()

    assert (refused, bool(answer.get("error") or answer.get("errors"))) == (status, True)


def failing(error: Exception):
    """Return an action that raises an error."""

    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("part", ["action", "user"])
async def test_a_call_in_an_outage_is_answered_503_with_the_time_to_try_again(
    application, staff, sign_in, in_database, lines, monkeypatch, part
):
    """Whether the user or the rows of the action cannot be read; in one line of the log without a traceback."""
    away = failing(OperationalError("connection refused"))
    if part == "user":
        monkeypatch.setattr("realtime.transports.calls.load_user", away)
    action = Action("fails", away, actions["echo"].form, lambda user: True)
    monkeypatch.setitem(actions, "fails", action)
    cookie = f"{django_settings.SESSION_COOKIE_NAME}={await in_database(sign_in, staff)}"

    status, headers, answer = await posted(
        application, {"action": "fails", "args": {"text": "x"}}, cookie=cookie, origin="http://localhost"
    ).fetch()

    assert (status, answer["errors"][0]["code"]) == (503, 4500)
    assert "try again" in answer["errors"][0]["message"]
    assert int(headers["retry-after"]) > 0
    failed = [line for line in lines(name="realtime.connection") if "failed: " in line or "refused: " in line]
    assert len(failed) == 1
    assert "call 'fails' failed: OperationalError" in failed[0]
    assert "Traceback" not in failed[0]


async def test_a_call_whose_action_has_a_mistake_is_answered_500(application, monkeypatch):
    """It does not pass, so there is no time after which to try again."""
    action = Action("fails", failing(ValueError("x")), actions["echo"].form, lambda user: True)
    monkeypatch.setitem(actions, "fails", action)

    status, headers, answer = await posted(application, {"action": "fails", "args": {"text": "x"}}).fetch()

    assert (status, answer["errors"][0]["code"]) == (500, 4500)
    assert "retry-after" not in headers
