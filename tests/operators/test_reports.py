"""Reports: one row for each process, gone with it."""

from typing import Any

import pytest

from realtime.models import ProcessReport, SecondsNow
from realtime.operators import reports
from realtime.operators.reports import Reader, Report, Sample


def report(**figures: Any) -> Report:
    """Return a report; by default that of a process that serves nothing."""
    given: dict[str, Any] = {
        "version": "1.0", "server": "daphne", "uptime_seconds": 5.0, "connections": 0, "topics": 0,
        "subscriptions": 0, "transports": {}, "followers": {}, "addresses": {}, "users": {}, "readers": [],
        "refusals": {}, "closes": {}, "samples": [],
    }  # fmt: skip
    return Report(**{**given, **figures})


@pytest.mark.django_db(transaction=True)
def test_the_last_report_of_each_process_is_read():
    """As it was made, with its age."""
    reader = Reader("c1", "websocket", 3.0, 17, 2, "192.0.2.1", "7")
    last = report(connections=2, readers=[reader], samples=[Sample(0.1, None)], users={"7": 2})
    reports.store("b:1", report())
    reports.store("a:1", report(connections=1))
    reports.store("a:1", last)

    first, second = reports.stored()

    assert (first.process, first.report) == ("a:1", last)
    assert (second.process, second.report) == ("b:1", report())
    assert 0 <= first.age_seconds < 60


@pytest.mark.django_db(transaction=True)
def test_reports_of_ended_processes_are_deleted():
    """They have personal data: by the process itself, or by any other one. Until then they are not read."""
    reports.store("ended", report())
    reports.store("killed", report())
    reports.discard("ended")
    ProcessReport.objects.filter(pk="killed").update(reported_at=SecondsNow() - reports.FORGET_SECONDS - 1)

    reports.store("here", report())

    assert [each.process for each in reports.stored()] == ["here"]
    reports.forget()
    assert list(ProcessReport.objects.values_list("pk", flat=True)) == ["here"]


@pytest.mark.django_db(transaction=True)
def test_reports_from_before_the_clock_was_set_back_are_deleted():
    """A process that was killed then would be shown, with personal data, for as long as the clock was ahead."""
    reports.store("killed", report())
    ProcessReport.objects.update(reported_at=SecondsNow() + 24 * 3600)

    assert reports.stored() == []
    reports.forget()
    assert not ProcessReport.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_looking_for_reports_to_delete_writes_nothing_where_there_is_none(django_assert_num_queries):
    """Each process does it once a minute: no writer must wait for that."""
    reports.store("here", report())

    with django_assert_num_queries(1):
        reports.forget()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 7}', "null"])
def test_a_report_of_another_release_is_left_out(text):
    """The page shows the others during an upgrade."""
    reports.store("here", report())
    ProcessReport.objects.create(name="other", report=text)

    assert [each.process for each in reports.stored()] == ["here"]
