import datetime

import pytest

from realtime import schedule
from realtime.boards import jobs
from realtime.boards.jobs import Measurement
from realtime.boards.models import Board, Entry, Revision

LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
MEASURED = [Measurement("Load", "0.40", "", "ok", "low"), Measurement("Uptime", "3 d 4 h")]


@pytest.fixture
def server(db):
    return Board.objects.create(slug="server", title="This server")


def shown(board):
    return [(entry.label, entry.value, entry.status, entry.note) for entry in board.entries.all()]


def test_the_job_is_scheduled():
    """It runs every five seconds, under its own name."""
    assert schedule.jobs["realtime.boards.jobs.server_figures"].seconds == 5


def test_old_revisions_are_removed_each_hour(board, settings):
    """A deleted entry's, which nothing else would remove."""
    settings.BOARDS_HISTORY_DAYS = 30
    Revision.objects.create(entry=1, board=board.pk)
    Revision.objects.update(at=LONG_AGO)

    job = schedule.jobs["realtime.boards.jobs.old_revisions"]
    job.function()

    assert job.seconds == 3600
    assert not Revision.objects.exists()


def test_missing_entries_are_created_in_order(server):
    """The job fills an empty board."""
    assert jobs.write(server, MEASURED) == 2

    assert shown(server) == [("Load", "0.40", "ok", "low"), ("Uptime", "3 d 4 h", "", "")]


@pytest.mark.parametrize(
    "measurement",
    [Measurement("Load", "0.50", "", "ok", "low"), Measurement("Load", "0.40", "", "warning", "low")],
    ids=["value", "status"],
)
def test_only_changed_measurements_are_written(measurement, server):
    """An unchanged measurement causes no change, so nothing is sent for it."""
    jobs.write(server, MEASURED)
    Entry.objects.update(updated=LONG_AGO)

    assert jobs.write(server, [measurement, MEASURED[1]]) == 1

    load, uptime = server.entries.all()
    assert (load.value, load.status) == (measurement.value, measurement.status)
    assert load.updated > LONG_AGO
    assert uptime.updated == LONG_AGO


def test_the_same_measurements_write_nothing(server, django_assert_num_queries):
    """One query finds that nothing changed, outside of any transaction."""
    jobs.write(server, MEASURED)

    with django_assert_num_queries(1):
        assert jobs.write(server, MEASURED) == 0


def test_changes_of_editors_stay(server):
    """The job keeps an entry's position and visibility, and all entries that are not its own."""
    jobs.write(server, MEASURED)
    server.entries.filter(label="Load").update(position=99, is_visible=False)
    server.entries.create(label="Ours", value="kept")

    jobs.write(server, [Measurement("Load", "0.60"), MEASURED[1]])

    load = server.entries.get(label="Load")
    assert (load.value, load.position, load.is_visible) == ("0.60", 99, False)
    assert server.entries.get(label="Ours").value == "kept"
    assert server.entries.count() == 3


def test_a_label_that_occurs_twice_is_written_once(server):
    """The job writes the first one."""
    for position in (1, 2):
        server.entries.create(label="Load", value="old", position=position)

    jobs.write(server, MEASURED[:1])

    assert [entry.value for entry in server.entries.all()] == ["0.40", "old"]


def test_without_the_board_the_job_does_nothing(board):
    """It neither measures nor writes."""
    jobs.server_figures()

    assert not Entry.objects.exists()


def test_the_job_writes_real_measurements(server):
    """Each has a label of its own and a value."""
    jobs.server_figures()

    labels = [entry.label for entry in server.entries.all()]
    assert {"Load", "Memory used", "Disk used", "Connections", "Uptime"} <= set(labels)
    assert len(labels) == len(set(labels))
    assert all(entry.value for entry in server.entries.all())


@pytest.mark.parametrize(
    ("value", "status"), [(80, "ok"), (81, "warning"), (90, "warning"), (91, "critical")]
)
def test_a_value_is_judged_by_two_thresholds(value, status):
    """A value equal to a threshold does not exceed it."""
    assert jobs.by_threshold(value, warning=80, critical=90) == status


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 min"),
        (59, "0 min"),
        (3_599, "59 min"),
        (3_600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_is_written_in_two_units(seconds, words):
    """The longer it is, the less its remainder matters, and the less often it changes."""
    assert jobs.duration(seconds) == words
