"""The ticket endpoint: tickets for a password or a session."""

import base64
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session

from realtime.access import tickets
from realtime.access.password_attempts import PasswordAttempts
from realtime.access.visitors import Visitor, load_user
from tests.support.transports import Request

BROWSER = {"origin": "http://localhost"}


@pytest.fixture
def ticket_for(application, sign_in):
    """A function that asks for a ticket and returns status and answer."""

    async def ask(headers: dict[str, str] | None = None):
        status, _, answer = await Request(
            application, "/realtime/ticket/", method="POST", headers=headers
        ).fetch()
        return status, answer

    return ask


def password(name: str, words: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{words}".encode()).decode()}


async def test_a_ticket_for_a_password_identifies_its_user(ticket_for, connect, staff, safe):
    """Without an Origin and without a cookie, as programs connect."""
    status, answer = await ticket_for(password("staff", "words"))
    peer = connect(origin=None, query=f"ticket={answer['ticket']}")
    await peer.open()

    assert (status, answer["expires_in_seconds"]) == (200, 30)
    assert (await peer.follow(f"entries.{safe.pk}"))["type"] == "snapshot"


async def test_a_page_gets_a_ticket_for_its_session(
    ticket_for, application, staff, sign_in, safe, in_database
):
    """To pass it on; it is valid no longer than the session."""
    key = await in_database(sign_in, staff)
    _, answer = await ticket_for({**BROWSER, "cookie": f"sessionid={key}"})

    parameters = [("topic", f"entries.{safe.pk}"), ("ticket", answer["ticket"])]
    stream = Request(application, "/realtime/sse/", parameters)
    status, _ = await stream.start()
    await stream.leave()

    assert status == 200
    late = await in_database(tickets.issue, Visitor(key))
    await in_database(Session.objects.all().delete)
    assert (await in_database(load_user, await in_database(tickets.redeem, late))).is_anonymous


@pytest.mark.parametrize(
    "headers, expected",
    [
        ({}, 401),
        (BROWSER, 401),
        (password("staff", "other words"), 401),
        (password("anonymous", "words"), 401),
        (password("sta\0ff", "words"), 401),
        ({"authorization": "Basic !!!"}, 401),
        ({"authorization": "Basic " + base64.b64encode(b"\xff\xfe:").decode()}, 401),
        ({"authorization": "Basic \xe9"}, 401),
        ({"authorization": "Bearer abc"}, 401),
        ({**BROWSER, "cookie": "sessionid=" + "x" * 32}, 401),
        ({"cookie": "sessionid=" + "x" * 32}, 403),
        ({"origin": "http://evil.example", **password("staff", "words")}, 403),
        ({"sec-fetch-site": "cross-site", **password("staff", "words")}, 403),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_client_without_valid_credentials_gets_no_ticket(ticket_for, staff, headers, expected):
    """The error says what would be accepted."""
    status, answer = await ticket_for(headers)

    assert status == expected
    assert "ticket" not in answer
    assert answer["errors"][0]["message"]


async def test_a_deactivated_user_gets_no_ticket(ticket_for, staff, in_database):
    """Even with the right password."""
    await in_database(get_user_model().objects.update, is_active=False)

    assert (await ticket_for(password("staff", "words")))[0] == 401


async def test_passwords_are_accepted_only_if_the_settings_say_so(ticket_for, staff, settings):
    """Off by default: if signing in requires more than a password, this must not bypass it."""
    settings.REALTIME |= {"TICKETS_FOR_PASSWORDS": False}

    assert (await ticket_for(password("staff", "words")))[0] == 401


async def test_passwords_cannot_be_tried_from_many_addresses(application, service, staff):
    """Attempts are counted by name, too."""
    service.password_attempts = PasswordAttempts(lambda: 0.0)
    found = []
    for number in range(11):
        request = Request(
            application, "/realtime/ticket/", method="POST", headers=password("staff", f"guess {number}"),
            client=f"10.0.0.{number}",
        )  # fmt: skip
        found.append((await request.fetch())[0])

    assert found == [401] * 10 + [429]


async def test_passwords_cannot_be_tried_at_will(ticket_for, service, staff):
    """Ten at once; then even the right password has to wait."""
    service.password_attempts = PasswordAttempts(lambda: 0.0)
    tried = [(await ticket_for(password("staff", f"guess {number}")))[0] for number in range(11)]

    assert tried == [401] * 10 + [429]
    assert (await ticket_for(password("staff", "words")))[0] == 429


async def test_rights_by_a_ticket_are_taken_away_like_those_by_a_session(
    ticket_for, connect, staff, safe, in_database, settings
):
    """A changed password ends the connections that the old one opened."""
    settings.REALTIME |= {"RECHECK_SECONDS": 0.1}
    _, answer = await ticket_for(password("staff", "words"))
    peer = connect(origin=None, query=urlencode(answer))
    await peer.open()
    await peer.follow(f"entries.{safe.pk}")

    staff.set_password("other words")
    await in_database(staff.save)
    error = await peer.receive_next("error")

    assert (error["code"], error["topic"]) == (4403, f"entries.{safe.pk}")
