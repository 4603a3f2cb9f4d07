"""``manage.py doctor``: reports what works and what does not, and exits with 1 if something needs repair."""

import contextlib
import json
import re
import threading
from io import StringIO
from types import SimpleNamespace

import pytest
from django.apps.registry import Apps
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection, connections, models

from realtime.boards.models import Board, Entry
from realtime.changes import Handler
from realtime.feeds import Feed, register, registry
from realtime.management import diagnostics
from realtime.management.commands import doctor as doctor_module
from realtime.management.diagnostics import Finding
from realtime.models import LogEntry, OutboxRow, SecondsNow, Ticket
from realtime.publishing import handler_cursors, lease
from realtime.publishing.handler_cursors import Cursor


def doctor(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as error:
        return int(error.code or 0), out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def published(log, settings):
    """A log with a publisher, which keeps the lease for as long as the test lasts, and shows signs of life."""
    settings.REALTIME = {"LEASE_SECONDS": 600}
    assert lease.acquire("a process")
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(0.05):
            with contextlib.suppress(OperationalError):
                lease.acquire("a process")
        connections.close_all()

    publisher = threading.Thread(target=live)
    publisher.start()
    yield log
    ended.set()
    publisher.join()


def test_the_doctor_reports_that_all_is_well(published):
    """With triggers, a log and a publisher."""
    status, words = doctor()

    assert (status, words.splitlines()[-1]) == (0, "all is well")
    assert "BAD" not in words


def test_the_doctor_names_a_table_without_triggers(published, uninstalled):
    """It exits with 1, for scripts."""
    status, words = doctor()

    assert status == 1
    assert "BAD  feed entries: triggers on boards_entry are missing" in words


def test_the_doctor_reports_that_no_publisher_runs(log):
    """Changes wait until one starts."""
    status, words = doctor()

    assert status == 1
    assert "publisher: none is running" in words


@pytest.mark.parametrize("backend", ["no_such_package.core.Layer", "channels_redis.core.NoSuchLayer"])
def test_the_doctor_names_a_channel_layer_that_cannot_be_imported(published, settings, backend):
    """A package that is not installed most often; the remedy installs it, and no line calls it a fault of ours."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend}}

    status, words = doctor()

    assert status == 1
    assert f"BAD  channel layer: CHANNEL_LAYERS names {backend}, which cannot be imported" in words
    assert "django-tidemark[redis]" in words
    assert "fault of the engine" not in words


@pytest.mark.parametrize("root, is_reported", [(None, True), ("collected", False)])
def test_the_doctor_names_static_files_that_no_server_can_serve(
    published, settings, monkeypatch, tmp_path, root, is_reported
):
    """Without DEBUG the application does not serve them, and without STATIC_ROOT there is no folder to serve."""
    # An application of an earlier test may serve the page client.
    monkeypatch.setattr(diagnostics, "_script", lambda: "static/collected-by-none.js")
    settings.STATIC_ROOT = str(tmp_path / root) if root else None

    _, words = doctor()

    assert ("for that, set STATIC_ROOT and run `manage.py collectstatic" in words) is is_reported


def test_the_doctor_works_on_an_empty_database(published):
    """An empty log is reported, not raised."""
    published.state.delete()

    status, words = doctor()

    assert status == 1
    assert "log: empty, nothing has been published yet" in words
    assert not LogEntry.objects.exists()


def test_the_doctor_refuses_a_composite_primary_key_with_a_hint(published):
    """Support would mean a key of several values in messages and pages."""

    class Berth(models.Model):
        pk = models.CompositePrimaryKey("pier", "number")
        pier = models.IntegerField()
        number = models.IntegerField()

        class Meta:
            app_label = "throwaway"
            apps = Apps()

    register(Berth)(type("Berths", (Feed,), {"name": "berths", "topic_field": "pier"}))
    try:
        status, words = doctor()
    finally:
        registry.remove("berths")

    assert status == 1
    assert "The feed 'berths' is not live: Berth has a composite primary key" in words
    assert "UniqueConstraint" in words


def test_the_doctor_names_feeds_that_are_off(published):
    """With what to write; the others are captured."""
    register(Board)(type("Off", (Feed,), {"name": "off", "ordering": ["titel"]}))
    try:
        status, words = doctor()
    finally:
        registry.remove("off")

    assert status == 1
    assert (
        "BAD  The feed 'off' is not live: ordering has 'titel', but Board has no column 'titel'; It has: "
        in words
    )
    assert "ok   feed entries: changes of boards_entry are captured" in words
    assert "feed off: changes" not in words


def test_the_doctor_does_not_call_a_view_captured(published, live):
    """No trigger notes changes of what it shows."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW throwaway_view AS SELECT id, title FROM boards_board")
    meta = type(
        "Meta", (), {"app_label": "throwaway", "apps": Apps(), "managed": False, "db_table": "throwaway_view"}
    )
    model = type("OfView", (models.Model,), {"__module__": __name__, "Meta": meta})
    try:
        live(model, name="viewed")
        status, words = doctor()
    finally:
        registry.remove("viewed")
        with connection.cursor() as cursor:
            cursor.execute("DROP VIEW throwaway_view")

    assert status == 1
    assert "BAD  feed viewed: throwaway_view is a view, or not in the database" in words
    assert "feed viewed: changes" not in words


