"""Tickets: who has no cookies gets one for a password or from a page, and uses it once."""

import asyncio
import base64
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from realtime.access import tickets
from realtime.access.password_attempts import PasswordAttempts
from realtime.access.tickets import BadTicket
from realtime.access.visitors import NOBODY, Visitor, load_user
from realtime.models import Ticket
from tests.conftest import PATIENCE_SECONDS
from tests.support.transports import Request

BROWSER = {"origin": "http://localhost"}


@pytest.fixture
def ticket_for(application, sign_in):
    """Ask for a ticket; return status and answer."""

    async def ask(headers: dict[str, str] | None = None):
        status, _, answer = await Request(
            application, "/realtime/ticket/", method="POST", headers=headers
        ).fetch()
        return status, answer

    return ask


def password(name: str, words: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{words}".encode()).decode()}


async def test_a_password_gets_a_ticket_that_lets_its_user_in(ticket_for, connect, staff, safe):
    """Without an Origin and without a cookie: what a program has."""
    status, answer = await ticket_for(password("staff", "words"))
    peer = connect(origin=None, query=f"ticket={answer['ticket']}")
    await peer.open()

    assert (status, answer["expires_in_seconds"]) == (200, 30)
    assert (await peer.follow(f"entries.{safe.pk}"))["type"] == "snapshot"


async def test_a_page_gets_a_ticket_for_its_session(
    ticket_for, application, staff, sign_in, safe, in_database
):
    """To pass it on; it is worth what the session is worth, and no longer."""
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
        (password("nobody", "words"), 401),
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
async def test_nobody_gets_no_ticket(ticket_for, staff, headers, expected):
    """And is told what would get one."""
    status, answer = await ticket_for(headers)

    assert status == expected
    assert "ticket" not in answer
    assert answer["errors"][0]["message"]


async def test_who_was_deactivated_gets_no_ticket(ticket_for, staff, in_database):
    """By whichever way."""
    await in_database(get_user_model().objects.update, is_active=False)

    assert (await ticket_for(password("staff", "words")))[0] == 401


async def test_passwords_are_taken_only_where_the_settings_say_so(ticket_for, staff, settings):
    """Closed by default: where signing in asks for more than a password, this must not be a way around it."""
    settings.REALTIME |= {"TICKETS_FOR_PASSWORDS": False}

    assert (await ticket_for(password("staff", "words")))[0] == 401


async def test_passwords_cannot_be_tried_from_many_addresses(application, service, staff):
    """A name has its own count."""
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
    """Ten at once; then even the right one waits."""
    service.password_attempts = PasswordAttempts(lambda: 0.0)
    tried = [(await ticket_for(password("staff", f"guess {number}")))[0] for number in range(11)]

    assert tried == [401] * 10 + [429]
    assert (await ticket_for(password("staff", "words")))[0] == 429


async def test_a_ticket_is_good_once(service, staff, in_database):
    """Of many who use it at the same moment one gets in."""
    ticket = await in_database(tickets.issue, Visitor("a" * 32))

    got = await asyncio.gather(
        *(service.reader_threads.run(tickets.redeem, ticket) for _ in range(20)), return_exceptions=True
    )

    assert [visitor for visitor in got if not isinstance(visitor, BadTicket)] == [Visitor("a" * 32)]


def test_a_ticket_that_two_have_read_is_redeemed_by_the_one_that_deletes_it(transactional_db):
    """Both find the ticket; the second one's DELETE then matches no row."""
    ticket = tickets.issue(Visitor("a" * 32))
    redeemed: list[Visitor] = []
    is_first = True

    def redeem_before_the_delete(execute, sql, *arguments):
        nonlocal is_first
        if is_first and sql.startswith("DELETE"):
            is_first = False
            redeemed.append(tickets.redeem(ticket))
        return execute(sql, *arguments)

    with connection.execute_wrapper(redeem_before_the_delete), pytest.raises(BadTicket):
        tickets.redeem(ticket)

    assert redeemed == [Visitor("a" * 32)]


@pytest.mark.parametrize(
    "query", ["ticket=one-of-nobodys", "ticket=%ff%fe", "ticket=" + "x" * 5000, "ticket=%00"]
)
async def test_a_bad_ticket_is_told_so(connect, application, service, lines, query):
    """A socket by its close code, a request by its status; neither as nobody, who may see less."""
    peer = connect(query=query)
    await peer.open()
    (bye,), code = await peer.hear_end()

    assert (bye["code"], code) == (4401, 4401)
    assert "ask for another" in bye["reason"]
    assert query.removeprefix("ticket=") not in str(lines())


async def test_a_bad_ticket_is_401_over_http(application, service):
    """For streams and polls."""
    for path in ("/realtime/sse/", "/realtime/topics/boards/"):
        status, _, answer = await Request(application, path, [("topic", "boards"), ("ticket", "x")]).fetch()
        assert (status, answer["errors"][0]["code"]) == (401, 4401)


def test_a_ticket_is_good_for_seconds(transactional_db):
    """And an old one goes when the next is given."""
    ticket = tickets.issue(Visitor("a" * 32))
    Ticket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(BadTicket):
        tickets.redeem(ticket)
    tickets.issue(NOBODY)
    assert Ticket.objects.count() == 1


def test_the_database_keeps_no_ticket(transactional_db):
    """Who reads it there gets in nowhere."""
    ticket = tickets.issue(Visitor("a" * 32))

    assert ticket not in str(list(Ticket.objects.values()))


async def test_who_came_by_a_ticket_is_as_revocable_as_a_session(
    ticket_for, connect, staff, safe, in_database, settings
):
    """A new password ends what the old one has opened."""
    settings.REALTIME |= {"RECHECK_SECONDS": 0.1}
    _, answer = await ticket_for(password("staff", "words"))
    peer = connect(origin=None, query=urlencode(answer))
    await peer.open()
    await peer.follow(f"entries.{safe.pk}")

    staff.set_password("other words")
    await in_database(staff.save)
    error = await peer.hear_next("error")

    assert (error["code"], error["topic"]) == (4403, f"entries.{safe.pk}")


def test_a_project_with_tokens_of_its_own_gives_tickets(staff):
    """``issue`` takes a login as ``login_for`` makes it."""
    from realtime.access.visitors import login_for

    staff.backend = "django.contrib.auth.backends.ModelBackend"
    ticket = tickets.issue(Visitor(login=login_for(staff)))

    assert load_user(tickets.redeem(ticket)) == staff


async def test_a_ticket_that_cannot_be_read_keeps_the_server_up(connect, service, monkeypatch, lines):
    """Whoever comes with it is told to come back."""
    from django.db import OperationalError

    def fail(ticket: str) -> Visitor:
        raise OperationalError("the database is away")

    monkeypatch.setattr(tickets, "redeem", fail)
    peer = connect(query="ticket=x")
    await peer.open()
    (bye,), code = await peer.hear_end()

    assert (bye["code"], code) == (4500, 4500)
    await peer.disconnect(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in str(lines())
