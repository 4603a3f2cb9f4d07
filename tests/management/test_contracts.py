"""Schemas of rows: what is sent is what they say, whatever a feed declares."""

import datetime
import json
import sys
import uuid
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.db import models
from django.db.models import Avg, Count, F, Max, Sum, Value
from msgspec import Raw

from realtime.engine import messages
from realtime.engine.messages import Changes, Row, Snapshot
from realtime.feeds import computed, registry
from realtime.management import contracts
from realtime.management.contracts import protocol, row_schema, topic_pattern
from realtime.models import ProcessReport
from realtime.operators.live import ProcessesFeed

# It makes grammars for a second when it is imported, of formats that no schema here has.
with patch.dict(sys.modules, {"rfc3987_syntax": None}):
    import jsonschema


class Measure(models.FloatField):
    """A field with values of its own."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return {"metres": value}


KINDS: dict[str, tuple[Any, Any, Any]] = {
    "boolean": (models.BooleanField, True, {"type": "boolean"}),
    "small": (models.PositiveSmallIntegerField, 7, {"type": "integer"}),
    "big": (models.BigIntegerField, 2**60, {"type": "integer"}),
    "float": (models.FloatField, 1.5, {"type": "number"}),
    "decimal": (lambda **o: models.DecimalField(max_digits=9, decimal_places=2, **o), Decimal("1.10"),
                {"type": "string", "format": "decimal"}),
    "char": (lambda **o: models.CharField(max_length=9, **o), "x", {"type": "string"}),
    "slug": (models.SlugField, "x-y", {"type": "string"}),
    "url": (models.URLField, "http://h/", {"type": "string"}),
    "text": (models.TextField, "<b>", {"type": "string"}),
    "date": (models.DateField, datetime.date(2026, 3, 4), {"type": "string", "format": "date"}),
    "moment": (models.DateTimeField, datetime.datetime(2026, 3, 4, tzinfo=datetime.UTC),
               {"type": "string", "format": "date-time"}),
    "time": (models.TimeField, datetime.time(5, 6), {"type": "string", "format": "time"}),
    "duration": (models.DurationField, datetime.timedelta(days=1, seconds=2), {"type": "string", "format": "duration"}),
    "uuid": (models.UUIDField, uuid.UUID(int=5), {"type": "string", "format": "uuid"}),
    "bytes": (models.BinaryField, b"\0\xff", {"type": "string", "format": "byte"}),
    "address": (models.GenericIPAddressField, "127.0.0.1", {"type": "string"}),
    "json": (models.JSONField, [1, {"a": None}], {}),
    "measure": (Measure, 2.0, {}),
}  # fmt: skip


@pytest.mark.parametrize("value", ["given", "null"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_what_its_schema_says(make_model, live, kind, value):
    """For every kind of field, with a value and without one."""
    field, given, expected = KINDS[kind]
    model = make_model("Thing", value=field(null=value == "null"))
    feed = live(model, name="things", fields=["pk", "value"])
    instance = model.objects.create(value=given if value == "given" else None)

    schema = row_schema(feed)
    sent = json.loads(bytes(feed.row(model.objects.get(pk=instance.pk)).row))

    jsonschema.validate(sent, schema)
    if value == "given":
        assert schema["properties"]["value"] == expected
    elif expected:
        assert schema["properties"]["value"]["type"] == [expected["type"], "null"]
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**sent, "value": {"of another": "type"}}, schema)


def test_relations_and_files(make_model, live):
    """A relation is the key of the other row; a value across one may be null, and so may a file."""
    owner = make_model("Owner", name=models.CharField(max_length=9))
    thing = make_model(
        "Thing",
        {"apps": owner._meta.apps},
        owner=models.ForeignKey(owner, models.CASCADE),
        file=models.FileField(),
    )
    feed = live(thing, name="things", fields=["owner", "owner__name", "file"])

    properties = row_schema(feed)["properties"]

    assert properties["owner"] == {"type": "integer"}
    assert properties["owner__name"] == {"type": ["string", "null"]}
    assert properties["file"]["type"] == ["string", "null"]


def test_computed_values_have_the_type_that_their_method_returns(make_model, live):
    """One without an annotation, or with one that has no schema, is any value."""

    def known(self, instance) -> list[int] | None: ...
    def price(self, instance) -> Decimal: ...
    def unknown(self, instance): ...
    def odd(self, instance) -> KINDS: ...  # type: ignore[valid-type]

    methods = {each.__name__: computed(each) for each in (known, price, unknown, odd)}
    feed = live(make_model("Thing"), name="things", **methods)

    properties = row_schema(feed)["properties"]

    assert properties["known"] == {
        "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]
    }
    assert properties["price"]["type"] == "string"
    assert properties["unknown"] == properties["odd"] == {}


@pytest.mark.parametrize(
    "expression, kind",
    [
        (Count("pk"), "integer"),
        (Sum("size"), ["integer", "null"]),
        (Max("size"), ["integer", "null"]),
        (Sum("size", default=0), "integer"),
        (F("size") + 1, ["integer", "null"]),
        (Avg("size"), ["number", "null"]),
        (Value(7), "integer"),
        (Value("a"), "string"),
    ],
    ids=str,
)
def test_an_expression_may_be_null_unless_it_has_a_value_for_no_rows(make_model, live, expression, kind):
    """A sum of no rows is null, their number is zero; so are the values that subscribers are sent."""
    model = make_model("Thing", size=models.IntegerField(null=True))
    feed = live(model, name="things", fields=["it"], annotations={"it": expression})

    assert row_schema(feed)["properties"]["it"]["type"] == kind


def test_of_rows_that_a_feed_serializes_itself_only_the_kind_is_known(make_model, live):
    feed = live(make_model("Thing"), name="things", serialize=lambda self, instance: {"a": 1})

    assert row_schema(feed) == {"title": "A row of things", "type": "object"}


@pytest.mark.parametrize(
    "topic_field, right, wrong", [(None, ["a-b"], ["a-b.1", "axb"]), ("size", ["a-b.1"], ["a-b", "a-b."])]
)
def test_topics_have_the_feeds_name(make_model, live, topic_field, right, wrong):
    feed = live(make_model("Thing", size=models.IntegerField()), name="a-b", topic_field=topic_field)
    for topic in right:
        jsonschema.validate(topic, {"pattern": topic_pattern(feed)})
    for topic in wrong:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(topic, {"pattern": topic_pattern(feed)})


@pytest.mark.parametrize(
    "message",
    [
        Snapshot("t", "e.1", [Row("1", "a", Raw(b'{"a":1}'), digest=5)], False),
        Changes("t", 1, "e.2", [messages.delete("1")]),
        messages.Heartbeat({"t": "e.1"}, {"t": 5}, 1.5),
        messages.Reply(1, error=messages.ReplyError(4400, "no", {"a": ["b"]})),
        messages.Bye(4512, "drains", 0.5),
        messages.Call(1, "echo", Raw(b'{"text":"x"}')),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_are_what_their_schemas_say(message):
    """As they are sent."""
    client, server, schemas = protocol()
    name = type(message).__name__
    assert name in [*client, *server]
    local = json.loads(json.dumps(schemas).replace("#/components/schemas/", "#/$defs/"))

    jsonschema.validate(json.loads(messages.encode(message)), {**local[name], "$defs": local})


def test_feeds_that_are_off_are_no_part_of_a_contract(make_model, live):
    feed = live(make_model("Thing"), name="things", ordering=["nothing"])
    assert feed.error

    assert "things" not in [each.name for each in contracts.feeds()]
    assert [each.name for each in contracts.feeds()] == sorted(each.name for each in registry)


def test_the_feed_of_the_engines_own_page_is_no_part_of_a_contract():
    """The contract of a project with its clients does not change with the engine's pages."""
    registry.add(ProcessesFeed(ProcessReport))
    try:
        assert ProcessesFeed.name in registry
        assert ProcessesFeed.name not in [each.name for each in contracts.feeds()]
    finally:
        registry.remove(ProcessesFeed.name)


@pytest.mark.parametrize("command", ["realtime_asyncapi", "realtime_types"])
def test_a_contract_is_written_and_compared(command, tmp_path, capsys):
    """To a file, or to the terminal; the comparison is for a build, and changes nothing."""
    file = tmp_path / "contract"
    call_command(command)
    printed = capsys.readouterr().out
    call_command(command, output=str(file))
    assert file.read_text() == printed
    call_command(command, output=str(file), check=True)

    file.write_text("another")
    with pytest.raises(CommandError, match="is not what the feeds declare now"):
        call_command(command, output=str(file), check=True)

    assert file.read_text() == "another"
    with pytest.raises(CommandError, match="--check needs --output"):
        call_command(command, check=True)
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command(command, output=str(tmp_path / "no" / "folder"))
