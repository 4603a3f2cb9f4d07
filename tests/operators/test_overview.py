"""The overview: sums of the reports of processes, and figures of the database where there are none."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.models import OutboxRow, Process, ProcessReport, SecondsNow
from realtime.operators import overview, reports
from realtime.operators.reports import Reader
from realtime.publishing import lease, progress
from tests.operators.test_reports import report


@pytest.fixture
def two(log, settings):
    """Two processes that have reported, and one that has not yet; a lease lasts for as long as the test."""
    settings.REALTIME = {**settings.REALTIME, "LEASE_SECONDS": 600, "MAX_LAG_SECONDS": 60}
    for name in ("a:1:ff", "b:2:ff", "c:3:ff"):
        Process.objects.create(name=name)
    reports.store(
        "a:1:ff",
        report(
            connections=2, transports={"websocket": 2}, followers={"boards": 2, "entries.1": 1},
            users={"1": 2}, readers=[_reader("c1", 10), _reader("c2", 0)], refusals={"4403": 2},
        ),
    )  # fmt: skip
    reports.store(
        "b:2:ff",
        report(
            connections=1, transports={"poll": 1}, followers={"entries.1": 2}, addresses={"192.0.2.1": 1},
            readers=[_reader("c1", 5)], refusals={"4403": 1}, closes={"client": 4},
        ),
    )  # fmt: skip


def _reader(name: str, unread: int) -> Reader:
    return Reader(name, "websocket", 1.0, unread, 1, None, None)


def test_figures_of_all_processes_are_added_up(two):
    """The largest first; a connection is named with its process."""
    found = overview.read()

    assert found.connections == 3
    assert found.transports == [("websocket", 2), ("poll", 1)]
    assert found.followers == [("entries.1", 3), ("boards", 2)]
    assert found.users == [("1", 2)]
    assert found.addresses == [("192.0.2.1", 1)]
    assert [(each.process, each.reader.name) for each in found.readers] == [
        ("a:1:ff", "c1"), ("b:2:ff", "c1"), ("a:1:ff", "c2"),
    ]  # fmt: skip
    assert [tuple(each) for each in found.codes] == [
        ("4403", "forbidden", 3, 0), ("client", "the client ended it", 0, 4),
    ]  # fmt: skip


def test_a_process_is_shown_before_it_has_reported_and_after_it_was_last_heard(two):
    """For two minutes: one that hangs is what an operator looks for."""
    Process.objects.filter(name="a:1:ff").delete()
    Process.objects.filter(name="c:3:ff").update(seen_at=SecondsNow() - 60)
    Process.objects.create(name="d:4:ff", seen_at=SecondsNow() - overview.SHOWN_SECONDS - 1)

    found = overview.read()

    assert [(each.name, each.report is not None, each.is_silent) for each in found.processes] == [
        ("a:1:ff", True, False), ("b:2:ff", True, False), ("c:3:ff", False, True),
    ]  # fmt: skip


def test_the_figures_of_a_process_that_has_died_are_not_counted(two):
    """Whether or not its row has been deleted already."""
    Process.objects.all().delete()
    for name, age in (("a:1:ff", reports.FORGET_SECONDS + 1), ("b:2:ff", 7 * 86400)):
        ProcessReport.objects.filter(pk=name).update(reported_at=SecondsNow() - age)

    found = overview.read()

    assert (found.processes, found.connections, found.users, found.readers) == ([], 0, [], [])


def test_the_publisher_is_found_among_the_processes(two):
    """By machine and number: its task has a name of its own. It may also be a process without a server."""
    assert lease.acquire("b:2:01")
    assert [each.publishes for each in overview.read().processes] == [False, True, False]

    lease.release("b:2:01")
    assert lease.acquire("elsewhere:2:01")
    found = overview.read()

    assert (found.publisher, [each.publishes for each in found.processes]) == ("elsewhere:2:01", [False] * 3)


@pytest.mark.parametrize(
    ("has_lease", "waiting_seconds", "is_published"),
    [(True, 0, True), (True, 3, True), (True, 600, False), (False, 0, False)],
    ids=["works", "a little late", "stands still", "none"],
)
def test_the_page_knows_whether_it_can_be_live(two, has_lease, waiting_seconds, is_published):
    """Where nothing is published it has to read the database by itself."""
    if has_lease:
        assert lease.acquire("a:1:01")
        progress.note_success()
    if waiting_seconds:
        OutboxRow.objects.create(source="things", written_at=SecondsNow() - waiting_seconds)

    found = overview.read()

    assert found.is_published is is_published
    assert bool([one for one in found.problems if "publisher" in one or "lag" in one]) is not is_published


def test_reading_costs_as_many_queries_for_many_processes_as_for_one(two):
    """A page that many look at is read every second."""
    with CaptureQueriesContext(
        connection,
    ) as few:
        overview.read()
    for number in range(20):
        Process.objects.create(name=f"x:{number}:ff")
        reports.store(f"x:{number}:ff", report(connections=1))
    with CaptureQueriesContext(connection) as many:
        found = overview.read()

    assert found.connections == 23
    assert len(many) == len(few)


@pytest.mark.django_db
def test_users_are_named_by_one_query(django_assert_num_queries):
    """Keys that no user can have, or has any more, are left out."""
    one = get_user_model().objects.create_user("one")

    with django_assert_num_queries(1):
        assert overview.names_of([str(one.pk), "999999", "nobody", ""]) == {str(one.pk): "one"}
