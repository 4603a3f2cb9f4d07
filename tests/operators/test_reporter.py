"""A process reports while an operator watches, and carries out instructions."""

import asyncio
import threading
from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError

from realtime.boards.models import Entry
from realtime.models import Instruction, ProcessReport, SecondsNow
from realtime.operators import instructions, reporter, reports
from realtime.operators.reporter import Reporter
from realtime.operators.reports import Report
from realtime.publishing import capture
from tests.conftest import PATIENCE_SECONDS, until
from tests.operators.test_reports import report

Kind = Instruction.Kind


def stored() -> list[tuple[str, Report]]:
    return [(each.process, each.report) for each in reports.stored()]


@pytest.fixture
async def looking(no_pauses, service) -> Reporter:
    """The reporter of a process that has looked for instructions once."""
    await until(lambda: service.reporter._seen is not None)
    return service.reporter


async def test_a_process_reports_while_it_is_watched_and_not_otherwise(
    looking, in_database, monkeypatch, quay, connect
):
    """Without a watcher nothing is written, and nothing of a report stays."""
    peer = connect()
    await peer.open()
    await peer.send("subscribe", topic=f"entries.{quay.pk}")
    await peer.receive()
    for _ in range(3):
        await looking.look()
    assert await in_database(stored) == []

    await in_database(instructions.watch)
    await until_in(in_database, lambda: len(stored()) == 1)
    ((name, report),) = await in_database(stored)
    assert name == looking._process
    assert (report.connections, report.transports) == (1, {"websocket": 1})
    assert report.followers == {f"entries.{quay.pk}": 1}
    assert report.addresses == {"127.0.0.1": 1}
    assert [reader.transport for reader in report.readers] == ["websocket"]
    assert report.samples

    monkeypatch.setattr(reporter, "WATCH_SECONDS", 0.0)
    await until_in(in_database, lambda: stored() == [])


async def until_in(in_database, condition) -> None:
    async with asyncio.timeout(45):
        while not await in_database(condition):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", [Kind.CLOSE, Kind.RELOAD])
async def test_a_connection_is_ended_and_its_page_knows_what_to_do(looking, in_database, connect, kind):
    """It reconnects, or loads itself again; the others go on."""
    chosen, other = connect(), connect()
    for peer in (chosen, other):
        await peer.open()
    (name, *_) = sorted((one.state.name for one in looking._hub.connections), key=lambda name: int(name[1:]))

    await in_database(instructions.give, kind, looking._process, name)

    bye = await chosen.receive()
    assert (bye["type"], bye["code"], bye["retry_after_seconds"]) == ("bye", 4510, 0.0)
    assert bye.get("reload", False) is (kind == Kind.RELOAD)
    assert await chosen.receive_rest() == ([], 4510)
    await other.send("ping")
    assert (await other.receive())["type"] == "heartbeat"


async def test_all_connections_end_each_with_a_delay_of_its_own(looking, in_database, connect, settings):
    """They must not return together; an instruction for another process is none."""
    settings.REALTIME = {**settings.REALTIME, "DRAIN_SECONDS": 60.0}
    peers = [connect() for _ in range(5)]
    for peer in peers:
        await peer.open()
    await in_database(instructions.give, Kind.CLOSE, "another:1:ff")
    await looking.look()
    assert len(looking._hub.connections) == 5

    await in_database(instructions.give, Kind.CLOSE)

    byes = [await peer.receive() for peer in peers]
    assert {bye["code"] for bye in byes} == {4510}
    assert len({bye["retry_after_seconds"] for bye in byes}) > 1


async def test_a_user_is_signed_out_of_sessions_and_connections(
    looking, in_database, connect, staff, sign_in
):
    """All sessions and connections of this user, and of no other: a page that reconnects is not signed in."""
    key = await in_database(sign_in, staff)
    theirs, other = connect(session=key), connect()
    for peer in (theirs, other):
        await peer.open()

    await in_database(instructions.give, Kind.SIGN_OUT, "", str(staff.pk))

    bye = await theirs.receive()
    assert (bye["type"], bye["code"]) == ("bye", 4401)
    assert await theirs.receive_rest() == ([], 4401)
    assert not await in_database(Session.objects.filter(pk=key).exists)
    await other.send("ping")
    assert (await other.receive())["type"] == "heartbeat"


async def test_a_topic_is_read_anew(looking, in_database, connect, quay):
    """Changes that no trigger has recorded are then sent, without waiting for the scrubber."""
    peer = connect()
    await peer.open()
    await peer.send("subscribe", topic=f"entries.{quay.pk}")
    await peer.receive()
    await in_database(_write_unseen)

    await in_database(instructions.give, Kind.READ, "", f"entries.{quay.pk}")

    message = await peer.receive()
    while "unseen" not in str(message):
        message = await peer.receive()
    assert message["topic"] == f"entries.{quay.pk}"


