"""Keys, topics and the columns of dependencies are recorded exactly, whatever kind of field and session wrote them.

Rows are written by a program with unusual settings of its session: one that moves leaves its topic, one that is
deleted goes, one that changes is an upsert.
"""

import contextlib
import datetime
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
from django.apps.registry import Apps
from django.contrib.postgres import fields as postgres
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models
from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange
from django.db.models.functions import Lower

from realtime.engine.errors import UnknownTopic
from realtime.feeds import Feed, registry
from realtime.models import LogEntry, OutboxRow
from realtime.publishing import capture, positions
from tests.contract.conftest import Database, Follower, log_changes
from tests.contract.own_feeds import only_own_feeds, prepared  # noqa: F401
from tests.support.contents import json_of

UTC = datetime.UTC
NEPAL = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
TEXTS = ['it\'s 100% \\ "quoted" $$ {x}', 'it\'s 100% \\ "quoted" $$ {y}', "\U0001f6a2 e\u0301 \u00e9"]


@dataclass(frozen=True)
class Kind:
    """A kind of field with three values, of which the database reads each one as another."""

    make: Callable[..., Any]
    values: tuple[Any, Any, Any]
    vendors: tuple[str, ...] = ("sqlite", "postgresql")
    is_key: bool = True


def kind(make: Any, *values: Any, **options: Any) -> Kind:
    return Kind(make, values, **options)


def on_postgresql_only(make: Any, *values: Any, **options: Any) -> Kind:
    return Kind(make, values, vendors=("postgresql",), **options)


def decimal(digits: int, places: int) -> Callable[..., Any]:
    return lambda **options: models.DecimalField(max_digits=digits, decimal_places=places, **options)


def array(base: Any) -> Callable[..., Any]:
    return lambda **options: postgres.ArrayField(base, **options)


def chars(**given: Any) -> Callable[..., Any]:
    return lambda **options: models.CharField(max_length=100, **given, **options)


class PaddedField(models.Field):
    """A column of a kind that Django has no field for."""

    def db_type(self, connection: Any) -> str:
        return "char(8)"


class LegacyField(models.Field):
    """A column with another type than its field would have."""

    def db_type(self, connection: Any) -> str:
        return "bigint"


class HexField(models.Field):
    """Integers that are read as texts; what the column cannot have shows only in the value that is sent."""

    def db_type(self, connection: Any) -> str:
        return "bigint"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else hex(value)

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else int(value, 16)


