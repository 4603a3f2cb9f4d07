"""Contracts: documents of the protocol for clients, generated from its structs and from the registered feeds."""

import inspect
import re
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from django.core.management.base import CommandError, CommandParser
from django.db import models

from ..engine.messages import ClientMessage, ServerMessage
from ..feeds import Feed, registry
from ..operators.reports import FEED
from ..rows.values import Value
from .terminal import TerminalCommand

Schema: TypeAlias = dict[str, Any]

REF = "#/components/schemas/{name}"
STRINGS: "dict[type[models.Field[Any, Any]], str]" = {
    models.DateTimeField: "date-time",
    models.DateField: "date",
    models.TimeField: "time",
    models.DurationField: "duration",
    models.UUIDField: "uuid",
    models.DecimalField: "decimal",
    models.BinaryField: "byte",
    models.FileField: "uri-reference",
}
"""Fields whose values are text of a certain form; for a subclass of several the first one counts."""
PLAIN: "dict[type[models.Field[Any, Any]], str]" = {
    models.BooleanField: "boolean",
    models.IntegerField: "integer",
    models.FloatField: "number",
    models.CharField: "string",
    models.TextField: "string",
    models.GenericIPAddressField: "string",
}


class ContractCommand(TerminalCommand):
    """A command that writes a contract, or compares it with the file that has it."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", metavar="FILE", help="write it to this file instead of the terminal")
        parser.add_argument(
            "--check",
            action="store_true",
            help="change nothing; exit with 1 if the file of --output differs",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        text, name = self.contract(), options["output"]
        if name is None:
            if options["check"]:
                raise CommandError("--check needs --output: the file to compare with")
            self.stdout.write(text.rstrip("\n"))
            return
        file = Path(name)
        try:
            if not options["check"]:
                file.write_text(text)
                self.say(f"written to {file}")
            elif file.read_text() != text:
                raise CommandError(
                    f"{file} is not what the feeds declare now: write it again, without --check"
                )
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error

    def contract(self) -> str:
        """Return the text of the contract."""
        raise NotImplementedError


def protocol() -> tuple[list[str], list[str], dict[str, Schema]]:
    """Return the messages of clients, those of servers, and the schemas of all structs, by their names."""
    (client, server), schemas = msgspec.json.schema_components(
        [ClientMessage, ServerMessage], ref_template=REF
    )
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].replace("``", "`").split())
        for name in ("row", "args"):  # encoded before, so that their types are not known
            if schema["properties"].get(name) == {}:
                schema["properties"][name] = {"type": "object"}
    return _names(client), _names(server), schemas


def _names(union: Schema) -> list[str]:
    return [each["$ref"].rpartition("/")[2] for each in union["anyOf"]]


def feeds() -> list[Feed]:
    """Return the project's feeds by name, without those that are off and that of the engine's own page."""
    return sorted((feed for feed in registry if feed.name != FEED), key=lambda feed: feed.name)


def row_schema(feed: Feed) -> Schema:
    """Return the schema of a feed's rows: any object, if the feed has a ``serialize`` of its own."""
    schema: Schema = {"title": f"A row of {feed.name}", "type": "object"}
    if feed.__doc__ and type(feed).__doc__ != Feed.__doc__:
        schema["description"] = " ".join(inspect.cleandoc(feed.__doc__).split())
    if type(feed).serialize is Feed.serialize:
        schema["properties"] = {value.name: value_schema(value) for value in feed.values}
        schema["required"] = list(schema["properties"])
    return schema


def value_schema(value: Value) -> Schema:
    """Return the schema of a value; ``{}``, which is any value, where its type is not known."""
    if value.field is not None:
        schema, field = _field_schema(value.field), value.field
        may_be_null = field.null or bool(value.relations) or isinstance(field, models.FileField)
    elif isinstance(value.type, models.Field):  # of an expression
        schema, may_be_null = _field_schema(value.type), value.may_be_null
    else:
        schema, may_be_null = _annotated_schema(value.type), bool(value.relations)
    if not schema or not may_be_null or "type" not in schema:
        return schema
    return {**schema, "type": [schema["type"], "null"]}


def _field_schema(field: Any) -> Schema:
    if field.is_relation:
        return _field_schema(field.target_field)
    if hasattr(type(field), "from_db_value") and not type(field).__module__.startswith("django."):
        return {}  # its values are what that method returns
    for kind, form in STRINGS.items():
        if isinstance(field, kind):
            return {"type": "string", "format": form}
    for kind, name in PLAIN.items():
        if isinstance(field, kind):
            return {"type": name}
    if isinstance(field, models.AutoField | models.BigAutoField | models.SmallAutoField):
        return {"type": "integer"}
    if hasattr(field, "base_field") and type(field).__name__ == "ArrayField":
        return {"type": "array", "items": _field_schema(field.base_field)}
    return {}


def _annotated_schema(annotation: Any) -> Schema:
    if annotation is None:
        return {}
    try:
        (schema,), named = msgspec.json.schema_components([annotation], ref_template=REF)
    except (TypeError, RuntimeError):
        return {}
    return {} if named else schema


def topic_pattern(feed: Feed) -> str:
    """Return a regular expression for the names of a feed's topics."""
    name = re.escape(feed.name)
    return rf"^{name}\..+$" if feed.topic_field else f"^{name}$"
