"""Messages: what is decoded, what is refused, and how values are encoded."""

import contextlib
import json
import math
from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from realtime.engine import messages
from realtime.engine.errors import BadMessage
from realtime.engine.messages import SUBPROTOCOLS, Call, Change, Format, Ping, Row, Subscribe, Unsubscribe
from tests.support.contents import decode_as


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type": "subscribe", "topic": "a.1"}', Subscribe("a.1", None, "rows")),
        (
            '{"type": "subscribe", "topic": "a", "position": "e.3", "format": "html"}',
            Subscribe("a", "e.3", "html"),
        ),
        ('{"type": "unsubscribe", "topic": "a"}', Unsubscribe("a")),
        (
            '{"type": "call", "id": 1, "action": "echo", "args": {"text": "x"}}',
            Call(1, "echo", msgspec.Raw(b'{"text": "x"}')),
        ),
        ('{"type": "ping", "from": "the future"}', Ping()),
    ],
)
def test_messages_of_the_protocol_are_understood(text, message):
    """Each type decodes to its struct; unknown fields are ignored."""
    assert messages.decode_client(text) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "null",
        "[]",
        "{}",
        '{"type": "shout"}',
        '{"type": 1}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "topic": 7}',
        '{"type": "subscribe", "topic": "a", "format": "xml"}',
        '{"type": "call", "id": "one", "action": "echo"}',
        '{"type": "call", "id": 1, "action": "echo", "args": {"x": NaN}}',
        '{"type": "call", "id": 1, "action": "echo", "args": {"x": 1e999}}',
        '{"type": "call", "id": 1, "action": "echo", "args": {"x": "\\ud800"}}',
        '{"type": "call", "id": 1, "action": "echo", "args": {"x": "\ud800"}}',
        '{"type": "call", "id": 1, "action": "echo", "args": {"x": ' + "[" * 10_000 + "}}",
        "[" * 10_000,
        '{"type": "ping"',
    ],
    ids=lambda text: text[:40].encode("ascii", "replace").decode(),
)
def test_everything_else_is_a_bad_message(text):
    """Every defect of a message raises the same error, which names the documentation."""
    with pytest.raises(BadMessage, match=r"docs/protocol\.md"):
        understood(text)


def understood(encoded: messages.Encoded) -> object:
    """Return a message, and of a call the arguments, all decoded."""
    message = messages.decode_client(encoded)
    encoding: messages.Encoding = "json" if isinstance(encoded, str) else "msgpack"
    if isinstance(message, Call):
        return messages.decode_arguments(message.args, encoding)
    return message


def lists(depth: int) -> object:
    """Return ``depth`` lists, each but the innermost around another."""
    value: list[object] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def objects(depth: int) -> object:
    """Return ``depth`` objects, each but the innermost around another."""
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "encode", [lambda call: json.dumps(call), msgspec.msgpack.encode], ids=["json", "msgpack"]
)
@pytest.mark.parametrize("nested", [lists, objects])
def test_arguments_are_nested_as_deep_as_the_limit_and_no_deeper(nested, encode):
    """The arguments themselves are the first of the 32 levels."""
    deepest = {"x": nested(messages.MAX_DEPTH - 1)}
    call = {"type": "call", "id": 1, "action": "echo"}

    assert understood(encode({**call, "args": deepest})) == deepest

    with pytest.raises(BadMessage, match="32"):
        understood(encode({**call, "args": {"x": nested(messages.MAX_DEPTH)}}))