def test_the_doctor_names_rows_that_are_left_out(published, quay, live, monkeypatch):
    """By reading some topics of each feed."""
    feed = live(Entry, name="picky", topic_field="board_id", fields=["label"])
    row = feed.row

    def picky(instance):
        if instance.label == "Saltmere":
            raise ValueError("no such harbour")
        return row(instance)

    monkeypatch.setattr(feed, "row", picky)

    status, words = doctor()

    key = quay.entries.get(label="Saltmere").pk
    assert status == 1
    assert f"feed picky: row '{key}' is left out: ValueError: no such harbour" in words


def test_the_doctor_names_feeds_that_cannot_be_read(published, live, monkeypatch):
    """And goes on with the others."""
    feed = live(Entry, name="broken", fields=["label"])

    def fail():
        raise RuntimeError("broken")

    monkeypatch.setattr(feed, "get_queryset", fail)

    status, words = doctor()

    assert status == 1
    assert "BAD  feed broken: cannot be read: RuntimeError: broken" in words
    assert words.count("cannot be read") == 1


def test_the_doctor_names_feeds_that_are_slow(published, quay, monkeypatch):
    """They share one thread of each process."""
    monkeypatch.setattr(doctor_module, "SLOW_SECONDS", -1.0)

    _, words = doctor()

    assert "BAD  feed entries: slow" in words


