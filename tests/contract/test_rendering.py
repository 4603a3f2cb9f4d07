"""Rows that cannot be read or rendered are left out alone; the others are the same bytes wherever they are rendered."""

import contextlib
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings as project
from django.db import DatabaseError, close_old_connections, connection, connections, models, transaction
from django.urls import set_script_prefix, set_urlconf
from django.utils import timezone, translation

from realtime.boards.models import Board, Entry
from realtime.feeds import Feed, registry
from realtime.models import LogEntry
from realtime.publishing import capture, positions
from realtime.runtime.left_out import left_out
from tests.contract.conftest import Follower, contents, log_changes
from tests.contract.own_feeds import only_own_feeds, prepared  # noqa: F401
from tests.support.contents import html_of

NAME = "probe"
KEYS = [str(number) for number in range(1, 11)]  # of the entries that the database of these tests has


@pytest.fixture
def declare(database, tmp_path, settings) -> Iterator[Callable[..., Feed]]:
    """A function that registers a feed of entries for one test; ``template`` is the source of its row's template."""
    left_out.clear()

    def register(template: str | None = None, model: type[models.Model] = Entry, **attributes: Any) -> Feed:
        if template is not None:
            (tmp_path / "probe.html").write_text(template)
            settings.TEMPLATES = [{**project.TEMPLATES[0], "DIRS": [tmp_path]}]
            attributes["template_name"] = "probe.html"
        feed = type("Probe", (Feed,), {"name": NAME, "fields": ["label"], **attributes})(model)
        registry.add(feed)
        capture.install()
        database.sequence()
        return feed

    yield register
    registry.remove(NAME)


def read() -> list[str]:
    """Return the keys of the topic's rows, sorted."""
    return sorted((row.key for row in positions.read_topic(NAME).rows), key=int)


def without(*keys: str) -> list[str]:
    return [key for key in KEYS if key not in keys]


# ---------------------------------------------------------------- rows that fail


class Fragile(models.CharField):
    """A third-party field, whose converter raises for one value."""

    def from_db_value(self, value, expression, connection):
        if value == "poison":
            raise RuntimeError("cannot convert poison")
        return value


class FragileEntry(models.Model):
    """Entries, read through other fields."""

    label = Fragile(max_length=200)
    board = models.ForeignKey(Board, models.DO_NOTHING, related_name="+")

    class Meta:
        app_label = "boards"
        db_table = "boards_entry"
        managed = False
        apps = Board._meta.apps.__class__([])


class Deep:
    """An object whose text never ends."""

    def __str__(self) -> str:
        return str(self)


FAULTS: dict[str, dict[str, Any]] = {
    "template": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.boom }}{% endif %}</li>"},
    "include": {"template": "<li>{% if entry.label == 'poison' %}{% include 'missing.html' %}{% endif %}</li>"},
    "address": {"template": "<li>{% if entry.label == 'poison' %}{% url 'nowhere' %}{% endif %}</li>"},
    "recursion": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.deep }}{% endif %}</li>"},
    "two roots": {"template": "<li></li>{% if entry.label == 'poison' %}<li></li>{% endif %}"},
    "no root": {"template": "{% if entry.label != 'poison' %}<li></li>{% endif %}"},
    "too large": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.large }}{% endif %}</li>"},
    "field": {"fields": ["label", "note"]},
    "surrogate": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.surrogate }}{% endif %}</li>"},
    "order": {"ordering": ["mood"]},
    "query": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.query }}{% endif %}</li>"},
    "query caught": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.query_caught }}{% endif %}</li>"},
    "query swallowed": {
        "template": "<li>{% if entry.label == 'poison' %}{{ entry.query_swallowed }}{% endif %}</li>"
    },
    "converter": {"model": FragileEntry},
    "end of an iterator": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.next }}{% endif %}</li>"},
    "end of the process": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.exit }}{% endif %}</li>"},
    "cancellation": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.cancel }}{% endif %}</li>"},
    "end of a generator": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.leave }}{% endif %}</li>"},
    "time-out of a library": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.quit }}{% endif %}</li>"},
    "wrong query": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.query_wrong }}{% endif %}</li>"},
    "write": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.get_or_create }}{% endif %}</li>"},
    "lock": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.lock }}{% endif %}</li>"},
    "several": {"template": "<li>{% if entry.label == 'poison' %}{{ entry.several }}{% endif %}</li>"},
    "error without a text": {
        "template": "<li>{% if entry.label == 'poison' %}{{ entry.unspeakable }}{% endif %}</li>"
    },
}  # fmt: skip