class PairField(models.CharField):
    """Pairs of texts, with a text form of their own."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return self.to_python(value)

    def to_python(self, value: Any) -> Any:
        return tuple(value.split("/")) if isinstance(value, str) else value

    def get_prep_value(self, value: Any) -> Any:
        return value and "/".join(value)

    def value_to_string(self, obj: Any) -> str:
        return self.get_prep_value(self.value_from_object(obj))


class NamedField(models.IntegerField):
    """Numbers that are read as names: others than these raise what a dict raises."""

    NAMES: ClassVar = {"one": 1, "two": 2, "three": 3}

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return next((name for name, number in self.NAMES.items() if number == value), None)

    def to_python(self, value: Any) -> Any:
        return None if value is None else {name: name for name in self.NAMES}[value]

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else self.NAMES[value]


class AddressField(models.Field):
    """A type that checks its text itself, in the database."""

    def db_type(self, connection: Any) -> str:
        return "inet" if connection.vendor == "postgresql" else "text"


def moment(*numbers: int, zone: datetime.tzinfo = UTC) -> datetime.datetime:
    return datetime.datetime(*numbers, tzinfo=zone)  # type: ignore[arg-type, misc]


KINDS = {
    "integer": kind(models.IntegerField, 1, -2, 0),
    "small": kind(models.SmallIntegerField, 1, 32767, -32768),
    "63 bits": kind(models.BigIntegerField, 2**63 - 1, 2**53 + 1, -(2**63)),
    "boolean": kind(models.BooleanField, True, False, None, is_key=False),
    "char": kind(chars(), *TEXTS),
    "text": kind(models.TextField, "line\nbreak\ttab\r", "NULL", "  1.10 "),
    "text like numbers": kind(chars(), "1.10", "1.1", "0011"),
    "slug": kind(models.SlugField, "one", "two", "three"),
    "uuid": kind(models.UUIDField, *(uuid.UUID(int=number) for number in (1, 2, 2**128 - 1))),
    "decimal": kind(decimal(10, 2), Decimal("1.10"), Decimal("100.00"), Decimal("-0.01")),
    "decimal, whole": kind(decimal(12, 0), Decimal("100"), Decimal("999999999999"), Decimal("0")),
    "decimal, small": kind(decimal(12, 9), Decimal("1E-9"), Decimal("0"), Decimal("0.100000000")),
    "decimal, 15 digits": kind(
        decimal(15, 5), Decimal("1234567890.12345"), Decimal("1234567890.12346"), Decimal("0.10000")
    ),
    "decimal, 30 digits": on_postgresql_only(
        decimal(30, 10),
        Decimal("12345678901234567890.1234567890"), Decimal("12345678901234567890.1234567891"), Decimal("1"),
    ),
    "float": kind(models.FloatField, 0.1 + 0.2, 1e-300, -1.2345678901234567e22),
    "float, 17 digits": kind(models.FloatField, 0.30000000000000004, 0.3, 123456789012345.67),
    "datetime": kind(
        models.DateTimeField,
        moment(2026, 3, 4, 5, 6, 7, 890123), moment(2026, 4, 3, 5, 6, zone=NEPAL), moment(1899, 12, 31, 23, 59),
    ),
    "date": kind(models.DateField, *(datetime.date(2026, *day) for day in ((3, 4), (4, 3), (12, 31)))),
    "time": kind(
        models.TimeField, datetime.time(1, 2, 3, 456789), datetime.time(0), datetime.time(23, 59, 59)
    ),
    "duration": kind(
        models.DurationField,
        datetime.timedelta(days=1, hours=2, microseconds=3), -datetime.timedelta(hours=2), datetime.timedelta(),
    ),
    "address": kind(models.GenericIPAddressField, "192.168.0.1", "2001:db8::1", "10.0.0.255"),
    "file path": kind(models.FileField, "a b/c'.png", "d.png", "e.png", is_key=False),
    "padded": on_postgresql_only(PaddedField, "a", "b", "c d"),
    "legacy": kind(LegacyField, 1, 2**53 + 1, -1),
    "hexadecimal": kind(HexField, "0x1", "0xff", "-0x8000000000000000"),
    "pair": kind(lambda **options: PairField(max_length=100, **options), ("a", "b"), ("b", "a"), ("a/b", '"'),
                 is_key=False),
    "named": kind(NamedField, "one", "two", "three"),
    "checked by the database": kind(AddressField, "10.0.0.1", "2001:db8::1", "10.0.0.2", is_key=False),
    "range of integers": on_postgresql_only(
        postgres.IntegerRangeField, NumericRange(1, 5), NumericRange(None, 7), NumericRange(empty=True), is_key=False
    ),
    "range of decimals": on_postgresql_only(
        postgres.DecimalRangeField,
        NumericRange(Decimal("1.10"), Decimal("2.20"), "[]"), NumericRange(Decimal("1"), None),
        NumericRange(empty=True), is_key=False,
    ),
    "range of times": on_postgresql_only(
        postgres.DateTimeRangeField,
        DateTimeTZRange(moment(2026, 3, 4), moment(2026, 4, 3, zone=NEPAL)),
        DateTimeTZRange(moment(2026, 3, 4), None), DateTimeTZRange(empty=True), is_key=False,
    ),
    "range of dates": on_postgresql_only(
        postgres.DateRangeField,
        DateRange(datetime.date(2026, 3, 4), datetime.date(2026, 4, 3)), DateRange(None, datetime.date(2026, 1, 1)),
        DateRange(empty=True), is_key=False,
    ),
    "range of 64 bits": on_postgresql_only(
        postgres.BigIntegerRangeField,
        NumericRange(2**53 + 1, 2**63 - 1), NumericRange(-(2**62), None), NumericRange(empty=True), is_key=False,
    ),
    "array of uuids": on_postgresql_only(
        array(models.UUIDField()), [uuid.UUID(int=1)], [uuid.UUID(int=1), None], [], is_key=False
    ),
    "array of arrays": on_postgresql_only(
        array(postgres.ArrayField(models.IntegerField())), [[1, 2], [3, 4]], [[1], [2]], [], is_key=False
    ),
    "array of integers": on_postgresql_only(array(models.IntegerField()), [1, 2], [2], [], is_key=False),
    "array of texts": on_postgresql_only(array(chars()()), [*TEXTS], ["NULL", ""], ["a,b"], is_key=False),
    "array of decimals": on_postgresql_only(
        array(decimal(10, 2)()), [Decimal("1.10")], [Decimal("1.00"), None], [], is_key=False
    ),
    "array of times": on_postgresql_only(
        array(models.DateTimeField()), [moment(2026, 3, 4, 5)], [moment(2026, 4, 3)], [], is_key=False
    ),
}  # fmt: skip

SESSIONS = {
    "sqlite": {"cases matter": ["PRAGMA case_sensitive_like = ON", "PRAGMA recursive_triggers = ON"]},
    "postgresql": {
        f"{digits} digits": [
            "SET timezone = 'Asia/Kathmandu'",
            "SET datestyle = 'SQL, DMY'",
            f"SET extra_float_digits = {digits}",
            "SET intervalstyle = 'iso_8601'",
            "SET bytea_output = 'escape'",
            "SET standard_conforming_strings = off",
            "SET array_nulls = off",
            "SET transform_null_equals = on",
            "SET quote_all_identifiers = on",
            "SET client_encoding = 'LATIN1'",
            "SET search_path = ''",
        ]
        for digits in (0, -15)
    },
}


SCHEMAS = {"sqlite": "main", "postgresql": "public"}


@pytest.fixture
def odd(database: Database, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """A function that runs a statement as another program, with the settings of its session."""
    sessions = SESSIONS[database.vendor]
    if request.param not in range(len(sessions)):
        pytest.skip("there is one kind of session only")
    settings = list(sessions.values())[request.param]

    def run(statement: str) -> None:
        with contextlib.closing(database.connect()) as other:
            for setting in settings:
                other.execute(setting)
            # With the name of its schema: the session has no search path.
            other.execute(re.sub(r"\b(texts_\w+)", rf"{SCHEMAS[database.vendor]}.\1", statement))

    return run


def needed(name: str, database: Database) -> Kind:
    if database.vendor not in KINDS[name].vendors:
        pytest.skip(f"{database.vendor} has no {name}")
    return KINDS[name]


def make_models(**bodies: dict[str, Any]) -> list[Any]:
    """Create models and their tables; their database lasts for one test."""
    apps = Apps()
    made = []
    for name, body in bodies.items():
        meta = type("Meta", (), {"app_label": "texts", "apps": apps})
        made.append(type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **body}))
        with connection.schema_editor() as editor:
            editor.create_model(made[-1])
    return made


@contextlib.contextmanager
def live(database: Database, model: Any, base: type[Feed] = Feed, **attributes: Any) -> Iterator[Feed]:
    feed = type("Texts", (base,), {"name": "texts", **attributes})(model)
    registry.add(feed)
    try:
        capture.install()
        database.sequence()
        yield feed
    finally:
        registry.remove("texts")


def followers(feed: Feed, model: Any) -> list[Follower]:
    """Return one for the topic of each value that a row has now or gets."""
    columns = ("topic", "spare") if feed.topic_field else ()
    found = {value for column in columns for value in topics(feed, model, column)} or {feed.topic()}
    return [Follower(name) for name in sorted(found)]


def topics(feed: Feed, model: Any, column: str) -> set[str]:
    values = list(model.objects.order_by().values_list(column, flat=True))
    return {feed.topic(value) for value in values if value is not None}


def check(database: Database, readers: list[Follower]) -> list[LogEntry]:
    """Sequence, and compare what readers of the log have with what the database has; return the entries."""
    batch = database.sequence()
    assert batch is not None
    for reader in readers:
        reader.follow()
        reader.assert_equals_source()
        assert reader.reads == 1, "the reader must follow by entries, not by reading all rows"
    return batch.entries


def ops(entries: list[LogEntry]) -> list[tuple[str, list[tuple[str, str]]]]:
    return sorted((entry.topic, [(one.op, one.key) for one in log_changes(entry)]) for entry in entries)


SESSION_NUMBERS = pytest.mark.parametrize("odd", [0, 1], indirect=True, ids=["session 1", "session 2"])


@pytest.mark.combinations("odd", "name")
@SESSION_NUMBERS
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.is_key])
def test_keys(database, odd, name):
    """A changed row is an upsert; one whose key changes, or that is deleted, goes."""
    kind = needed(name, database)
    first, second, third = kind.values
    (model,) = make_models(
        Keyed={"key": kind.make(primary_key=True), "spare": kind.make(null=True), "label": chars()()}
    )
    model.objects.create(key=first, spare=second, label="one")
    model.objects.create(key=third, label="two")
    before, after = [
        str(model(pk=pk).pk) for pk in model.objects.filter(label="one").values_list("pk", "spare")[0]
    ]

    with live(database, model, fields=["label"]) as feed:
        readers = followers(feed, model)
        odd("UPDATE texts_keyed SET label = 'changed' WHERE label = 'one'")
        assert ops(check(database, readers)) == [("texts", [("upsert", before)])]

        odd("UPDATE texts_keyed SET key = spare WHERE label = 'changed'")
        ((_, found),) = ops(check(database, readers))
        assert sorted(found) == sorted([("delete", before), ("upsert", after)])

        odd("DELETE FROM texts_keyed WHERE label = 'changed'")
        assert ops(check(database, readers)) == [("texts", [("delete", after)])]


@pytest.mark.combinations("odd", "name")
@SESSION_NUMBERS
@pytest.mark.parametrize("name", KINDS)
def test_topics(database, odd, name):
    """A row that moves leaves its topic, and its old and new image and the instance name the same ones."""
    kind = needed(name, database)
    first, second, third = kind.values
    (model,) = make_models(
        Placed={"topic": kind.make(null=True), "spare": kind.make(null=True), "label": chars()()}
    )
    row = model.objects.create(topic=first, spare=second, label="one")
    model.objects.create(topic=third, spare=first, label="two")
    model.objects.create(topic=None, label="none")

    with live(database, model, topic_field="topic", fields=["label"]) as feed:
        readers = followers(feed, model)
        for reader in readers:
            assert registry.find(reader.topic.name)[0] is feed
        row = model.objects.get(label="one")
        here, there = feed.topic(row.topic), feed.topic(row.spare)
        assert here != there

        odd("UPDATE texts_placed SET label = 'changed' WHERE label = 'one'")
        assert ops(check(database, readers)) == [(here, [("upsert", str(row.pk))])]

        odd("UPDATE texts_placed SET topic = spare WHERE label = 'changed'")
        moved = [(here, [("delete", str(row.pk))]), (there, [("upsert", str(row.pk))])]
        assert ops(check(database, readers)) == sorted(moved)

        odd("DELETE FROM texts_placed WHERE label = 'changed'")
        assert ops(check(database, readers)) == [(there, [("delete", str(row.pk))])]


class OfParents(Feed):
    """A row contains the label of its parent."""

    depends_on = ["parent"]

    def row(self, instance: Any) -> Any:
        return msgspec.structs.replace(super().row(instance), html=f"<li>{instance.parent.label}</li>")


@pytest.mark.combinations("odd", "name")
@SESSION_NUMBERS
@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.is_key])
def test_dependencies(database, odd, name):
    """A change of the row that a foreign key refers to is a change of the rows that refer to it."""
    kind = needed(name, database)
    parent = {"code": kind.make(unique=True), "label": chars()()}
    child = {
        "parent": models.ForeignKey("texts.Parent", models.CASCADE, to_field="code", db_constraint=False)
    }
    parents, children = make_models(Parent=parent, Child=child)
    made = [parents.objects.create(code=value, label=f"parent {value!r}"[:50]) for value in kind.values]
    keys = [str(children.objects.create(parent=parents.objects.get(pk=one.pk)).pk) for one in made]

    with live(database, children, OfParents) as feed:
        readers = followers(feed, children)
        odd(f"UPDATE texts_parent SET label = 'changed' WHERE id = {made[0].pk}")
        assert ops(check(database, readers)) == [("texts", [("upsert", keys[0])])]


# ---------------------------------------------------------------- collations and computed columns


@pytest.fixture
def ignoring_case(database: Database) -> str:
    """The name of a collation for which texts are equal that differ in case."""
    if database.vendor == "sqlite":
        return "NOCASE"
    try:
        database.sql(
            "CREATE COLLATION ignoring_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except Exception as error:
        pytest.skip(f"this server has no such collation: {error}")
    return "ignoring_case"


@pytest.mark.parametrize("odd", [0], indirect=True, ids=["session 1"])
def test_a_column_that_ignores_case(database, odd, ignoring_case):
    """Keys and topics are told apart by their text, as in every message."""
    text = chars(db_collation=ignoring_case)
    (model,) = make_models(
        Cased={"key": text(primary_key=True), "topic": text(), "spare": text(null=True), "label": chars()()}
    )
    model.objects.create(key="Oslo", topic="Oslo", spare="OSLO", label="one")
    model.objects.create(key="Bergen", topic="Oslo", spare="Oslo", label="two")

    with live(database, model, topic_field="topic") as feed:
        readers = followers(feed, model)
        odd("UPDATE texts_cased SET topic = spare WHERE label = 'one'")
        assert ops(check(database, readers)) == [
            ("texts.OSLO", [("upsert", "Oslo")]), ("texts.Oslo", [("delete", "Oslo")])
        ]  # fmt: skip

        odd("UPDATE texts_cased SET key = spare WHERE label = 'one'")
        ((_, found),) = ops(check(database, readers))
        assert sorted(found) == [("delete", "Oslo"), ("upsert", "OSLO")]

        odd("DELETE FROM texts_cased WHERE label = 'one'")
        assert ops(check(database, readers)) == [("texts.OSLO", [("delete", "OSLO")])]


@pytest.mark.parametrize("odd", [0, 1], indirect=True, ids=["session 1", "session 2"])
def test_a_citext_column(database, odd):
    """The type of the extension, where the server has it."""
    if database.vendor != "postgresql":
        pytest.skip("only on PostgreSQL")
    try:
        database.sql("CREATE EXTENSION citext")
    except Exception as error:
        pytest.skip(f"this server has no citext: {error}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'A'::citext = 'a'::citext")
    (model,) = make_models(Cited={"topic": chars()(), "spare": chars()(), "label": chars()()})
    database.sql("ALTER TABLE texts_cited ALTER topic TYPE citext, ALTER spare TYPE citext")
    row = model.objects.create(topic="Oslo", spare="OSLO", label="one")

    with live(database, model, topic_field="topic") as feed:
        readers = followers(feed, model)
        odd("UPDATE texts_cited SET topic = spare")
        assert ops(check(database, readers)) == [
            ("texts.OSLO", [("upsert", str(row.pk))]), ("texts.Oslo", [("delete", str(row.pk))])
        ]  # fmt: skip


@pytest.mark.parametrize("odd", [0], indirect=True, ids=["session 1"])
def test_a_generated_column(database, odd):
    """It is computed by the database, from another column."""
    generated = models.GeneratedField(expression=Lower("label"), output_field=chars()(), db_persist=True)
    (model,) = make_models(Computed={"label": chars()(), "topic": generated})
    row = model.objects.create(label="One")

    with live(database, model, topic_field="topic") as feed:
        readers = [Follower("texts.one"), Follower("texts.two")]
        odd("UPDATE texts_computed SET label = 'Two'")
        assert ops(check(database, readers)) == [
            ("texts.one", [("delete", str(row.pk))]), ("texts.two", [("upsert", str(row.pk))])
        ]  # fmt: skip
        assert feed.topic_of(model.objects.get()) == "texts.two"


COMPUTED_WHEN_READ = {
    "sqlite": ["ALTER TABLE texts_later ADD topic text GENERATED ALWAYS AS (substr(label, 1, 1)) VIRTUAL"],
    "postgresql": [
        "ALTER TABLE texts_later ADD topic varchar(9) GENERATED ALWAYS AS "
        "(left(label, 1) || CASE WHEN label LIKE '%x' THEN '' END) VIRTUAL",
        "UPDATE texts_later SET label = label || 'x'",
    ],
}


@pytest.mark.parametrize("odd", [0], indirect=True, ids=["session 1"])
def test_a_column_that_is_computed_when_it_is_read(database, odd):
    """Triggers of PostgreSQL cannot read it, and a statement that tries to fails."""
    if getattr(connection, "pg_version", 18_00_00) < 18_00_00:
        pytest.skip("this server has no such columns")
    (model,) = make_models(Later={"label": chars()(), "topic": chars()(null=True)})
    row = model.objects.create(label="a")
    database.sql("ALTER TABLE texts_later DROP COLUMN topic", *COMPUTED_WHEN_READ[database.vendor])

    with live(database, model, topic_field="topic"):
        readers = [Follower("texts.a"), Follower("texts.b")]
        odd("UPDATE texts_later SET label = replace(label, 'a', 'b')")
        assert ops(check(database, readers)) == [
            ("texts.a", [("delete", str(row.pk))]), ("texts.b", [("upsert", str(row.pk))])
        ]  # fmt: skip


@pytest.mark.parametrize(
    "write", ["INSERT INTO texts_said (id, topic) VALUES (1, {})", "UPDATE texts_said SET topic = {}"]
)
@pytest.mark.parametrize(
    "text", ["json_array(1, 2)", "json_quote('a')", """json_extract('{"x": {"y": 1}}', '$.x')"""]
)
def test_a_text_that_a_function_of_json_returns(on_sqlite, write, text):
    """SQLite marks it as a part of JSON, until it is read from the table."""
    (model,) = make_models(Said={"topic": chars()()})
    row = model(pk=1, topic="before")
    if write.startswith("UPDATE"):
        row.save()

    with live(on_sqlite, model, topic_field="topic"):
        on_sqlite.sql(write.format(text))
        on_sqlite.sequence()
        reader = Follower(f"texts.{model.objects.get().topic}")
        assert [placed.key for placed in reader.topic.rows] == ["1"]

        row.delete()
        assert ops(check(on_sqlite, [reader])) == [(reader.topic.name, [("delete", "1")])]


@pytest.mark.parametrize("odd", [0], indirect=True, ids=["session 1"])
def test_a_column_of_a_domain(database, odd):
    """The driver reads its values as those of the type behind it."""
    if database.vendor != "postgresql":
        pytest.skip("only on PostgreSQL")
    database.sql("CREATE DOMAIN price AS numeric CHECK (VALUE > 0)", "CREATE DOMAIN at AS timestamptz")
    (model,) = make_models(
        Priced={
            "topic": decimal(10, 2)(),
            "spare": decimal(10, 2)(),
            "at": models.DateTimeField(primary_key=True),
        }
    )
    database.sql("ALTER TABLE texts_priced ALTER topic TYPE price, ALTER spare TYPE price, ALTER at TYPE at")
    model.objects.create(topic=Decimal("1.10"), spare=Decimal("1.20"), at=moment(2026, 3, 4))
    key = str(model.objects.get().pk)

    with live(database, model, topic_field="topic") as feed:
        readers = followers(feed, model)
        odd("UPDATE texts_priced SET topic = spare")
        assert ops(check(database, readers)) == [
            ("texts.1.10", [("delete", key)]), ("texts.1.20", [("upsert", key)])
        ]  # fmt: skip


# ---------------------------------------------------------------- images of older releases, other spellings


OLD = [name for name in KINDS if not name.startswith(("array", "range", "decimal, 15", "float", "padded"))]


@pytest.mark.parametrize("name", [name for name in OLD if KINDS[name].is_key])
def test_images_of_older_triggers_are_understood(database, name):
    """Images that wait in the outbox while a new release is deployed have values as JSON has them."""
    kind = needed(name, database)
    first, second, third = kind.values
    (model,) = make_models(
        Old={"key": kind.make(primary_key=True), "topic": kind.make(null=True), "label": chars()()}
    )
    model.objects.create(key=first, topic=second, label="one")
    model.objects.create(key=third, topic=second, label="two")
    build = "json_object" if database.vendor == "sqlite" else "jsonb_build_object"

    with live(database, model, topic_field="topic", fields=["label"]) as feed:
        reader = Follower(feed.topic(model.objects.get(label="one").topic))
        capture.uninstall(["texts_old"])
        database.sql(
            "INSERT INTO realtime_outboxrow (source, image) "
            f"SELECT 'texts_old', {build}('key', key, 'topic', topic) FROM texts_old",
            "DELETE FROM texts_old WHERE label = 'one'",
            "UPDATE texts_old SET label = 'changed'",
        )
        check(database, [reader])
        assert len(reader.topic.rows) == 1


@pytest.mark.parametrize(
    "make, spelling, others",
    [
        (decimal(10, 2), "1.10", ["1.1", "1.100", "+1.10", "1.10E0", " 1.10"]),
        (models.FloatField, "0.0", ["-0.0", "0", "0e0"]),
        (
            models.DateTimeField,
            "2026-03-04 05:00:00+00:00",
            ["2026-03-04 10:45:00+05:45", "2026-03-04 05:00:00", "2026-03-04T05:00:00Z"],
        ),
        (models.UUIDField, str(uuid.UUID(int=1)), [uuid.UUID(int=1).hex, str(uuid.UUID(int=255)).upper()]),
        (models.BooleanField, "True", ["1", "t", "true"]),
    ],
)
def test_a_topic_has_one_spelling(database, make, spelling, others):
    """Subscribers of another spelling are refused; they would never receive a change."""
    (model,) = make_models(Spelled={"topic": make(null=True)})

    with live(database, model, topic_field="topic") as feed:
        key = registry.find(f"texts.{spelling}")[1]
        assert feed.topic(key) == f"texts.{spelling}"
        for other in others:
            with pytest.raises(Exception, match="no topic"):
                registry.find(f"texts.{other}")


@pytest.mark.parametrize(
    "field, words",
    [
        (models.JSONField(null=True), "topic is JSON and cannot identify a row"),
        (models.BinaryField(null=True), "topic is binary and cannot identify a row"),
        (array(models.IntegerField())(primary_key=True), "topic is an array and cannot identify a row"),
        (postgres.DateRangeField(primary_key=True), "topic is a range and cannot identify a row"),
        (models.ImageField(primary_key=True), "topic is a file and cannot identify a row"),
    ],
)
def test_a_field_without_one_text_is_refused(field, words):
    """Equal values may have several texts, or rows cannot be ordered by them."""
    meta = type("Meta", (), {"app_label": "texts", "apps": Apps()})
    model: Any = type("Refused", (models.Model,), {"__module__": __name__, "Meta": meta, "topic": field})

    with pytest.raises(ImproperlyConfigured, match=words):
        type("Texts", (Feed,), {"name": "texts", "topic_field": "topic"})(model)


def test_bytes_in_a_column_of_text_do_not_make_the_write_fail(database):
    """SQLite stores any value in any column, and JSON has no bytes."""
    if database.vendor != "sqlite":
        pytest.skip("only on SQLite")
    (model,) = make_models(Loose={"topic": models.TextField(), "label": chars()()})

    with live(database, model, topic_field="topic"):
        database.sql("INSERT INTO texts_loose (topic, label) VALUES (x'00ff', 'bytes'), ('text', 'x')")
        assert OutboxRow.objects.filter(source="texts_loose", image__isnull=False).count() == 2
        reader = Follower("texts.text")
        database.sql("UPDATE texts_loose SET label = 'y' WHERE label = 'x'")
        database.sequence()
        reader.follow()
        reader.assert_equals_source()


@pytest.mark.parametrize("length", [7_900, 8_001, 65_536, 250_000])
def test_a_row_of_more_than_8_kb_is_in_the_log(database, length):
    """A notification of PostgreSQL has at most 8,000 bytes: a topic, and a value, may be longer."""
    (model,) = make_models(Long={"topic": models.TextField(), "text": models.TextField()})

    with live(database, model, topic_field="topic", fields=["text"]) as feed:
        long = "x" * length
        model.objects.create(topic="a", text="short")
        database.sequence()
        reader = Follower(f"{feed.name}.a")
        model.objects.update(text=long)
        database.sequence()
        reader.follow()
        reader.assert_equals_source()

    assert [json_of(row) for row in reader.topic.rows] == [b'{"text":"%b"}' % long.encode()]
    assert reader.reads == 1


NO_KEYS = {
    "sqlite": [
        (models.FloatField, "'x'"), (models.FloatField, "x'00ff'"), (decimal(10, 2), "'NaN'"),
        (decimal(10, 2), "9e999"), (models.UUIDField, "'x'"), (models.DateField, "'2026-02-30'"),
        (models.TextField, "x'ff'"),
    ],
    "postgresql": [(models.FloatField, "'NaN'"), (decimal(10, 2), "'NaN'"), (models.DateField, "'infinity'")],
}  # fmt: skip
"""Values in SQL that a column of a key can hold and that are no keys."""


@pytest.mark.parametrize("number", range(max(map(len, NO_KEYS.values()))))
def test_a_key_that_its_field_cannot_have_is_left_out_by_every_reader(database, number):
    """By one that reads the topic, as by one that follows its changes; its neighbours are live."""
    if number >= len(NO_KEYS[database.vendor]):
        pytest.skip("there are not so many")
    make, bad = NO_KEYS[database.vendor][number]
    (model,) = make_models(Keyless={"key": make(primary_key=True, editable=False), "label": chars()()})
    good = {models.UUIDField: f"'{uuid.UUID(int=1).hex}'", models.DateField: "'2026-03-04'"}.get(make, "1")

    with live(database, model, fields=["label"]):
        follower = Follower("texts")
        for statement in (
            f"INSERT INTO texts_keyless (key, label) VALUES ({good}, 'good'), ({bad}, 'bad')",
            "UPDATE texts_keyless SET label = label || '!'",
            "DELETE FROM texts_keyless WHERE label = 'bad!'",
        ):
            database.sql(statement)
            database.sequence()
            follower.follow()
            follower.assert_equals_source()
            assert len(follower.topic.rows) == 1
            assert follower.reads == 1
        database.sql(f"UPDATE texts_keyless SET key = {bad}")
        database.sequence()
        follower.follow()
        assert follower.topic.rows == []


UUID_10 = "00000000-0000-0000-0000-00000000000a"
OTHER_FORMS: dict[str, dict[str, tuple[Any, str]]] = {
    "sqlite": {
        "uuid with dashes": (models.UUIDField, f"'{UUID_10}'"),
        "uuid in capitals": (models.UUIDField, f"'{uuid.UUID(UUID_10).hex.upper()}'"),
        "uuid in braces": (models.UUIDField, f"'{{{UUID_10}}}'"),
        "decimal with more places": (decimal(10, 2), "1.105"),
        "datetime with a T": (models.DateTimeField, "'2026-03-04T05:06:07'"),
        "datetime with milliseconds": (models.DateTimeField, "'2026-03-04 05:06:07.000'"),
        "datetime with a zone": (models.DateTimeField, "'2026-03-04 05:06:07+00:00'"),
        "date of one digit": (models.DateField, "'2026-3-4'"),
        "date with a time": (models.DateField, "'2026-03-04 00:00:00'"),
        "time without seconds": (models.TimeField, "'05:06'"),
        "address in capitals": (models.GenericIPAddressField, "'2001:DB8:0::1'"),
        "bytes": (models.TextField, "x'616263'"),
    },
    "postgresql": {
        "address of a network": (models.GenericIPAddressField, "'10.0.0.1/24'"),
        "long address of a network": (models.GenericIPAddressField, "'2001:db8::1/64'"),
    },
}  # fmt: skip
"""Values in SQL that Django reads, and does not find by the value that it has read."""


def other_forms(database: Database, name: str) -> tuple[Any, str]:
    if name not in OTHER_FORMS[database.vendor]:
        pytest.skip(f"not on {database.vendor}")
    return OTHER_FORMS[database.vendor][name]


EVERY_OTHER_FORM = pytest.mark.parametrize("name", [name for forms in OTHER_FORMS.values() for name in forms])


@EVERY_OTHER_FORM
def test_a_key_that_django_does_not_find_is_left_out_by_every_reader(database, name):
    """No reader has a row of which no change could be found; its neighbour is live."""
    make, form = other_forms(database, name)
    (model,) = make_models(Odd={"key": make(primary_key=True, editable=False), "label": chars()()})
    good = {models.TextField: "good", models.GenericIPAddressField: "10.0.0.2"}
    values = [kind.values[1] for kind in KINDS.values() if kind.make is make]
    model.objects.create(key=good.get(make, values[0] if values else 1), label="good")

    with live(database, model, fields=["label"]) as feed:
        follower = Follower("texts")
        for statement in (
            f"INSERT INTO texts_odd (key, label) VALUES ({form}, 'odd')",
            "UPDATE texts_odd SET label = label || '!'",
            "DELETE FROM texts_odd WHERE label = 'odd!'",
        ):
            database.sql(statement)
            keys = [str(key) for key in feed.keys_after(None, 1, "texts")]
            database.sequence()
            follower.follow()
            follower.assert_equals_source()
            assert [row.key for row in follower.topic.rows] == keys
            assert len(keys) == follower.reads == 1


CANONICAL = {
    "uuid in capitals": f"'{uuid.UUID(UUID_10).hex}'",
    "datetime with a T": "'2026-03-04 05:06:07'",
    "address in capitals": "'2001:db8::1'",
}
"""The form in which Django writes values that it reads from others."""


@pytest.mark.parametrize("name", CANONICAL)
@pytest.mark.parametrize("topic", ["a", "b"], ids=["same topic", "other topic"])
@pytest.mark.parametrize("is_shown", [True, False], ids=["shown", "hidden"])
def test_of_two_rows_that_read_as_one_key_the_one_that_django_finds_is_live(on_sqlite, name, topic, is_shown):
    """Both readers have that row alone, whichever is written; the other is never in its place."""
    make, form = other_forms(on_sqlite, name)
    (model,) = make_models(
        Odd={"key": make(primary_key=True, editable=False), "topic": chars()(), "label": chars()()}
    )
    hidden = ~models.Q() if is_shown else ~models.Q(label__startswith="own")

    with live(on_sqlite, model, topic_field="topic", fields=["label"], filter=hidden) as feed:
        on_sqlite.sql(
            f"INSERT INTO texts_odd (key, topic, label) VALUES ({form}, '{topic}', 'odd')",
            f"INSERT INTO texts_odd (key, topic, label) VALUES ({CANONICAL[name]}, 'a', 'own')",
        )
        on_sqlite.sequence()
        followers = [Follower("texts.a"), Follower("texts.b")]
        for statement, label in (
            ("UPDATE texts_odd SET label = label || '!' WHERE label LIKE 'odd%'", "own"),
            ("UPDATE texts_odd SET label = label || '!' WHERE label LIKE 'own%'", "own!"),
            ("UPDATE texts_odd SET label = label || '!'", "own!!"),
            ("DELETE FROM texts_odd WHERE label LIKE 'odd%'", "own!!"),
            ("DELETE FROM texts_odd", None),
        ):
            on_sqlite.sql(statement)
            on_sqlite.sequence()
            for follower in followers:
                follower.follow()
                follower.assert_equals_source()
                assert follower.reads == 1
            found = [json_of(row) for follower in followers for row in follower.topic.rows]
            assert found == ([b'{"label":"%b"}' % label.encode()] if label and is_shown else [])
            assert len(feed.keys_after(None, 9, "texts")) == len(found)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_pages_of_keys_leave_out_no_row_beside_other_forms_of_their_keys(on_sqlite, size):
    """A page that ended at another form of a later key would be followed by what comes after that key."""
    (model,) = make_models(Odd={"key": models.UUIDField(primary_key=True)})
    keys = [uuid.UUID(int=number << 124) for number in (1, 9, 10, 11, 15)]
    forms = [*(key.hex for key in keys), keys[2].hex.upper(), keys[4].hex.upper(), str(keys[1])]
    on_sqlite.sql(*(f"INSERT INTO texts_odd (key) VALUES ('{form}')" for form in forms))

    with live(on_sqlite, model) as feed:
        found: list[Any] = []
        while page := feed.keys_after(found[-1] if found else None, size, "texts"):
            found += page

    assert found == keys


def test_the_log_names_a_row_that_django_does_not_find_by_its_key(on_sqlite, caplog):
    """Django's admin does not open it either."""
    (model,) = make_models(Odd={"key": models.UUIDField(primary_key=True)})
    on_sqlite.sql(f"INSERT INTO texts_odd (key) VALUES ('{uuid.UUID(int=99)}')")

    with live(on_sqlite, model):
        assert positions.read_topic("texts").rows == []

    assert f"leaves out row '{uuid.UUID(int=99)}': its key is stored in another form" in caplog.text


