"""Every message on the wire, and every payload in the log, as msgspec structs.

``docs/protocol.md`` says what they mean. Unknown fields are ignored, so that either side may be the newer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from .errors import BadMessage

PROTOCOL = "realtime.v1"
JSON_SUBPROTOCOL = "realtime.v1.json"

Format = Literal["rows", "html"]

# ---------------------------------------------------------------- rows and changes


class Row(Struct, frozen=True, omit_defaults=True):
    """One row of a topic.

    Shape: ``key`` the primary key as text; ``order`` see ``order.sort_key``; ``row`` the feed's fields as a
           JSON object, already encoded; ``html`` the rendered row. One of these two is left out on the wire.
    """

    key: str
    order: str
    row: Raw | UnsetType = UNSET
    html: str | UnsetType = UNSET

    def upsert(self) -> Change:
        return Change("upsert", self.key, self.order, self.row, self.html)

    def narrowed(self, format: Format) -> Row:
        """Return the row with that form of its contents alone."""
        if format == "html":
            return Row(self.key, self.order, html=self.html)
        return Row(self.key, self.order, row=self.row)

    def is_same(self, other: Row) -> bool:
        """Whether a reader could not tell the two apart."""
        return (
            self.key == other.key
            and self.order == other.order
            and self.html == other.html
            and _raw_bytes(self.row) == _raw_bytes(other.row)
        )


class Change(Struct, frozen=True, omit_defaults=True):
    """One upsert or delete of one row of a topic; a delete has a key and nothing else."""

    op: Literal["upsert", "delete"]
    key: str
    order: str | UnsetType = UNSET
    row: Raw | UnsetType = UNSET
    html: str | UnsetType = UNSET

    def upserted(self) -> Row:
        """Return the row as of this upsert, free of the payload it was decoded from."""
        row = self.row if isinstance(self.row, UnsetType) else self.row.copy()
        return Row(self.key, "" if isinstance(self.order, UnsetType) else self.order, row, self.html)

    def narrowed(self, format: Format) -> Change:
        if self.op == "delete":
            return self
        if format == "html":
            return Change("upsert", self.key, self.order, html=self.html)
        return Change("upsert", self.key, self.order, row=self.row)


def delete(key: str) -> Change:
    return Change("delete", key)


def _raw_bytes(raw: Raw | UnsetType) -> bytes:
    return b"" if isinstance(raw, UnsetType) else bytes(raw)


# ---------------------------------------------------------------- client to server


class _Message(Struct, tag_field="type", tag=str.lower, omit_defaults=True):
    """What all messages share: the field ``type`` names them."""


class Subscribe(_Message):
    topic: str
    position: str | None = None
    format: Format = "rows"


class Unsubscribe(_Message):
    topic: str


class Call(_Message):
    id: int
    action: str
    args: dict[str, Any] = {}


class Ping(_Message):
    pass


ClientMessage = Subscribe | Unsubscribe | Call | Ping

# ---------------------------------------------------------------- server to client


class Welcome(_Message):
    protocol: str
    heartbeat_seconds: float
    max_message_bytes: int


class Snapshot(_Message, omit_defaults=False):
    topic: str
    position: str
    rows: Sequence[Row]
    more: bool


class Changes(_Message):
    topic: str
    after: int
    position: str
    changes: Sequence[Change]


class Heartbeat(_Message):
    positions: dict[str, str]


class ReplyError(Struct, omit_defaults=True, frozen=True):
    code: int
    message: str
    fields: dict[str, list[str]] | UnsetType = UNSET


class Reply(_Message):
    id: int
    ok: Any | UnsetType = UNSET
    error: ReplyError | UnsetType = UNSET


class Notice(_Message):
    text: str
    topic: str | UnsetType = UNSET


class Error(_Message):
    code: int
    message: str
    topic: str | UnsetType = UNSET


class Bye(_Message):
    code: int
    reason: str
    retry_after_seconds: float | UnsetType = UNSET


ServerMessage = Welcome | Snapshot | Changes | Heartbeat | Reply | Notice | Error | Bye

# ---------------------------------------------------------------- encoding

_encoder = msgspec.json.Encoder()
_client_decoder = msgspec.json.Decoder(ClientMessage)
_server_decoder = msgspec.json.Decoder(ServerMessage)
_changes_decoder = msgspec.json.Decoder(list[Change])


def encode(message: ServerMessage | ClientMessage) -> str:
    return _encoder.encode(message).decode()


def decode_client(text: str) -> ClientMessage:
    """Return what a client sent.

    Raises: BadMessage, whatever is wrong: not JSON, nested too deeply, an unknown type, a field amiss.
    """
    try:
        message: ClientMessage = _client_decoder.decode(text)
    # A lone surrogate cannot be encoded (UnicodeError); a thousand brackets exhaust the stack.
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadMessage(str(error)) from error
    return message


def decode_server(text: str) -> ServerMessage:
    """Return what a server sent: for clients in Python, tests among them."""
    message: ServerMessage = _server_decoder.decode(text)
    return message


def encoded_size(row: Row) -> int:
    """Return how many bytes a row takes on the wire."""
    return len(_encoder.encode(row))


def encode_changes(changes: Sequence[Change]) -> str:
    """Return a change set as the log keeps it: a JSON array, rows in both forms."""
    return _encoder.encode(changes).decode()


def decode_changes(payload: str) -> list[Change]:
    return _changes_decoder.decode(payload)