def query(entry: Entry) -> Any:
    """Fail in the database, which on PostgreSQL aborts the transaction."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT 1 / 0")
        else:
            cursor.execute("SELECT json('{')")
        return cursor.fetchall()


def query_caught(entry: Entry) -> Any:
    """Fail in the database, and go on as if nothing had happened."""
    with contextlib.suppress(Exception):
        query(entry)
    return Board.objects.count() if connection.vendor == "postgresql" else 1 / 0


def query_swallowed(entry: Entry) -> str:
    """Fail in the database, and show something else: afterwards PostgreSQL accepts no statement."""
    with contextlib.suppress(Exception):
        query(entry)
    if connection.vendor == "sqlite":
        raise ValueError("nothing to leave behind")
    return "something else"


def query_wrong(entry: Entry) -> Any:
    """Ask for a table that is not there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")


def get_or_create(entry: Entry) -> Any:
    """Write what is missing, as libraries for thumbnails do; SQLite has a transaction within the reading's, too."""
    return Board.objects.get_or_create(slug="made by a row")


def lock(entry: Entry) -> Any:
    """Lock rows; SQLite, where that does nothing, gets a name of no column."""
    rows = Board.objects.select_for_update()
    return list(rows if connection.vendor == "postgresql" else rows.extra(where=["nothing = 1"]))


class Unspeakable(Exception):
    """An error whose text depends on what is missing."""

    def __str__(self) -> str:
        raise AttributeError("detail")

    __repr__ = __str__


def raises(error: BaseException) -> property:
    def fail(entry: Entry) -> None:
        raise error

    return property(fail)


@pytest.fixture
def fragile(monkeypatch) -> None:
    """Entries with properties that fail for the value "poison"."""
    monkeypatch.setattr(Entry, "boom", property(lambda self: 1 / 0), raising=False)
    monkeypatch.setattr(Entry, "next", raises(StopIteration()), raising=False)
    monkeypatch.setattr(Entry, "exit", raises(SystemExit(1)), raising=False)
    monkeypatch.setattr(Entry, "cancel", raises(CancelledError()), raising=False)
    monkeypatch.setattr(Entry, "leave", raises(GeneratorExit()), raising=False)
    monkeypatch.setattr(Entry, "quit", raises(BaseException("quit")), raising=False)
    monkeypatch.setattr(Entry, "unspeakable", raises(Unspeakable()), raising=False)
    several = BaseExceptionGroup("several", [SystemExit(1), ValueError()])
    monkeypatch.setattr(Entry, "several", raises(several), raising=False)
    monkeypatch.setattr(Entry, "deep", Deep(), raising=False)
    monkeypatch.setattr(Entry, "large", "x" * 300_000, raising=False)
    monkeypatch.setattr(Entry, "surrogate", "\ud800", raising=False)
    monkeypatch.setattr(Entry, "query", property(query), raising=False)
    monkeypatch.setattr(Entry, "query_wrong", property(query_wrong), raising=False)
    monkeypatch.setattr(Entry, "get_or_create", property(get_or_create), raising=False)
    monkeypatch.setattr(Entry, "lock", property(lock), raising=False)
    monkeypatch.setattr(Entry, "query_swallowed", property(query_swallowed), raising=False)
    monkeypatch.setattr(Entry, "query_caught", property(query_caught), raising=False)


