"""Every message on the wire, and every payload in the log, as msgspec structs.

``docs/protocol.md`` describes them. Unknown fields are ignored, so that either side may be the newer one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from hashlib import blake2s
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from .errors import BadMessage

PROTOCOL = "realtime.v1"

Format = Literal["rows", "html", "signal", "rows+html", "rows+signal", "html+signal", "rows+html+signal"]
"""The format of a subscription: rows as objects, rows as HTML, and signals that something may have changed."""
Content = Literal["rows", "html"]
"""The contents that a row may have."""
Encoding = Literal["json", "msgpack"]
Encoded = str | bytes
"""A message on the wire: JSON is sent as text, MessagePack as bytes."""

SUBPROTOCOLS: dict[str, Encoding] = {"realtime.v1.json": "json", "realtime.v1.msgpack": "msgpack"}


class WireFormat(NamedTuple):
    """The wire format in which a subscriber receives changes; encodings are cached per wire format."""

    format: Format = "rows"
    encoding: Encoding = "json"

    @property
    def has_signals(self) -> bool:
        return "signal" in self.format


def contents_of(format: Format) -> tuple[Content, ...]:
    """Return the contents that a format has."""
    return _CONTENTS[format]


_CONTENTS: dict[str, tuple[Content, ...]] = {
    format: tuple(content for content in get_args(Content) if content in format)
    for format in get_args(Format)
}

# ---------------------------------------------------------------- rows and changes


class Row(Struct, frozen=True, omit_defaults=True):
    """One row of a topic.

    Shape: ``key`` the primary key as text; ``order`` see ``order.sort_key``; ``row`` the feed's fields as a
           JSON object, already encoded; ``html`` the rendered row. The wire carries either ``row`` or ``html``,
           and the ``digest`` of that.
    """

    key: str
    order: str
    row: Raw | UnsetType = UNSET
    html: str | UnsetType = UNSET
    digest: int | UnsetType = UNSET

    def upsert(self) -> Change:
        return Change("upsert", self.key, self.order, self.row, self.html)

    def within(self, contents: Collection[Content]) -> Row:
        """Return the row without other contents."""
        return Row(
            self.key,
            self.order,
            self.row if "rows" in contents else UNSET,
            self.html if "html" in contents else UNSET,
        )

    def narrowed(self, format: Format) -> Row:
        """Return the row with its contents in one format only, and their digest."""
        row, html = _narrowed(self, format)
        return Row(self.key, self.order, row, html, self.digest_in(format))

    def digest_in(self, format: Format) -> int:
        """Return the digest of the row with its contents in one format."""
        return digest(self.key, self.order, _contents(self, format))

    def is_same(self, other: Row) -> bool:
        """Whether both rows have the same key, order, and the same of the contents that both have."""
        return (
            self.key == other.key
            and self.order == other.order
            and (
                isinstance(self.html, UnsetType)
                or isinstance(other.html, UnsetType)
                or self.html == other.html
            )
            and (
                isinstance(self.row, UnsetType)
                or isinstance(other.row, UnsetType)
                or bytes(self.row) == bytes(other.row)
            )
        )


class Change(Struct, frozen=True, omit_defaults=True):
    """One upsert or delete of one row of a topic; a delete has only a key."""

    op: Literal["upsert", "delete"]
    key: str
    order: str | UnsetType = UNSET
    row: Raw | UnsetType = UNSET
    html: str | UnsetType = UNSET
    digest: int | UnsetType = UNSET

    def upserted(self) -> Row:
        """Return the row as of this upsert, without a reference to the payload that it was decoded from."""
        row = self.row if isinstance(self.row, UnsetType) else self.row.copy()
        return Row(self.key, "" if isinstance(self.order, UnsetType) else self.order, row, self.html)

    def within(self, contents: Collection[Content]) -> Change:
        """Return the change without other contents."""
        row = self.row if "rows" in contents else UNSET
        html = self.html if "html" in contents else UNSET
        if row is self.row and html is self.html:
            return self
        return Change(self.op, self.key, self.order, row, html)

    def narrowed(self, format: Format) -> Change:
        if self.op == "delete":
            return self
        order = "" if isinstance(self.order, UnsetType) else self.order
        row, html = _narrowed(self, format)
        return Change("upsert", self.key, order, row, html, digest(self.key, order, _contents(self, format)))


def delete(key: str) -> Change:
    return Change("delete", key)


def digest(key: str, order: str, contents: bytes) -> int:
    """Return 32 bits that identify a row as a subscriber shows it; those of a topic are the xor of its rows'.

    It is no checksum such as CRC: these are linear, so the errors of two rows with exchanged contents would cancel out.
    Shape: ``contents`` is the row as JSON, or its HTML in UTF-8.
    """
    return int.from_bytes(blake2s(b"\0".join((key.encode(), order.encode(), contents))).digest()[:4])


def _contents(row: Row | Change, format: Format) -> bytes:
    """Return the contents of a row in one format, as the wire has them; empty if there are none."""
    if "html" not in format:
        return _raw_bytes(row.row)
    html = b"" if isinstance(row.html, UnsetType) else row.html.encode()
    return html if "rows" not in format else html + b"\0" + _raw_bytes(row.row)


def _narrowed(row: Row | Change, format: Format) -> tuple[Raw | UnsetType, str | UnsetType]:
    return row.row if "rows" in format else UNSET, row.html if "html" in format else UNSET


def _raw_bytes(raw: Raw | UnsetType) -> bytes:
    return b"" if isinstance(raw, UnsetType) else bytes(raw)


# ---------------------------------------------------------------- client to server


class _Message(Struct, tag_field="type", tag=str.lower, omit_defaults=True):
    """The base of all messages: the field ``type`` holds the name of the message."""


class Subscribe(_Message):
    topic: str
    position: str | None = None
    format: Format = "rows"


class Unsubscribe(_Message):
    topic: str


class Call(_Message):
    """``args``: a JSON object; ``decode_arguments`` decodes it in a thread, because that may take long."""

    id: int
    action: str
    args: Raw | UnsetType = UNSET


class Ping(_Message):
    pass


class Ack(_Message):
    """``received``: how many messages the client has received on this connection, the welcome included."""

    received: int


class Broadcast(_Message):
    """A message to the other subscribers of a topic, in both directions: ``payload`` is any value, ``data`` is binary.

    The server sets ``sender``, which identifies a connection while it lasts, and ``name``, that of its user if the
    feed gives names. A client's ``id`` requests a reply, which says whether the message is sent on.
    """

    topic: str
    event: str
    payload: Raw | UnsetType = UNSET
    data: bytes | UnsetType = UNSET
    sender: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    id: int | UnsetType = UNSET


ClientMessage = Subscribe | Unsubscribe | Call | Ping | Ack | Broadcast

# ---------------------------------------------------------------- server to client


class Welcome(_Message):
    protocol: str
    heartbeat_seconds: float
    max_message_bytes: int
    acknowledge_bytes: int
    max_broadcast_bytes: int


class Snapshot(_Message, omit_defaults=False):
    """``signal``: for formats with signals, the offset since which nothing of the topic may have changed.

    ``spread_seconds``: over which time pages that show something of the topic should spread their requests.
    """

    topic: str
    position: str
    rows: Sequence[Row]
    more: bool
    signal: int | UnsetType = UNSET
    spread_seconds: float | UnsetType = UNSET


class Changes(_Message):
    """``signal``: as in a snapshot; left out, the position's offset; None for changes that the log lacks."""

    topic: str
    after: int
    position: str
    changes: Sequence[Change]
    digest: int | UnsetType = UNSET
    signal: int | UnsetType | None = UNSET
    spread_seconds: float | UnsetType = UNSET