@pytest.mark.parametrize("seconds, is_named", [([4.0], False), ([4.0, 3.0], True)], ids=["once", "again"])
def test_the_doctor_names_no_feed_for_a_busy_moment(log, live, monkeypatch, seconds, is_named):
    """On a loaded machine, or for the first query of a connection, it reported a fault of the feed."""
    feed = live(Entry, name="busy", fields=["label"])
    clock, left = [0.0], list(seconds)

    def topics_of(feed_read):
        if feed_read is feed and left:
            clock[0] += left.pop(0)
        return ["busy"] if feed_read is feed else []

    monkeypatch.setattr(doctor_module, "topics_of", topics_of)
    monkeypatch.setattr(doctor_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(doctor_module, "cpu_time", SimpleNamespace(waited=lambda: 0.0))

    findings = [finding.words for finding in doctor_module.rows()]

    assert findings == (["feed busy: slow, 3.0 s for a topic"] if is_named else [])


def test_the_doctor_names_changes_that_wait(published, quay):
    """By the age of the oldest."""
    quay.entries.create(label="waits")
    OutboxRow.objects.update(written_at=SecondsNow() - 60)

    _, words = doctor()

    assert re.search(r"BAD  lag: a change has waited for [6-9]\d s", words)


def test_the_doctor_gives_up_a_trial_that_takes_long(monkeypatch):
    """A database that hangs is a finding, too; the others go on."""
    may_end = threading.Event()

    def the_disk():
        yield Finding("disk: there")
        may_end.wait(60)

    monkeypatch.setattr(doctor_module, "DIAGNOSTICS", [the_disk, lambda: [Finding("rest: well")]])
    monkeypatch.setattr(doctor_module, "DIAGNOSTIC_SECONDS", 0.1)

    status, words = doctor()
    may_end.set()

    assert status == 1
    assert (
        "BAD  the disk: no result within 0.1 s; the database, the channel layer or a disk does not answer"
        in words
    )
    assert "ok   rest: well" in words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError("away"), "BAD  database: away; run `manage.py migrate`"),
        (DatabaseError("odd"), "BAD  database: odd; run `manage.py migrate`"),
        (RuntimeError("odd"), "BAD  the disk: RuntimeError: odd; this is a fault of the engine: report it"),
    ],
)
def test_the_doctor_reports_a_trial_that_fails(monkeypatch, error, words):
    """Without a traceback; the others go on."""

    def the_disk():
        raise error

    monkeypatch.setattr(doctor_module, "DIAGNOSTICS", [the_disk, lambda: [Finding("rest: well")]])

    status, reported = doctor()

    assert status == 1
    assert words in reported
    assert "ok   rest: well" in reported


def test_the_doctor_reports_a_database_that_is_away_once(monkeypatch):
    """Not once for each diagnostic and each feed, with the lines of the driver."""
    away = OperationalError("connection refused\n\tIs the server running?")

    def fail(*arguments):
        raise away

    monkeypatch.setattr(doctor_module, "read_topic", fail)
    monkeypatch.setattr(doctor_module, "topics_of", lambda feed: [feed.name])
    monkeypatch.setattr(doctor_module, "DIAGNOSTICS", [fail, doctor_module.rows, lambda: fail()])
    monkeypatch.setattr(fail, "__name__", "a diagnostic", raising=False)

    status, words = doctor()

    assert status == 1
    assert words.splitlines() == ["  BAD  database: connection refused; run `manage.py migrate`", "1 to fix"]


def test_the_doctor_reports_to_programs(monkeypatch):
    """As JSON, with the same exit status."""
    monkeypatch.setattr(doctor_module, "DIAGNOSTICS", [lambda: [Finding("this"), Finding("that", "do so")]])

    status, words = doctor("--json")

    assert status == 1
    assert json.loads(words) == [
        {"ok": True, "found": "this", "do": ""},
        {"ok": False, "found": "that", "do": "do so"},
    ]


def test_the_doctor_leaves_nothing_behind(published, quay):
    """Rows, changes, topics: all is as before, and no engine runs."""

    def kept() -> list[set]:
        return [
            set(model.objects.values_list("pk", flat=True))
            for model in (Entry, Board, OutboxRow, LogEntry, Ticket)
        ]

    before = kept()

    status, words = doctor()

    assert (status, kept()) == (0, before), words
    assert "realtime-publisher_0" not in {thread.name for thread in threading.enumerate()}


def test_the_doctor_names_functions_that_fail_or_are_never_called(published, monkeypatch):
    """And how far the others have come."""
    declared = {
        name: Handler(name, feed, lambda change: None, False, False)
        for name, feed in {"fine": "entries", "fails": "entries", "idle": "nothing"}.items()
    }
    monkeypatch.setattr(doctor_module, "handlers", declared)
    for name in ("fine", "fails"):
        handler_cursors.begin(name, Cursor("ab", 7))
    handler_cursors.note_failure("fails", "ValueError: no index")

    status, words = doctor()

    assert status == 1
    assert "ok   on_change: fine has handled the log up to 7" in words
    assert (
        "BAD  on_change: fails has failed 1 times for its next change: ValueError: no index; correct" in words
    )
    assert "BAD  on_change: idle is not called: 'nothing' is not a live feed; Register it" in words
