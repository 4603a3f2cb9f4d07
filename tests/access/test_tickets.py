"""Tickets: each is valid once, for seconds, over every transport."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from realtime.access import tickets
from realtime.access.tickets import BadTicket
from realtime.access.visitors import ANONYMOUS, Visitor, load_user
from realtime.models import Ticket
from tests.conftest import PATIENCE_SECONDS
from tests.support.transports import Request


async def test_a_ticket_is_valid_once(service, staff, in_database):
    """If many clients use it at the same moment, one succeeds."""
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
async def test_a_bad_ticket_closes_a_socket_with_a_reason(connect, application, service, lines, query):
    """It is not accepted as anonymous instead, which would show less without a reason."""
    peer = connect(query=query)
    await peer.open()
    (bye,), code = await peer.receive_rest()

    assert (bye["code"], code) == (4401, 4401)
    assert "ask for another" in bye["reason"]
    assert query.removeprefix("ticket=") not in str(lines())


async def test_a_bad_ticket_is_401_over_http(application, service):
    """For streams and polls."""
    for path in ("/realtime/sse/", "/realtime/topics/boards/"):
        status, _, answer = await Request(application, path, [("topic", "boards"), ("ticket", "x")]).fetch()
        assert (status, answer["errors"][0]["code"]) == (401, 4401)


def test_a_ticket_is_valid_for_seconds(transactional_db):
    """And an expired one is deleted when the next is issued."""
    ticket = tickets.issue(Visitor("a" * 32))
    Ticket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(BadTicket):
        tickets.redeem(ticket)
    tickets.issue(ANONYMOUS)
    assert Ticket.objects.count() == 1


def test_a_ticket_from_before_the_clock_was_set_back_is_not_valid(transactional_db):
    """It would be valid for as long as the clock was ahead; it is deleted with the expired ones."""
    ticket = tickets.issue(Visitor("a" * 32))
    Ticket.objects.update(expires_at=timezone.now() + timedelta(days=1))

    with pytest.raises(BadTicket):
        tickets.redeem(ticket)
    tickets.issue(ANONYMOUS)
    assert Ticket.objects.count() == 1


def test_tickets_are_valid_by_the_clock_of_the_database(transactional_db, monkeypatch):
    """The machines of two processes may differ by more than the seconds of a ticket."""
    monkeypatch.setattr(timezone, "now", lambda: datetime(2020, 1, 1, tzinfo=UTC))
    ticket = tickets.issue(Visitor("a" * 32))
    monkeypatch.undo()

    assert tickets.redeem(ticket) == Visitor("a" * 32)


def test_the_database_keeps_no_ticket(transactional_db):
    """A copy of the table opens no connection."""
    ticket = tickets.issue(Visitor("a" * 32))

    assert ticket not in str(list(Ticket.objects.values()))


def test_a_project_with_tokens_of_its_own_issues_tickets(staff):
    """``issue`` accepts a login as ``login_for`` returns it."""
    from realtime.access.visitors import login_for

    staff.backend = "django.contrib.auth.backends.ModelBackend"
    ticket = tickets.issue(Visitor(login=login_for(staff)))

    assert load_user(tickets.redeem(ticket)) == staff


async def test_a_ticket_that_cannot_be_read_closes_its_connection_alone(connect, service, monkeypatch, lines):
    """Its client is asked to reconnect; the server continues, without a traceback."""
    from django.db import OperationalError

    def fail(ticket: str) -> Visitor:
        raise OperationalError("the database is away")

    monkeypatch.setattr(tickets, "redeem", fail)
    peer = connect(query="ticket=x")
    await peer.open()
    (bye,), code = await peer.receive_rest()

    assert (bye["code"], code) == (4500, 4500)
    await peer.disconnect(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in str(lines())
