import datetime

import pytest

from realtime import schedule
from realtime.boards import jobs
from realtime.boards.jobs import Figure
from realtime.boards.models import Board, Entry

LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
MEASURED = [Figure("Load", "0.40", "", "ok", "low"), Figure("Uptime", "3 d 4 h")]


@pytest.fixture
def server(db):
    return Board.objects.create(slug="server", title="This server")


def shown(board):
    return [(entry.label, entry.value, entry.status, entry.note) for entry in board.entries.all()]


def test_the_job_is_scheduled():
    """Every five seconds, under its name."""
    assert schedule.jobs["realtime.boards.jobs.server_figures"].seconds == 5


def test_missing_entries_are_created_in_order(server):
    """An empty board fills itself."""
    assert jobs.write(server, MEASURED) == 2

    assert shown(server) == [("Load", "0.40", "ok", "low"), ("Uptime", "3 d 4 h", "", "")]


@pytest.mark.parametrize(
    "figure",
    [Figure("Load", "0.50", "", "ok", "low"), Figure("Load", "0.40", "", "warning", "low")],
    ids=["value", "status"],
)
def test_only_changed_figures_are_written(figure, server):
    """What stays the same causes no change, so nothing is sent."""
    jobs.write(server, MEASURED)
    Entry.objects.update(updated=LONG_AGO)

    assert jobs.write(server, [figure, MEASURED[1]]) == 1

    load, uptime = server.entries.all()
    assert (load.value, load.status) == (figure.value, figure.status)
    assert load.updated > LONG_AGO
    assert uptime.updated == LONG_AGO


def test_the_same_figures_write_nothing(server, django_assert_num_queries):
    """One query finds that out, outside of any transaction."""
    jobs.write(server, MEASURED)

    with django_assert_num_queries(1):
        assert jobs.write(server, MEASURED) == 0


def test_what_editors_arrange_stays(server):
    """Place and visibility are theirs; so are entries of which the job knows nothing."""
    jobs.write(server, MEASURED)
    server.entries.filter(label="Load").update(position=99, is_visible=False)
    server.entries.create(label="Ours", value="kept")

    jobs.write(server, [Figure("Load", "0.60"), MEASURED[1]])

    load = server.entries.get(label="Load")
    assert (load.value, load.position, load.is_visible) == ("0.60", 99, False)
    assert server.entries.get(label="Ours").value == "kept"
    assert server.entries.count() == 3


def test_a_label_that_occurs_twice_is_written_once(server):
    """The first is the job's."""
    for position in (1, 2):
        server.entries.create(label="Load", value="old", position=position)

    jobs.write(server, MEASURED[:1])

    assert [entry.value for entry in server.entries.all()] == ["0.40", "old"]


def test_without_the_board_the_job_does_nothing(board):
    """Not even measure."""
    jobs.server_figures()

    assert not Entry.objects.exists()


def test_the_job_writes_real_figures(server):
    """Each has a label of its own, and a value."""
    jobs.server_figures()

    labels = [entry.label for entry in server.entries.all()]
    assert {"Load", "Memory used", "Disk used", "Connections", "Uptime"} <= set(labels)
    assert len(labels) == len(set(labels))
    assert all(entry.value for entry in server.entries.all())


@pytest.mark.parametrize(
    ("figure", "status"), [(80, "ok"), (81, "warning"), (90, "warning"), (91, "critical")]
)
def test_a_figure_is_judged_by_two_thresholds(figure, status):
    """A threshold itself is still good."""
    assert jobs.by_threshold(figure, warning=80, critical=90) == status


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
def test_a_duration_is_said_in_two_units(seconds, words):
    """The larger it is, the less its rest matters, and the rarer it changes."""
    assert jobs.duration(seconds) == words
