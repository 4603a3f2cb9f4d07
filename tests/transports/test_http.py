"""Requests: how they are refused, and the headers of every answer."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError

from realtime.access import tickets
from realtime.access.budgets import Budgets
from realtime.access.tickets import BadTicket
from realtime.boards.models import Board
from realtime.transports import calls, http, ticket_endpoint
from tests.conftest import until
from tests.databases.test_remedies import caused
from tests.support.transports import Request


@pytest.mark.parametrize(
    "path, parameters, headers, status, words",
    [
        ("/realtime/ws/", [], {}, 426, "a proxy must pass Upgrade and Connection"),
        ("/realtime/ws/", [], {"origin": "https://evil.example"}, 403, "a proxy must pass Host unchanged"),
        ("/realtime/sse/", [], {}, 400, "name the topics to follow"),
        ("/realtime/sse/", [("topic", f"t{n}") for n in range(129)], {}, 429, "128 topics"),
        ("/realtime/sse/", [("topic", "boards"), ("format", "xml")], {}, 400, "rows or html"),
        ("/realtime/sse/", [("topic", "boards"), ("since", "a.1,a.2")], {}, 400, "2 positions for 1"),
        ("/realtime/sse/", [("topic", "boards"), ("since", "x")], {}, 400, "<epoch>.<integer>"),
        ("/realtime/sse/", [("topic", "boards")], {"origin": "https://evil.example"}, 403, "is not ours"),
        ("/realtime/sse/", [("topic", "boards")], {"origin": "null"}, 403, "is not ours"),
        ("/realtime/sse/", [("topic", "boards")], {"sec-fetch-site": "cross-site"}, 403, "another site"),
        ("/realtime/sse/", [("topic", "boards")], {"host": "evil.example"}, 403, "ALLOWED_HOSTS"),
        ("/realtime/sse/", [("x", "")] * 501, {}, 400, "cannot be parsed"),
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
async def test_an_impossible_request_is_refused_with_a_reason(
    application, service, path, parameters, headers, status, words
):
    """And a fitting status; nothing is left of it."""
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
async def test_an_answer_cannot_be_used_as_a_page_or_by_other_sites(
    application, path, parameters, status, caching
):
    """A browser runs no script in it and guesses no type; no other site's page and no shared cache may use it."""
    request = Request(application, path, parameters)

    got, headers = await request.start()
    await request.leave()

    assert got == status
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-type"].startswith(("text/event-stream", "application/json"))
    assert headers["cache-control"] == caching


@pytest.mark.parametrize("path", ["/realtime/topics/boards/", "/realtime/sse/", "/realtime/ticket/"])
async def test_requests_are_paid_from_the_share_of_their_address(application, service, path, monkeypatch):
    """When it is used up, the answer is 429 with the time to wait, to that address alone."""
    monkeypatch.setattr(http, "HOLD_SECONDS", 0)
    service.processing = Budgets(1, 0.0001, lambda: 0.0)
    method = "POST" if "ticket" in path else "GET"

    async def status(address: str) -> int:
        request = Request(application, path, [("topic", "nothing")], method=method, client=address)
        status, headers = await request.start()
        assert ("retry-after" in headers) == (status == 429)
        return status

    assert await status("10.0.0.1") != 429
    assert await status("10.0.0.1") == 429
    assert await status("10.0.0.2") != 429


async def test_a_request_costs_its_address_what_it_costs_the_server(application, service):
    """Beside our own work: a flood of cheap ones reaches its end as well."""
    spent: list[tuple[str | None, float]] = []
    service.processing.spend = lambda owner, amount: spent.append((owner, amount))

    await Request(application, "/realtime/topics/nothing/").start()

    assert spent[0] == ("127.0.0.1", http.SERVER_SECONDS)