class Heartbeat(_Message):
    """``behind_seconds``: by how much the sent rows may be older than the database; None below one second."""

    positions: dict[str, str]
    digests: dict[str, int] = {}
    behind_seconds: float | UnsetType = UNSET


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


class Presence(_Message):
    """How many connections follow a topic, this one included, and the names of those that have one."""

    topic: str
    viewers: int
    names: Sequence[str] | UnsetType = UNSET


class Error(_Message):
    code: int
    message: str
    topic: str | UnsetType = UNSET


class Bye(_Message):
    code: int
    reason: str
    retry_after_seconds: float | UnsetType = UNSET
    reload: bool | UnsetType = UNSET


Ephemeral = Presence | Broadcast
"""Messages about a topic that are not part of its rows, and are not kept for clients that miss them."""
ServerMessage = Welcome | Snapshot | Changes | Heartbeat | Reply | Notice | Presence | Broadcast | Error | Bye

MAX_DEPTH = 32
"""How deep lists and objects may be nested in the arguments of a call."""
MAX_ELEMENTS = 1000
"""How many values the arguments of a call may consist of, lists and objects included."""

# ---------------------------------------------------------------- encoding

T = TypeVar("T")


_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_binary_client_decoder: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_value_decoders: dict[Encoding, msgspec.json.Decoder[Any] | msgspec.msgpack.Decoder[Any]] = {
    "json": msgspec.json.Decoder(),
    "msgpack": msgspec.msgpack.Decoder(),
}
_arguments_decoders: dict[Encoding, msgspec.json.Decoder[Any] | msgspec.msgpack.Decoder[Any]] = {
    "json": msgspec.json.Decoder(dict[str, Any]),
    "msgpack": msgspec.msgpack.Decoder(dict[str, Any]),
}
_server_decoder = msgspec.json.Decoder(ServerMessage)
_changes_decoder = msgspec.json.Decoder(list[Change])