def _write_unseen() -> None:
    capture.uninstall(["boards_entry"])
    Entry.objects.update(label="unseen")


async def test_what_was_given_before_a_process_began_is_not_for_it(
    no_pauses, in_database, application, connect
):
    """Its connections were opened later. The instruction "watch" is for every process."""
    await in_database(instructions.give, Kind.CLOSE)
    await in_database(instructions.watch)
    peer = connect()
    await peer.open()

    await until_in(in_database, ProcessReport.objects.exists)

    await peer.send("ping")
    assert (await peer.receive())["type"] == "heartbeat"


async def test_a_database_that_is_away_is_no_error_of_the_reporter(looking, monkeypatch, caplog):
    """Other tasks say so; it goes on when the database is back."""

    def fail() -> None:
        raise OperationalError("away")

    monkeypatch.setattr(instructions, "valid", fail)
    for _ in range(3):
        await looking.look()

    assert [record for record in caplog.records if "reporter" in record.getMessage()] == []


async def test_a_process_that_stops_deletes_its_report(looking, in_database, service):
    """The page shows at once that it is gone."""
    await in_database(instructions.watch)
    await until_in(in_database, ProcessReport.objects.exists)

    await service.stop()

    assert not await in_database(ProcessReport.objects.exists)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
async def test_a_report_that_is_being_stored_does_not_outlive_its_process(
    looking, in_database, service, monkeypatch, is_first
):
    """Nor does the reporter's task store another one while the process stops."""
    if not is_first:
        await in_database(instructions.watch)
        await until_in(in_database, ProcessReport.objects.exists)
    has_begun, may_store, store = threading.Event(), threading.Event(), reports.store

    def store_late(*given) -> None:
        has_begun.set()
        may_store.wait(PATIENCE_SECONDS)
        store(*given)

    monkeypatch.setattr(reports, "store", store_late)
    monkeypatch.setattr(reporter, "END_SECONDS", PATIENCE_SECONDS)
    await in_database(instructions.watch)
    await until(has_begun.is_set)
    stopping = asyncio.create_task(looking.stop())
    await asyncio.sleep(0)
    may_store.set()
    await stopping
    await looking.look()

    assert not await in_database(ProcessReport.objects.exists)


async def test_reports_left_behind_are_deleted_without_a_watcher(looking, in_database):
    """They have personal data, and the process that made them has died."""
    await in_database(reports.store, "killed", report())
    await in_database(ProcessReport.objects.update, reported_at=SecondsNow() - reports.FORGET_SECONDS - 1)

    looking._forget_due = 0.0  # a minute later

    await until_in(in_database, lambda: not ProcessReport.objects.exists())
    assert not await in_database(Instruction.objects.exists)


@pytest.mark.parametrize(
    "error", [OperationalError("away"), InterfaceError("closed"), ConnectionError("the session store is away")],
    ids=["operational", "interface", "session store"],
)  # fmt: skip
async def test_an_instruction_that_fails_is_tried_again_and_the_others_are_carried_out(
    looking, in_database, connect, staff, sign_in, monkeypatch, caplog, error
):
    """A temporary error must not lose an instruction that the page has confirmed."""
    key = await in_database(sign_in, staff)
    theirs, other = connect(session=key), connect()
    for peer in (theirs, other):
        await peer.open()
    end_sessions, failures = reporter._end_sessions, [error, error]

    def fail_first(keys) -> None:
        if failures:
            raise failures.pop()
        end_sessions(keys)

    monkeypatch.setattr(reporter, "_end_sessions", fail_first)
    await in_database(instructions.give, Kind.SIGN_OUT, "", str(staff.pk))
    (name,) = [one.state.name for one in looking._hub.connections if not one.visitor.session]
    await in_database(instructions.give, Kind.CLOSE, looking._process, name)

    assert (await theirs.receive())["code"] == 4401
    assert (await other.receive())["code"] == 4510
    assert not failures
    logged = [record for record in caplog.records if "instruction has failed" in record.getMessage()]
    assert {record.levelname for record in logged} == {"ERROR"}
    assert "sign_out" in logged[0].getMessage()


async def test_ending_many_connections_leaves_turns_for_others(monkeypatch):
    """A process with thousands of them does other work in between."""
    ended: list[int] = []
    many = [
        SimpleNamespace(end=lambda ending, n=n: ended.append(n)) for n in range(10 * reporter.ENDED_AT_ONCE)
    ]
    seen: list[int] = []

    async def watch() -> None:
        while len(ended) < len(many):
            seen.append(len(ended))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    await reporter._end_each(many, lambda: None)
    await watching

    assert len(ended) == len(many)
    assert max(after - before for before, after in pairwise(seen)) <= reporter.ENDED_AT_ONCE