def declared(declare: Callable[..., Feed], fault: str) -> Feed:
    attributes = dict(FAULTS[fault])
    if fault == "order":
        attributes["get_queryset"] = lambda self: Entry.objects.annotate(
            mood=models.Case(
                models.When(label="poison", then=models.Value({"no": "order"}, models.JSONField())),
                default=models.Value(1, models.JSONField()),
            )
        )
    if fault == "field":
        attributes["get_queryset"] = lambda self: Entry.objects.annotate(extra=models.F("note"))
        attributes["row"] = lambda self, entry: Feed.row(self, spoilt(entry))
    return declare(**attributes)


def spoilt(entry: Entry) -> Entry:
    """Give the poisoned entry a value that is no JSON."""
    if entry.label == "poison":
        endless: list[Any] = []
        endless.append(endless)
        entry.__dict__["note"] = endless
    return entry


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_that_fails_is_left_out_alone(database, declare, fragile, fault):
    """In a topic that is read, and in a change; it returns by itself when it is well again."""
    declared(declare, fault)
    follower = Follower(NAME)
    assert read() == KEYS

    for key in ("3", "8"):
        database.sql(f"UPDATE boards_entry SET label = 'poison' WHERE id = {key}")
    database.sql("UPDATE boards_entry SET label = 'changed' WHERE id = 4")

    assert read() == without("3", "8")
    assert set(left_out.reasons(NAME)) == {"3", "8"}
    database.sequence()
    entry = LogEntry.objects.filter(topic=NAME).latest("position")
    assert sorted((change.key, change.op) for change in log_changes(entry)) == [
        ("3", "delete"), ("4", "upsert"), ("8", "delete"),
    ]  # fmt: skip
    follower.follow()
    follower.assert_equals_source()

    database.sql("UPDATE boards_entry SET label = 'well' WHERE id IN (3, 8)")

    database.sequence()
    follower.follow()
    follower.assert_equals_source()
    assert read() == KEYS
    assert left_out.reasons(NAME) == {}


BAD_DATA = {
    "sqlite": {
        "no UTF-8": "UPDATE boards_entry SET label = CAST(x'ff41' AS text) WHERE id = 3",
        "day 30 of February": "UPDATE boards_entry SET updated = '2026-02-30 00:00:00' WHERE id = 3",
        "hour 24": "UPDATE boards_entry SET updated = '2026-02-03 24:00:00' WHERE id = 3",
        "month 13": "UPDATE boards_entry SET updated = '2026-13-01 00:00:00' WHERE id = 3",
    },
    "postgresql": {
        "infinity": "UPDATE boards_entry SET updated = 'infinity' WHERE id = 3",
        "minus infinity": "UPDATE boards_entry SET updated = '-infinity' WHERE id = 3",
        "year 10000": "UPDATE boards_entry SET updated = '10000-01-01' WHERE id = 3",
        "before Christ": "UPDATE boards_entry SET updated = '0044-03-15 BC' WHERE id = 3",
    },
}


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("way", ["plain", "limit", "window", "related"])
def test_data_that_cannot_be_fetched_hides_one_row(database, declare, number, way):
    """The driver fails for the whole query; with a limit or a window rows cannot be read by their keys."""
    statement = list(BAD_DATA[database.vendor].values())[number]
    ways: dict[str, dict[str, Any]] = {
        "plain": {"ordering": ["position"]},
        "limit": {"limit": 50, "ordering": ["position"]},
        "window": {
            "ordering": ["place"],
            "get_queryset": lambda self: Entry.objects.annotate(
                place=models.Window(models.functions.RowNumber(), order_by="position")
            ),
        },
        "related": {
            "depends_on": ["board"],
            "get_queryset": lambda self: Entry.objects.select_related("board").prefetch_related("board"),
        },
    }
    declare(**ways[way])

    database.sql(statement)

    assert read() == without("3")
    assert set(left_out.reasons(NAME)) == {"3"}
    database.sql("UPDATE boards_entry SET note = 'changed' WHERE id = 3 OR id = 4")
    database.sequence()
    if way in ("plain", "related"):
        entry = LogEntry.objects.filter(topic=NAME).latest("position")
        assert sorted((change.key, change.op) for change in log_changes(entry)) == [
            ("3", "delete"), ("4", "upsert"),
        ]  # fmt: skip
    database.sql("UPDATE boards_entry SET updated = '2026-01-01 00:00:00', label = 'well' WHERE id = 3")
    assert read() == KEYS