@EVERY_OTHER_FORM
def test_a_topic_that_django_does_not_find_is_in_no_topic(database, name):
    """A reading of the topic would not find the row, so that no change brings it either."""
    make, form = other_forms(database, name)
    (model,) = make_models(Odd={"topic": make(null=True), "label": chars()()})
    database.sql(f"INSERT INTO texts_odd (topic, label) VALUES ({form}, 'odd')")

    with live(database, model, topic_field="topic", fields=["label"]):
        for statement in (
            "UPDATE texts_odd SET label = label || '!'",
            "UPDATE texts_odd SET id = id + 1",
            "DELETE FROM texts_odd",
        ):
            database.sql(statement)
            batch = database.sequence()
            assert batch is not None
            assert {entry.topic for entry in batch.entries} != {"texts"}, "the feed must not be read again"
            assert {one.op for entry in batch.entries for one in log_changes(entry)} <= {"delete"}


REFERRED_TO = [
    "uuid with dashes", "uuid in capitals", "datetime with a T", "decimal with more places", "address in capitals",
    "address of a network", "long address of a network",
]  # fmt: skip


@pytest.mark.parametrize("name", REFERRED_TO)
def test_a_row_that_refers_to_another_form_is_current_after_a_change_there(database, name):
    """The database joins the two by what is stored, while Django looks for another form, or has none."""
    make, form = other_forms(database, name)
    parent = {"code": make(unique=True), "label": chars()()}
    child = {
        "parent": models.ForeignKey("texts.Parent", models.CASCADE, to_field="code", db_constraint=False)
    }
    _, children = make_models(Parent=parent, Child=child)
    database.sql(
        f"INSERT INTO texts_parent (id, code, label) VALUES (1, {form}, 'old')",
        f"INSERT INTO texts_child (id, parent_id) VALUES (1, {form})",
    )

    with live(database, children, fields=["parent__label"]):
        follower = Follower("texts")
        for label in ("new", "newer"):
            database.sql(f"UPDATE texts_parent SET label = '{label}'")
            database.sequence()
            follower.follow()
            follower.assert_equals_source()
            assert [json_of(row) for row in follower.topic.rows] == [
                b'{"parent__label":"%b"}' % label.encode()
            ]


GARBAGE = [
    "", "x", "\u0660", "None", "NaN", "Infinity", "1E400", "-1", "1_000", "9" * 40, "10.0.0.1/24", "1.2.3", "::1%eth0",
    "0001-01-01", "9999-12-31 23:59:59.999999+00:00", "24:00:00", "P9999999999D", "null", "[]", "{}", "[1]", "(1,2)",
    '["99999999999999999999"]', '{"lower": "9999999999999999999", "upper": null, "bounds": "[)"}', "1" * 190,
]  # fmt: skip
"""Names of topics that a client may request."""


@pytest.mark.parametrize("name", KINDS)
def test_a_name_of_no_topic_is_refused_or_has_no_rows(database, name):
    """It is no reason to report in the log that a topic cannot be read."""
    (model,) = make_models(Placed={"topic": needed(name, database).make(null=True)})

    with live(database, model, topic_field="topic"):
        for text in GARBAGE:
            with contextlib.suppress(UnknownTopic):
                assert positions.read_topic(f"texts.{text}").rows == []
