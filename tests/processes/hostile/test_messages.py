"""Messages that are not what the protocol describes, chosen ones and random ones: each gets an error code."""

import contextlib
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.processes.hostile.conftest import guarded
from tests.support.attackers import PATIENCE_SECONDS, Address, frame, greeted
from tests.support.servers import Server

ECHO = frame(b'{"type":"call","id":1,"action":"echo","args":{"text":"x"}}')

MESSAGES = {
    "empty": b"",
    "deep": b"[" * 16_000,
    "deep objects": b'{"a":' * 3000,
    "deep arguments": b'{"type":"call","id":1,"action":"echo","args":{"a":'
    + b"[" * 8000
    + b"]" * 8000
    + b"}}",
    "huge integer": b'{"type":"ack","received":' + b"9" * 16_000 + b"}",
    "integer beyond 64 bits": b'{"type":"ack","received":18446744073709551616}',
    "infinite": b'{"type":"ack","received":1e999}',
    "NaN": b'{"type":"ack","received":NaN}',
    "negative": b'{"type":"ack","received":-1}',
    "lone surrogate": b'{"type":"subscribe","topic":"\\ud800"}',
    "lone surrogate in arguments": b'{"type":"call","id":1,"action":"echo","args":{"text":"\\udfff"}}',
    "string": b'"ping"',
    "null": b"null",
    "two types": b'{"type":"ping","type":"x"}',
    "NUL": b"\0",
    "sixteen thousand spaces": b" " * 16_000,
}


@guarded
@pytest.mark.parametrize("sent", MESSAGES.values(), ids=MESSAGES.keys())
def test_an_invalid_message_gets_an_error_and_the_connection_stays(address: Address, sent: bytes) -> None:
    """The next message is answered as usual."""
    with greeted(address) as attacker:
        attacker.send(frame(sent))

        attacker.receive_until(b'"code":4400')

        attacker.send(ECHO)
        attacker.receive_until(b'"reply"')


class Conversation:
    """Sends messages on one connection after another and collects the codes of the answers."""

    def __init__(self, server: Server) -> None:
        self._url = server.socket_url
        self._opened = contextlib.ExitStack()
        self._calls = 10**9
        self._socket: ClientConnection | None = None

    def codes(self, message: str | bytes) -> set[int]:
        """Send a message; return the codes of all errors before the reply to a call sent after it, or of the close.

        If the connection ends without a code, send the message once more on a new one: a connection that is closed for
        its tenth bad message is reset by the call that follows, and the close frame is lost.
        """
        is_new = self._socket is None
        codes = self._codes(message)
        return codes if is_new or 1006 not in codes else self._codes(message)

    def _codes(self, message: str | bytes) -> set[int]:
        codes: set[int] = set()
        self._calls += 1
        try:
            self._socket = self._socket or self._opened.enter_context(connect(self._url))
            self._socket.send(message)
            self._socket.send(
                json.dumps({"type": "call", "id": self._calls, "action": "echo", "args": {"text": "x"}})
            )
            while True:
                answer = json.loads(self._socket.recv(PATIENCE_SECONDS))
                codes.add(answer.get("code", 0))
                if answer["type"] == "reply" and answer["id"] == self._calls:
                    return codes - {0}
        except ConnectionClosed as closed:
            self._socket = None
            self.close()
            return codes - {0} | {closed.rcvd.code if closed.rcvd else 1006}

    def close(self) -> None:
        self._opened.close()


@pytest.fixture
def conversation(server: Server) -> Iterator[Conversation]:
    with contextlib.closing(Conversation(server)) as conversation:
        yield conversation


letters = st.characters(exclude_categories=[])  # surrogates too
words = st.text(letters, max_size=30)
numbers = st.integers() | st.floats()
topics = words | st.builds(
    "{}.{}".format, st.sampled_from(["entries", "boards", "", "entries.1"]), words | numbers
)
positions = st.none() | words | st.builds("{}.{}".format, words | st.just("0"), words | numbers)
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda some: st.lists(some, max_size=5) | st.dictionaries(words, some, max_size=5),
    max_leaves=10,
)
fuzzing = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
DOCUMENTED_CODES = {4400, 4403, 4404, 4529}


@fuzzing
@given(
    topic=topics | anything,
    position=positions | anything,
    format=st.sampled_from(["rows", "html", None, "x"]),
)
def test_a_random_subscription_is_answered(
    conversation: Conversation, topic: object, position: object, format: str | None
) -> None:
    """The answer is rows or a documented code, never an internal error."""
    subscribe = json.dumps({"type": "subscribe", "topic": topic, "position": position, "format": format})
    unsubscribe = json.dumps({"type": "unsubscribe", "topic": topic})

    assert conversation.codes(subscribe) | conversation.codes(unsubscribe) <= DOCUMENTED_CODES


@fuzzing
@given(
    message=words | st.binary(max_size=200) | anything.map(json.dumps)
    | st.builds(
        lambda type, fields: json.dumps({**fields, "type": type}),
        st.sampled_from(["subscribe", "unsubscribe", "call", "ping", "ack", "welcome"]),
        st.fixed_dictionaries({}, optional=dict.fromkeys(["topic", "id", "action", "args", "received"], anything)),
    )
)  # fmt: skip
def test_a_random_message_is_answered(conversation: Conversation, message: str | bytes) -> None:
    """The answer is what the message asks for or a documented code, never an internal error."""
    if isinstance(message, str):
        message = message.encode("utf-8", "replace").decode()  # a client cannot send surrogates as text

    assert conversation.codes(message) <= DOCUMENTED_CODES