def test_a_window_keeps_its_values_when_a_row_is_left_out(database, declare):
    """Reading a part of the rows would number them anew."""
    declare(
        ordering=["place"],
        get_queryset=lambda self: Entry.objects.annotate(
            place=models.Window(models.functions.RowNumber(), order_by="position")
        ),
    )
    before = {row.key: row.order for row in positions.read_topic(NAME).rows}

    database.sql(next(iter(BAD_DATA[database.vendor].values())))

    assert {row.key: row.order for row in positions.read_topic(NAME).rows} == {
        key: order for key, order in before.items() if key != "3"
    }


def test_a_filter_that_fails_for_one_row_hides_that_row(database, declare):
    """An error of the expression, not of the data that is fetched."""
    quotient: models.Expression
    if database.vendor == "sqlite":  # divides by zero without an error
        quotient = models.Func(models.F("label"), function="json", output_field=models.TextField())
        database.sql("UPDATE boards_entry SET label = '{}'")
        declare(get_queryset=lambda self: Entry.objects.annotate(found=quotient).filter(found__isnull=False))
        database.sql("UPDATE boards_entry SET label = '{' WHERE id = 3")
    else:
        twelfth = 12 / models.F("position")
        quotient = models.ExpressionWrapper(twelfth, output_field=models.IntegerField())
        declare(get_queryset=lambda self: Entry.objects.annotate(found=quotient).filter(found__gte=0))
        database.sql("UPDATE boards_entry SET position = 0 WHERE id = 3")

    assert read() == without("3")


def test_a_topic_without_a_legal_name_hides_its_row(database, declare):
    """A topic field of 201 characters; the row is in no topic, all other rows go on."""
    feed = declare(topic_field="label")
    database.sql(f"UPDATE boards_entry SET label = '{'x' * 200}' WHERE id = 3")
    database.sql("UPDATE boards_entry SET label = 'short' WHERE id = 4")

    batch = database.sequence()

    topics = {entry.topic for entry in batch.entries}
    assert f"{NAME}.short" in topics
    assert max(map(len, topics)) <= 200
    assert "not a valid name" in left_out.reasons(NAME)["3"]
    assert set(feed.read_rows([3, 4])) == {4}


def test_a_topic_that_cannot_be_read_hides_its_row_from_a_related_change(database, declare):
    """The rows that a change of their board touches are found with their topics; one of these cannot be fetched."""
    column = {"sqlite": "label", "postgresql": "updated"}[database.vendor]
    database.sql(next(iter(BAD_DATA[database.vendor].values())))
    declare(topic_field=column, depends_on=["board"])
    board = Entry.objects.values_list("board", flat=True).get(pk=3)
    expected = {str(entry.pk) for entry in Entry.objects.filter(board=board).exclude(pk=3)}

    database.sql(f"UPDATE boards_board SET title = 'renamed' WHERE id = {board}")
    batch = database.sequence()

    entries = [entry for entry in batch.entries if entry.topic.startswith(NAME)]
    assert {entry.kind for entry in entries} == {"changes"}
    assert {change.key for entry in entries for change in log_changes(entry)} == expected
    assert set(left_out.reasons(NAME)) == {"3"}


