"""TypeScript declarations of the messages and of the rows of the registered feeds."""

import json
import re
from collections.abc import Iterable

from . import contracts
from .contracts import Schema

HEADER = (
    "// Made by `manage.py realtime_types`. Do not edit: change the feed's declaration, then run it again.\n"
)
GENERIC = ("Row", "Change", "Snapshot", "Changes")
"""Messages that have rows: their type parameter is the type of a row's fields."""
NAMES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def declarations() -> str:
    """Return the declarations, whose order is always the same."""
    client, server, schemas = contracts.protocol()
    parts = [HEADER, *(_interface(_generic(name), schema, name) for name, schema in schemas.items())]
    parts.append(f"export type ClientMessage = {' | '.join(client)};\n")
    of_rows = [f"{name}<R>" if name in GENERIC else name for name in server]
    parts.append(f"export type ServerMessage<R = object> = {' | '.join(of_rows)};\n")
    topics, rows, used = [], [], set[str]()
    for feed in contracts.feeds():
        name = _pascal(feed.name)
        while f"{name}Row" in used:  # another feed's name may differ only in its punctuation
            name += "_"
        used.add(f"{name}Row")
        parts.append(_interface(f"{name}Row", contracts.row_schema(feed)))
        plain = re.sub(r"([`$\\])", r"\\\1", feed.name)
        topic = f"`{plain}.${{string}}`" if feed.topic_field else json.dumps(feed.name)
        parts.append(f"export type {name}Topic = {topic};\n")
        topics.append(f"{name}Topic")
        rows.append(f"{json.dumps(feed.name)}: {name}Row")
    parts.append("/** The type of a row, by feed. */\n" + _block("Rows", rows))
    parts.append(f"export type Topic = {' | '.join(topics) or 'never'};\n")
    parts.append(
        "/** The type of a topic's rows. */\n"
        "export type RowOf<T extends Topic> = T extends `${infer F}.${string}`\n"
        "  ? F extends keyof Rows ? Rows[F] : never\n"
        "  : T extends keyof Rows ? Rows[T] : never;\n"
    )
    return "\n".join(parts)


def _interface(name: str, schema: Schema, of_protocol: str = "") -> str:
    doc = schema.get("description", "").replace("*/", "* /")
    required = set(schema.get("required", ()))
    if "properties" not in schema:
        lines = ["[name: string]: unknown"]
    else:
        lines = [
            f"{_key(key)}{'' if key in required else '?'}: {_type(value, key if of_protocol in GENERIC else '')}"
            for key, value in schema["properties"].items()
        ]
    return (f"/** {doc} */\n" if doc else "") + _block(name, lines)


def _block(name: str, lines: Iterable[str]) -> str:
    return f"export interface {name} {{\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def _generic(name: str) -> str:
    return f"{name}<R = object>" if name in GENERIC else name


def _type(schema: Schema, key: str = "") -> str:
    """Return the type of a value; ``key`` is its name in a message that has rows."""
    if key == "row":
        return "R"
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"{name}<R>" if name in GENERIC else str(name)
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(each) for each in schema["anyOf"]))
    kinds = schema.get("type")
    if kinds is None:
        return "unknown"
    return " | ".join(_of_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))


def _of_kind(kind: str, schema: Schema) -> str:
    if kind == "array":
        items = _type(schema.get("items") or {})
        return f"Array<{items}>"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
    return NAMES[kind]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else json.dumps(name)


def _pascal(name: str) -> str:
    """Return a feed's name as that of a type: ``order_lines`` as ``OrderLines``."""
    words = re.sub(r"\W", "_", name, flags=re.ASCII).split("_")
    joined = "".join(word[:1].upper() + word[1:] for word in words if word)
    return joined if joined[:1].isalpha() else f"Feed{joined}"
