"""The AsyncAPI document of the protocol and of the registered feeds.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from typing import Any

from . import contracts
from .contracts import Schema

VERSION = "3.0.0"
ADDRESS = "/realtime/ws/"
TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
WORDS = (
    "One JSON object per text message of a WebSocket, subprotocol `realtime.v1.json` or none; the same objects as "
    "MessagePack in binary messages by `realtime.v1.msgpack`. Unknown fields are ignored by both sides. Server-Sent "
    "Events and polling carry the same messages."
)


def document() -> Schema:
    """Return the document, whose order is always the same."""
    client, server, schemas = contracts.protocol()
    own = {
        name.lower(): _message(name, {"$ref": contracts.REF.format(name=name)}, schemas[name])
        for name in [*client, *server]
    }
    of_feeds: dict[str, Schema] = {}
    for feed in contracts.feeds():
        row = f"rows.{feed.name}"
        schemas[row] = contracts.row_schema(feed)
        for name, listed in (("Snapshot", "rows"), ("Changes", "changes")):
            of_feeds[f"{name.lower()}.{feed.name}"] = _message(
                f"{name} of {feed.name}",
                {
                    "allOf": [
                        {"$ref": contracts.REF.format(name=name)},
                        {
                            "type": "object",
                            "properties": {
                                "topic": {"type": "string", "pattern": contracts.topic_pattern(feed)},
                                listed: {
                                    "items": {"properties": {"row": {"$ref": contracts.REF.format(name=row)}}}
                                },
                            },
                        },
                    ]
                },
                {},
            )
    messages = {**own, **of_feeds}
    to_client = [*(name.lower() for name in server), *of_feeds]
    return {
        "asyncapi": VERSION,
        "info": {"title": "Live topics", "version": "1", "description": WORDS},
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": ADDRESS,
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": {
                            "type": "object",
                            "properties": {
                                "ticket": {"type": "string", "description": "opens one connection, once"},
                                "topic": {
                                    **TEXTS,
                                    "description": "followed from the beginning, as by subscribe",
                                },
                                "format": {**TEXTS, "description": "one for all topics, or one for each"},
                                "since": {
                                    "type": "string",
                                    "description": "a position for each topic, joined by commas",
                                },
                            },
                        },
                    }
                },
            }
        },
        "operations": {
            "fromClient": _operation("receive", [name.lower() for name in client if name != "Call"]),
            "call": {
                **_operation("receive", ["call"]),
                "reply": {"channel": {"$ref": "#/channels/socket"}, "messages": _refs(["reply"])},
            },
            "toClient": _operation("send", to_client),
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _message(title: str, payload: Schema, schema: Schema) -> Schema:
    summary: dict[str, Any] = {"summary": schema["description"]} if "description" in schema else {}
    return {"title": title, **summary, "payload": payload}


def _operation(action: str, names: list[str]) -> Schema:
    return {"action": action, "channel": {"$ref": "#/channels/socket"}, "messages": _refs(names)}


def _refs(names: list[str]) -> list[Schema]:
    return [{"$ref": f"#/channels/socket/messages/{name}"} for name in names]