def encode(message: ServerMessage | ClientMessage, encoding: Encoding = "json") -> Encoded:
    """Return a message as it is sent: text for JSON, bytes for MessagePack."""
    if encoding == "msgpack" and isinstance(message, Broadcast) and message.data is not UNSET:
        return msgspec.msgpack.encode(message)  # JSON has no bytes
    encoded = _encoder.encode(message)
    return encoded.decode() if encoding == "json" else as_msgpack(encoded)


def encode_value(value: Any, fallback: Callable[[Any], Any] | None = None) -> bytes:
    """Return a feed's or an action's value as JSON; ``fallback`` converts values that JSON does not have.

    NaN and infinities become null: JSON has neither, and one of them makes a whole message unreadable.
    """
    plain = msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=fallback)
    return _encoder.encode(_finite(plain))


def _finite(value: Any) -> Any:
    """Replace NaN and infinite numbers by None, except floats, which msgspec replaces."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, int):  # JavaScript reads larger numbers as infinity
        return value if abs(value) <= sys.float_info.max else None
    return value


def as_msgpack(encoded: bytes) -> bytes:
    """Return a JSON document as MessagePack; both encodings start from JSON, because rows are kept as JSON."""
    value = msgspec.json.decode(encoded)
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:
        return msgspec.msgpack.encode(_without_huge_integers(value))


def _without_huge_integers(value: Any) -> Any:
    """Replace integers that MessagePack cannot hold by floats, as JavaScript would read them."""
    if isinstance(value, dict):
        return {key: _without_huge_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_huge_integers(item) for item in value]
    return float(value) if isinstance(value, int) and not -(2**63) <= value < 2**64 else value


def decode_client(encoded: Encoded) -> ClientMessage:
    """Return the message that a client sent: JSON in text, MessagePack in bytes. Takes some 50 µs for 16 KiB.

    Raises: BadMessage, if it is not JSON or MessagePack, is nested too deeply, has an unknown type or a wrong field.
    """
    if isinstance(encoded, str):
        return decoded(_client_decoder.decode, encoded)
    return decoded(_binary_client_decoder.decode, encoded)


def decode_arguments(arguments: Raw | UnsetType, encoding: Encoding) -> dict[str, Any]:
    """Return the arguments of a call: values that a form may be given. Not for the event loop.

    Raises: BadMessage, if they are not an object, nested too deeply, more than ``MAX_ELEMENTS`` values, or contain a
            number that is not finite or not a 64-bit integer.
    """
    if isinstance(arguments, UnsetType):
        return {}
    found: dict[str, Any] = decoded(_arguments_decoders[encoding].decode, bytes(arguments))
    _check_arguments(found)
    return found


def decode_payload(payload: Raw | UnsetType, encoding: Encoding) -> Raw:
    """Return the payload of a broadcast as JSON; null if there is none.

    Raises: BadMessage, if it is nested too deeply, has too many values, or one that JSON does not have.
    """
    if isinstance(payload, UnsetType):
        return Raw(b"null")
    value = decoded(_value_decoders[encoding].decode, bytes(payload))
    _check_arguments({"payload": value})
    return Raw(decoded(encode_value, value))


def decoded(decode: Callable[[Any], T], encoded: Any) -> T:
    """Return a client's message or value, decoded by a method of msgspec's.

    Raises: BadMessage, for whatever is wrong with it.
    """
    try:
        return decode(encoded)
    # A lone surrogate cannot be encoded (UnicodeError); a thousand brackets exhaust the stack.
    # MessagePack has values and keys that JSON does not (TypeError).
    except (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError) as error:
        raise BadMessage(str(error)) from error


def _check_arguments(arguments: dict[str, Any]) -> None:
    """Refuse values that no form expects and that later code may not handle; look at ``MAX_ELEMENTS`` values at most.

    Raises: BadMessage.
    """
    level: list[Any] = [arguments]
    left = MAX_ELEMENTS
    for _ in range(MAX_DEPTH):
        containers, level = level, []
        for container in containers:
            left -= len(container)
            if left < 0:
                raise BadMessage(f"the arguments consist of more than {MAX_ELEMENTS} values")
            for item in container.values() if isinstance(container, dict) else container:
                if isinstance(item, dict | list):
                    level.append(item)
                elif (isinstance(item, float) and not math.isfinite(item)) or (
                    isinstance(item, int) and abs(item) >= 2**63
                ):
                    raise BadMessage("a number is not finite, or not a 64-bit integer")
        if not level:
            return
    raise BadMessage(f"lists and objects are nested more than {MAX_DEPTH} levels deep")


def decode_server(encoded: Encoded) -> ServerMessage:
    """Return the message that a server sent; for clients in Python, such as tests."""
    if isinstance(encoded, bytes):
        encoded = msgspec.json.encode(msgspec.msgpack.decode(encoded))
    message: ServerMessage = _server_decoder.decode(encoded)
    return message


def noticeable(behind_seconds: float) -> float | None:
    """Return ``behind_seconds`` as it is sent: rounded, and None below one second."""
    return round(behind_seconds, 1) if behind_seconds >= 1 else None


def encoded_size(row: Row) -> int:
    """Return the size of a row on the wire, in bytes."""
    return len(_encoder.encode(row))


def contents_size(change: Change, format: Format | None = None) -> int:
    """Return the approximate size of a change in memory, in one format or with all contents, in bytes."""
    html = 0 if isinstance(change.html, UnsetType) or "html" not in (format or "html") else len(change.html)
    return html + (len(_raw_bytes(change.row)) if "rows" in (format or "rows") else 0)


def encode_changes(changes: Sequence[Change]) -> str:
    """Return a change set as the log stores it: a JSON array, rows in the formats that they were rendered in."""
    return _encoder.encode(changes).decode()


def decode_changes(payload: str) -> list[Change]:
    return _changes_decoder.decode(payload)