def test_a_related_row_that_is_missing_hides_one_row(database, declare, monkeypatch):
    """A relation that raises DoesNotExist: in the ordering or in a property."""

    def owner(entry: Entry) -> str:
        return Board.objects.get(pk=10**6).title if entry.pk == 3 else ""

    monkeypatch.setattr(Entry, "owner", property(owner), raising=False)
    declare(row=lambda self, entry: (entry.owner, Feed.row(self, entry))[1])

    assert read() == without("3")
    assert "DoesNotExist" in left_out.reasons(NAME)["3"]


def test_a_lost_connection_is_no_fault_of_a_row(database, declare, monkeypatch):
    """Nothing is left out; the reader tries again."""
    from django.db import OperationalError

    def lost(entry: Entry) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    declare(row=lambda self, entry: lost(entry))

    with pytest.raises(OperationalError):
        positions.read_topic(NAME)
    assert left_out.reasons(NAME) == {}


@pytest.mark.parametrize("number", [0, 1000])
def test_a_query_that_is_wrong_for_every_row_is_no_fault_of_a_row(database, declare, fragile, number):
    """A table without its migration, for example: subscribers get an error, not an empty topic."""
    declare(template="<li>{{ entry.query_wrong }}</li>")
    Entry.objects.bulk_create(Entry(board_id=1, label="another") for _ in range(number))

    with pytest.raises(DatabaseError, match="nowhere"):
        positions.read_topic(NAME)
    assert left_out.reasons(NAME) == {}


def end_by(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_each_of_many_rows_whose_code_runs_a_wrong_query_is_left_out_alone(database, declare, fragile):
    declare(template="<li>{% if entry.label == 'poison' %}{{ entry.query_wrong }}{% endif %}</li>")
    Entry.objects.bulk_create(
        Entry(board_id=1, label="poison" if number % 10 else "well") for number in range(100)
    )

    assert len(read()) == 20
    assert len(left_out.reasons(NAME)) == 90


ENDS = {
    "close": lambda: connection.close(),
    "close all": lambda: connections.close_all(),
    "close the old ones": close_old_connections,
    "commit": lambda: end_by("COMMIT"),
    "roll back": lambda: end_by("ROLLBACK"),
}


@pytest.mark.parametrize("way", ENDS)
def test_a_row_that_ends_the_reading_stops_nothing(database, declare, monkeypatch, way):
    """Its own code closes the connection, or ends the transaction, in which all feeds are read."""
    monkeypatch.setattr(Entry, "end", property(lambda entry: ENDS[way]()), raising=False)
    declare(template="<li>{{ entry.label }}{% if entry.label == 'poison' %}{{ entry.end }}{% endif %}</li>")
    follower = Follower(NAME)

    database.sql("UPDATE boards_entry SET label = 'poison' WHERE id = 3")
    database.sql("UPDATE boards_entry SET label = 'changed' WHERE id = 4")

    assert read() == KEYS
    assert database.sequence() is not None
    assert database.sequence() is None
    follower.follow()
    follower.assert_equals_source()
    connection.close()
    assert connection.connection is None


def test_a_missing_template_is_no_fault_of_a_row(database, declare):
    """Subscribers get an error, not an empty topic."""
    from django.template import TemplateDoesNotExist

    declare(template_name="nowhere.html")

    with pytest.raises(TemplateDoesNotExist):
        positions.read_topic(NAME)
    assert left_out.reasons(NAME) == {}


# ---------------------------------------------------------------- one context


REVEALING = (
    "<li>{% load i18n l10n tz %}{{ entry.updated }} {{ entry.updated|date:'j F H:i e' }} {{ entry.value_number }} "
    "{% get_current_language as code %}{{ code }} {% get_current_timezone as zone %}{{ zone }} "
    "{% translate 'Yes' %} {% url 'admin:index' %} {{ entry.get_status_display }} {{ entry.board.title }}</li>"
)


class Replica:
    """A router that reads from a database that must not be asked."""

    def db_for_read(self, model, **hints):
        return "replica"


@contextlib.contextmanager
def another_language() -> Iterator[None]:
    with translation.override("de"):
        yield


@contextlib.contextmanager
def another_zone() -> Iterator[None]:
    with timezone.override("Asia/Tokyo"):
        yield


@contextlib.contextmanager
def another_prefix() -> Iterator[None]:
    set_script_prefix("/evil/")
    try:
        yield
    finally:
        set_script_prefix("/")


@contextlib.contextmanager
def other_urls() -> Iterator[None]:
    set_urlconf("tests.apps.standalone.urls")
    try:
        yield
    finally:
        set_urlconf(None)


@contextlib.contextmanager
def a_replica() -> Iterator[None]:
    from django.test import override_settings

    with override_settings(DATABASE_ROUTERS=["tests.contract.test_rendering.Replica"]):
        yield


SURROUNDINGS = [another_language, another_zone, another_prefix, other_urls, a_replica]


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "own", [{}, {"language": "de", "time_zone": "America/St_Johns"}], ids=["settings", "feed"]
)
def test_a_row_is_the_same_bytes_wherever_it_is_rendered(database, declare, monkeypatch, surroundings, own):
    """In a request with another language, zone, prefix or URLs, with a replica, in a thread, in the sequencer."""
    monkeypatch.setattr(Entry, "value_number", 1234567.5, raising=False)
    declare(
        template=REVEALING,
        ordering=["-updated"],
        fields=["label", "updated", "status"],
        depends_on=["board"],
        **own,
    )
    plain = contents(positions.read_topic(NAME).rows)

    with surroundings():
        inside = contents(positions.read_topic(NAME).rows)
        with transaction.atomic():
            Entry.objects.using("default").filter(pk=3).update(value="changed")
        batch = database.sequence()
    in_thread = read_elsewhere()

    assert inside == plain
    assert in_thread == plain
    (change,) = [change for entry in batch.entries if entry.topic == NAME for change in log_changes(entry)]
    (row,) = [row for row in plain if row[0] == "3"]
    assert (change.key, change.order, bytes(change.row), change.html) == row
    assert ("de America/St_Johns" if own else "en-gb UTC") in row[3]
    assert "href" not in row[3]
    assert " /admin/ " in row[3]


