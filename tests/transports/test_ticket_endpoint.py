"""The ticket endpoint: tickets for a password or a session."""

import asyncio
import base64
import threading
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session

from realtime.access import password_attempts, tickets
from realtime.access.budgets import Budgets
from realtime.access.password_attempts import PasswordAttempts
from realtime.access.visitors import Visitor, load_user
from realtime.models import Ticket
from realtime.service import get_service
from realtime.transports import ticket_endpoint
from tests.conftest import until
from tests.support.transports import Request

BROWSER = {"origin": "http://localhost"}


@pytest.fixture
def ticket_for(application, sign_in):
    """A function that asks for a ticket and returns status and answer."""

    async def ask(headers: dict[str, str] | None = None, client: str = "127.0.0.1"):
        status, _, answer = await Request(
            application, "/realtime/ticket/", method="POST", headers=headers, client=client
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


@pytest.fixture
def stopped_clock(monkeypatch) -> None:
    """Passwords of one moment."""
    monkeypatch.setattr(password_attempts, "attempts", PasswordAttempts(lambda: 0.0))


async def test_passwords_cannot_be_tried_from_many_addresses(ticket_for, staff, stopped_clock):
    """While many guess one name each address has two of them, and the name's owner is let in."""
    for number in range(10):
        for _ in range(10):
            assert (await ticket_for(password("staff", "guess"), f"10.0.0.{number}"))[0] == 401

    tried = [(await ticket_for(password("staff", "guess"), "10.0.1.1"))[0] for _ in range(3)]
    owners = [(await ticket_for(password("staff", "words"), "10.0.1.2"))[0] for _ in range(8)]

    assert tried == [401, 401, 429]
    assert owners == [200] * 8


async def test_passwords_cannot_be_tried_at_will(ticket_for, staff, stopped_clock):
    """Ten at once; then even the right password has to wait, from this address alone."""
    tried = [(await ticket_for(password("staff", f"guess {number}")))[0] for number in range(11)]

    assert tried == [401] * 10 + [429]
    status, answer = await ticket_for(password("staff", "words"))
    assert (status, answer["errors"][0]["message"]) == (429, "Too many wrong passwords. Try again in 5 s.")
    assert (await ticket_for(password("staff", "words"), "10.0.0.1"))[0] == 200


async def test_passwords_that_wait_behind_each_other_are_no_more_than_others(
    ticket_for, staff, stopped_clock
):
    """All are accepted before the first of them has been checked."""
    asked = [ticket_for(password("staff", f"guess {number}")) for number in range(15)]

    statuses = [status for status, _ in await asyncio.gather(*asked)]

    assert sorted(statuses) == [401] * 10 + [429] * 5


async def test_requests_for_tickets_of_one_address_leave_the_threads_to_others(
    ticket_for, staff, settings, service, monkeypatch
):
    """Each has a place among the connections of its address while its session is looked up."""
    settings.REALTIME |= {"MAX_CONNECTIONS_PER_ADDRESS": 1}
    may_end = threading.Event()
    monkeypatch.setattr(ticket_endpoint, "load_user", lambda visitor: may_end.wait(60) and AnonymousUser())
    first = asyncio.create_task(ticket_for(BROWSER))
    await until(lambda: service.places._in_use[("address", "127.0.0.1")] == 1)

    status, _ = await ticket_for(BROWSER)
    may_end.set()

    assert status == 429
    assert (await first)[0] == 401
    assert service.places._in_use == {}


async def test_one_address_leaves_half_of_the_passwords_to_others(ticket_for, staff, settings, monkeypatch):
    """Right ones too, of which any number may be sent: they wait for one thread, which takes half a second for each."""
    settings.REALTIME |= {"MAX_PASSWORDS": 4}
    may_end = threading.Event()
    monkeypatch.setattr(ticket_endpoint, "authenticate", lambda *args, **named: may_end.wait(60) and None)
    service = get_service()

    def ask(address: str) -> asyncio.Task:
        return asyncio.create_task(ticket_for(password("staff", "words"), address))

    waiting = [ask("10.0.0.1"), ask("10.0.0.1")]
    await until(lambda: service.places._in_use[("passwords", "all")] == 2)
    too_many = await ticket_for(password("staff", "words"), "10.0.0.1")
    waiting += [ask("10.0.0.2"), ask("10.0.0.3")]
    await until(lambda: service.places._in_use[("passwords", "all")] == 4)
    full = await ticket_for(password("staff", "words"), "10.0.0.4")
    may_end.set()

    assert too_many[0] == full[0] == 429
    assert "no more than 2 passwords checked at once for one address" in too_many[1]["errors"][0]["message"]
    assert "no more than 4 passwords checked at once by this server" in full[1]["errors"][0]["message"]
    assert [status for status, _ in await asyncio.gather(*waiting)] == [401] * 4
    assert not service.places._in_use


async def test_right_passwords_are_as_many_as_wanted(ticket_for, staff, stopped_clock):
    """A program may ask for a ticket each time that it connects."""
    asked = [(await ticket_for(password("staff", "words")))[0] for _ in range(15)]

    assert asked == [200] * 15


async def test_the_address_is_the_one_that_our_proxy_saw(ticket_for, staff, stopped_clock, settings):
    """Otherwise all clients of a proxy would be one."""
    settings.REALTIME |= {"PROXIES": 1}
    for _ in range(11):
        tried = await ticket_for({**password("staff", "guess"), "x-forwarded-for": "10.0.0.1, 10.0.0.2"})
    assert tried[0] == 429

    others = await ticket_for({**password("staff", "words"), "x-forwarded-for": "10.0.0.2, 10.0.0.3"})

    assert others[0] == 200


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


@pytest.mark.parametrize("by", ["session", "many sessions", "password", "many addresses"])
async def test_a_user_gets_a_limited_number_of_tickets(
    ticket_for, service, staff, sign_in, in_database, settings, by
):
    """Each is a row of the database, and a write for which others wait; other users get theirs."""
    settings.REALTIME = {**settings.REALTIME, "PROCESSING_SHARE": 1000}
    service.tickets = Budgets(0.001, 3)
    other = await in_database(get_user_model().objects.create_user, "other")
    sessions = [await in_database(sign_in, staff) for _ in range(4 if by == "many sessions" else 1)]

    def asked(number: int) -> tuple[dict[str, str], str]:
        client = f"192.0.2.{number}" if by == "many addresses" else "127.0.0.1"
        if by == "password":
            return password("staff", "words"), client
        return {**BROWSER, "cookie": f"sessionid={sessions[number % len(sessions)]}"}, client

    statuses = [(await ticket_for(*asked(number)))[0] for number in range(5)]
    others, _ = await ticket_for({**BROWSER, "cookie": f"sessionid={await in_database(sign_in, other)}"})

    assert statuses == [200, 200, 200, 429, 429]
    assert others == 200
    assert await in_database(Ticket.objects.count) == 4