MANY = {
    "empty lists": lambda count: {"x": [[]] * (count - 1)},
    "empty objects": lambda count: {"x": [{}] * (count - 1)},
    "numbers": lambda count: {"x": [1] * (count - 1)},
    "keys": lambda count: {str(number): None for number in range(count)},
    "lists in lists": lambda count: {"x": [[1]] * (count // 2 - 1) + [1] * (1 + count % 2)},
    "objects in objects": lambda count: {"x": [{"a": {}}] * (count // 2 - 1) + [1] * (1 + count % 2)},
}


@pytest.mark.parametrize("encode", [json.dumps, msgspec.msgpack.encode], ids=["json", "msgpack"])
@pytest.mark.parametrize("many", MANY.values(), ids=MANY.keys())
def test_arguments_consist_of_as_many_values_as_the_limit_and_no_more(many, encode):
    """Whatever they are: each is an object of Python's, and a form may look at each."""
    call = {"type": "call", "id": 1, "action": "echo"}
    most = many(messages.MAX_ELEMENTS)

    assert understood(encode({**call, "args": most})) == most

    with pytest.raises(BadMessage, match="more than 1000 values"):
        understood(encode({**call, "args": many(messages.MAX_ELEMENTS + 1)}))


@pytest.mark.parametrize("args", ["[]", "1", '"x"', "null", "[[]]", '{"x": ' + "9" * 10_000 + "}"])
def test_arguments_are_an_object_of_values_that_python_can_hold(args):
    """Whether the text is sent on a socket or posted."""
    with pytest.raises(BadMessage):
        understood(f'{{"type": "call", "id": 1, "action": "echo", "args": {args}}}')


@pytest.mark.parametrize("args", [[], 1, "x", None, {"x": 2**64 - 1}, {"x": math.inf}], ids=repr)
def test_arguments_in_messagepack_are_checked_as_in_json(args):
    """There a number may be infinite, or need 64 bits without a sign."""
    with pytest.raises(BadMessage):
        understood(msgspec.msgpack.encode({"type": "call", "id": 1, "action": "echo", "args": args}))


@pytest.mark.parametrize("encode", [json.dumps, msgspec.msgpack.encode], ids=["json", "msgpack"])
def test_decoding_a_call_makes_no_objects_of_its_arguments(encode):
    """The event loop decodes messages: sixteen thousand empty lists took it 23 ms."""
    arguments: dict[str, object] = {"x": [[]] * 15_000}

    call = messages.decode_client(encode({"type": "call", "id": 1, "action": "echo", "args": arguments}))

    assert isinstance(call, Call)
    assert type(call.args) is msgspec.Raw


@given(st.text())
def test_no_text_breaks_the_decoder(text):
    """Any text is a message or a BadMessage."""
    with contextlib.suppress(BadMessage):
        messages.decode_client(text)


def test_rows_keep_their_json_to_the_byte():
    """The wire carries the bytes that the log stores; nothing is encoded again."""
    upsert = '{"op":"upsert","key":"1","order":"x","row":{"price":1.50},"html":"<tr></tr>"}'
    payload = f'[{upsert},{{"op":"delete","key":"2"}}]'

    changes = messages.decode_changes(payload)

    assert messages.encode_changes(changes) == payload
    assert b'{"price":1.50}' in msgspec.json.encode(changes[0].narrowed("rows"))
    assert "html" not in messages.encode(messages.Changes("t", 1, "e.2", [changes[0].narrowed("rows")]))
    assert "price" not in messages.encode(messages.Changes("t", 1, "e.2", [changes[0].narrowed("html")]))


@dataclass
class Reading:
    metres: Decimal


@pytest.mark.parametrize(
    "number",
    [
        math.nan,
        math.inf,
        -math.inf,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        10**400,
        -(10**400),
    ],
    ids=lambda number: f"{type(number).__name__} {number!s:.9}",
)
def test_nan_and_infinite_numbers_are_null_in_both_encodings(number):
    """At any depth; one NaN would make the whole message unreadable."""

    def refuse(constant):
        raise AssertionError(f"{constant} on the wire")

    value = {"is": number, "in": [{"a": (number, 1.5)}], "held": Reading(number), "text": "NaN"}

    reply = messages.Reply(id=1, ok=msgspec.Raw(messages.encode_value(value)))

    expected = {"is": None, "in": [{"a": [None, 1.5]}], "held": {"metres": None}, "text": "NaN"}
    assert json.loads(messages.encode(reply), parse_constant=refuse)["ok"] == expected
    packed = messages.encode(reply, "msgpack")
    assert isinstance(packed, bytes)
    assert msgspec.msgpack.decode(packed)["ok"] == expected


@pytest.mark.parametrize(
    "value, encoded",
    [
        (Decimal("1.50"), '"1.50"'),
        (True, "true"),
        (2**64, "18446744073709551616"),
        (-0.0, "-0.0"),
        ({1, 2}, "[1,2]"),
        (Reading(Decimal(2)), '{"metres":"2"}'),
    ],
    ids=repr,
)
def test_other_values_keep_their_value(value, encoded):
    """Decimals become text, to the last digit."""
    assert messages.encode_value(value) == encoded.encode()


def test_a_digest_is_the_first_32_bits_of_blake2s():
    """Over key, order and contents, separated by NUL: pages that are painted by other programs can repeat it."""
    assert messages.digest("1", "a", b'{"x":1}') == 0x7F0508E5
    row = Row("1", "a", msgspec.Raw(b'{"x":1}'), "<p>é")

    wire_formats: list[tuple[Format, bytes]] = [("rows", b'{"x":1}'), ("html", "<p>é".encode())]
    for format, contents in wire_formats:
        expected = messages.digest("1", "a", contents)
        assert row.narrowed(format).digest == row.upsert().narrowed(format).digest == expected
        snapshot = messages.Snapshot("t", "e.1", [row.narrowed(format)], more=False)
        for encoding in SUBPROTOCOLS.values():
            (decoded,) = decode_as(messages.Snapshot, messages.encode(snapshot, encoding)).rows
            assert decoded.digest == expected


@given(
    st.lists(st.text(max_size=3), min_size=3, max_size=3),
    st.lists(st.text(max_size=3), min_size=3, max_size=3),
)
def test_exchanged_contents_change_the_digest_of_a_topic(one, other):
    """Xor of a linear checksum would be the same."""
    keys, orders, contents = zip(one, other, strict=True)
    assume(len(set(keys)) == len(set(contents)) == 2)

    def digest(contents):
        (first, second) = (
            messages.digest(*row, content.encode())
            for row, content in zip(zip(keys, orders, strict=True), contents, strict=True)
        )
        return first ^ second

    assert digest(contents) != digest(contents[::-1])


def test_the_log_holds_no_digests():
    """They are of what is sent, in one format."""
    assert "digest" not in messages.encode_changes([Row("1", "a", msgspec.Raw(b"{}"), "<p>").upsert()])


def test_a_delete_has_only_a_key():
    """A delete discloses nothing of the row that is gone."""
    assert messages.encode_changes([Change("delete", "7")]) == '[{"op":"delete","key":"7"}]'


def test_rows_are_the_same_if_key_order_and_contents_are():
    """The contents in both formats."""
    row = Row("1", "a", msgspec.Raw(b'{"x":1}'), "<p>")

    assert row.is_same(Row("1", "a", msgspec.Raw(b'{"x":1}'), "<p>"))
    assert not row.is_same(Row("1", "b", msgspec.Raw(b'{"x":1}'), "<p>"))
    assert not row.is_same(Row("1", "a", msgspec.Raw(b'{"x":2}'), "<p>"))
    assert not row.is_same(Row("1", "a", msgspec.Raw(b'{"x":1}'), "<b>"))