def read_elsewhere() -> list[Any]:
    """Return the rows as another thread reads them, which has none of the surroundings of this one."""

    def read() -> list[Any]:
        with contextlib.closing(connection):
            return contents(positions.read_topic(NAME).rows)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(read).result()


def test_surroundings_are_restored(database, declare):
    """A page continues in its own language after its rows."""
    from django.urls import get_script_prefix, get_urlconf

    declare(template=REVEALING)

    with another_language(), another_zone(), another_prefix(), other_urls():
        positions.read_topic(NAME)

        assert translation.get_language() == "de"
        assert timezone.get_current_timezone_name() == "Asia/Tokyo"
        assert get_script_prefix() == "/evil/"
        assert get_urlconf() == "tests.apps.standalone.urls"


def test_the_script_prefix_is_that_of_the_settings(database, declare, settings):
    """FORCE_SCRIPT_NAME, in the publisher's thread as in a request."""
    settings.FORCE_SCRIPT_NAME = "/app"
    declare(template="<li>{% url 'admin:index' %}</li>")

    assert ">/app/admin/<" in html_of(positions.read_topic(NAME).rows[0])
    with another_prefix():
        assert ">/app/admin/<" in html_of(positions.read_topic(NAME).rows[0])


def test_a_filter_by_date_is_by_the_days_of_the_feed(database, declare):
    """The database computes days in the feed's time zone, whatever the request's is."""
    database.sql("UPDATE boards_entry SET updated = '2026-07-01 23:30:00+00:00' WHERE id = 3")
    declare(filter=models.Q(updated__date="2026-07-01"))

    assert read() == ["3"]
    with another_zone():
        assert read() == ["3"]