async def test_an_address_that_asks_too_much_waits_for_its_refusals(
    application, service, settings, monkeypatch
):
    """As many wait as it may have connections; they keep a connection busy, not the server."""
    settings.REALTIME |= {"MAX_CONNECTIONS_PER_ADDRESS": 2}
    monkeypatch.setattr(http, "HOLD_SECONDS", 3600)
    service.processing = Budgets(1, 1, lambda: 0.0)
    service.processing.spend("127.0.0.1", 1.5)
    flood = [asyncio.create_task(Request(application, "/realtime/topics/boards/").start()) for _ in range(5)]

    await until(lambda: sum(task.done() for task in flood) == 3)
    others, _ = await Request(application, "/realtime/topics/boards/", client="10.0.0.1").start()

    assert [task.result()[0] for task in flood if task.done()] == [429] * 3
    assert service.places._in_use[("address", "127.0.0.1")] == 2
    assert others == 200
    for task in flood:
        task.cancel()


MADE_UP = {"origin": "http://localhost", "cookie": "sessionid=" + "x" * 32}


@pytest.mark.parametrize(
    "path, method, headers",
    [
        ("/realtime/topics/boards/", "GET", {}),
        ("/realtime/sse/", "GET", {}),
        ("/realtime/ticket/", "POST", MADE_UP),
        ("/realtime/calls/", "POST", {**MADE_UP, "content-type": "application/json"}),
    ],
)
async def test_the_work_of_threads_for_a_request_is_paid_too(
    application, service, monkeypatch, path, method, headers
):
    """A made-up ticket or session costs a query, whose time in a thread is more than that of the event loop."""

    def look_up(*args: object) -> None:
        assert threading.current_thread() is not threading.main_thread()
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass
        raise BadTicket

    monkeypatch.setattr(tickets, "redeem", look_up)
    monkeypatch.setattr(calls, "load_user", look_up)
    monkeypatch.setattr(ticket_endpoint, "load_user", look_up)
    service.processing = Budgets(1, 0.16, lambda: 0.0)
    parameters = [("topic", "boards"), ("ticket", "made up")]
    request = Request(
        application, path, parameters, method=method, headers=headers, body=b'{"action":"echo"}'
    )

    await request.start()

    assert service.processing.seconds_until("127.0.0.1", 0) > 0
    assert service.processing.seconds_until("10.0.0.1", 0) == 0


# ---------------------------------------------------------------- outages


def failing(error: Exception) -> Callable[..., Any]:
    """Return a method of a feed that raises an error."""

    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


OUTAGES = {
    "reading": TimeoutError("reading topic t took more than 30 s"),
    "asyncio": TimeoutError(),
    "query": OperationalError("interrupted"),
    "away": caused(OperationalError("connection refused"), psycopg.OperationalError("connection refused")),
    "closed": caused(InterfaceError("closed"), psycopg.InterfaceError("the connection is closed")),
}
FAULTS = {
    "code": ValueError("x"),
    "column": caused(OperationalError("x"), sqlite3.OperationalError("no such column")),
}
ASKED = {
    "snapshot": ("/realtime/topics/fails/", []),
    "changes": ("/realtime/topics/fails/", [("since", "0000abcd.1"), ("wait", "1")]),
    "stream": ("/realtime/sse/", [("topic", "fails")]),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("method", ["read_topic", "can_subscribe"])
@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_is_answered_503_with_the_time_to_try_again(
    application, live, in_database, lines, outage, method, asked
):
    """Whether rights or rows cannot be read; in one line of the log without a traceback."""
    await in_database(live, Board, name="fails", fields=["slug"], **{method: failing(OUTAGES[outage])})
    path, parameters = ASKED[asked]

    status, headers, answer = await Request(application, path, parameters).fetch()

    assert (status, answer["errors"][0]["code"]) == (503, 4500)
    assert "try again" in answer["errors"][0]["message"]
    assert int(headers["retry-after"]) > 0
    failed = [line for line in lines(name="realtime.connection") if "failed: " in line or "refused: " in line]
    assert len(failed) == 1
    assert "Traceback" not in failed[0]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_a_feed_is_answered_500(application, live, in_database, fault, asked):
    """It does not pass."""
    await in_database(live, Board, name="fails", fields=["slug"], can_subscribe=failing(FAULTS[fault]))
    path, parameters = ASKED[asked]

    status, headers, _ = await Request(application, path, parameters).fetch()

    assert status == 500
    assert "retry-after" not in headers
