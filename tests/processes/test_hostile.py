"""Hostile clients on real servers. Beside each attack one makes changes and one follows them: neither notices."""

import asyncio
import contextlib
import itertools
import json
import os
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support import attacks, servers
from tests.support.attackers import Address, Attacker, frame, greeted, head, upgrade
from tests.support.client import Client
from tests.support.servers import Server

MIB = 2**20
PATIENCE_SECONDS = 30
GUARDED = ["daphne", "guarded"]
EVIL = b"Origin: http://evil.example"
POST = b"POST /realtime/calls/ HTTP/1.1"
STREAM = head(start=b"GET /realtime/sse/?topic=entries.1 HTTP/1.1")
ECHO = frame(b'{"type":"call","id":1,"action":"echo","args":{"text":"x"}}')
LOGIN = b"POST /admin/login/ HTTP/1.1"


class Bystander(threading.Thread):
    """Makes a change and waits for its own follower to have it, again and again."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.seen = self.connections = 0
        self.error: BaseException | None = None
        self.is_over = False
        self._server = server

    def run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            self.error = error

    async def _live(self) -> None:
        database = self._server.project.connect()
        async with Client(self._server.socket_url, "entries.1") as client:
            await client.until(lambda: client.replica.position is not None)
            for number in itertools.count():
                value = f"change {number}"
                sql = "UPDATE boards_entry SET value = ? WHERE id = 1"
                await asyncio.to_thread(database.execute, sql, [value])
                await client.until(
                    lambda value=value: value.encode() in client.replica.rows["1"][1], PATIENCE_SECONDS
                )
                self.seen, self.connections = self.seen + 1, client.connections
                await asyncio.sleep(0.005)
                if self.is_over:
                    return

    def until_it_has_seen(self, more: int) -> None:
        """Wait for more changes to have arrived."""
        wanted, deadline = self.seen + more, time.monotonic() + 2 * PATIENCE_SECONDS
        while self.seen < wanted:
            assert self.error is None, self.error
            assert time.monotonic() < deadline, "no change arrives any more"
            time.sleep(0.01)


@pytest.fixture(scope="module", params=[*GUARDED, "uvicorn"])
def victim(request, prepared, tmp_path_factory) -> Iterator[tuple[Server, Bystander]]:
    """A server with little patience, and its bystander."""
    project = servers.copy(
        prepared, tmp_path_factory.mktemp("hostile") / "project",
        HANDSHAKE_SECONDS="2", REQUEST_SECONDS="2", STALL_SECONDS="1", HEARTBEAT_SECONDS="2", TICK_SECONDS="0.01",
        MAX_HANDSHAKES="300", LOG_LEVEL="WARNING",
    )  # fmt: skip
    with servers.running(project, request.param) as server:
        bystander = Bystander(server)
        bystander.start()
        bystander.until_it_has_seen(1)
        yield server, bystander
        bystander.is_over = True
        bystander.join()


@pytest.fixture
def server(victim) -> Iterator[Server]:
    """The server, which is unharmed afterwards."""
    server, bystander = victim
    process, log = psutil.Process(server.process.pid), server.log.read_text()
    memory = process.memory_info().rss

    yield server

    bystander.until_it_has_seen(2)  # the second was made after the attack
    assert bystander.connections == 1
    assert server.process.poll() is None
    assert process.memory_info().rss - memory < 100 * MIB
    assert "Traceback" not in server.log.read_text()[len(log) :]


@pytest.fixture
def address(server) -> Address:
    return server.host, server.port


guarded = pytest.mark.parametrize("victim", GUARDED, indirect=True)


# ---------------------------------------------------------------- who takes their time


@guarded
@pytest.mark.parametrize("name", ["silence", "tricklers", "slow bodies"])
def test_whoever_does_not_come_to_the_point_is_dropped(address, name):
    """Hundreds, whatever they send meanwhile; honest handshakes succeed beside them."""
    with attacks.running(name, address, PATIENCE_SECONDS) as result:
        with greeted(address) as honest:
            assert b'"welcome"' in honest.read
        became = result()

    assert became["ended"] == became["opened"]


@guarded
def test_the_second_request_of_a_connection_has_no_more_time_than_the_first(address):
    """Each byte of it would put off the server's own time-out."""
    with Attacker(address, head(start=b"GET /realtime/topics/entries.1/ HTTP/1.1")) as attacker:
        attacker.receive_until(b'"position"')
        for _ in range(5 * PATIENCE_SECONDS):
            attacker.send_without_waiting(b"G")
            with contextlib.suppress(TimeoutError):
                attacker.receive_until(seconds=0.2)
            if attacker.is_over:
                return
    pytest.fail("it may go on for ever")


def test_who_reads_nothing_but_goes_on_talking_is_ended(server, address):
    """Its buffer has been full for a while; what it says is not heard meanwhile."""
    with contextlib.ExitStack() as stack:
        talkers = [stack.enter_context(greeted(address)) for _ in range(3)]
        for talker in talkers:
            talker.send(attacks.SUBSCRIBE)
        talkers += [stack.enter_context(Attacker(address, STREAM)) for _ in range(3)]
        database = server.project.connect()
        deadline = time.monotonic() + PATIENCE_SECONDS
        for number in itertools.count():
            if all(talker.is_over for talker in talkers):
                break
            assert time.monotonic() < deadline
            note = f"{number} {'x' * 100_000}"
            database.execute("UPDATE boards_entry SET note = ? WHERE id = 2", [note])
            for talker in talkers:
                talker.send_without_waiting(attacks.PING)
            time.sleep(0.05)


# ---------------------------------------------------------------- who sends much

FLOODS = [
    "tiny messages",
    "long messages",
    "bad messages",
    "pings",
    "fragments",
    "endless bodies",
    "forms",
    "noise",
]


@guarded
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_costs_nobody_else_his_changes(address, name):
    """Ten connections that send whatever is taken, and come back when they are cut off."""
    with attacks.running(name, address, 1) as result:
        assert result()["opened"]


def test_a_crowd_from_one_address_is_borne(address):
    """A thousand sockets that say nothing, and one that comes and goes all the time."""
    with (
        attacks.running("crowd", address, 2) as crowd,
        attacks.running("reconnects", address, 2) as reconnects,
    ):
        assert crowd()["opened"] == 1000
        assert reconnects()["ended"] > 10


@guarded
@pytest.mark.parametrize("kind", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
def test_a_body_without_end_is_refused(address, kind):
    """413, as soon as it is clear, and the rest is not kept."""
    lines = [b"Content-Type: application/json", kind]
    with Attacker(address, head(*lines, start=b"POST /nowhere/ HTTP/1.1")) as attacker:
        chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
        for _ in range(1000):
            attacker.send_without_waiting(chunk)
            with contextlib.suppress(TimeoutError):
                attacker.receive_until(b"\r\n\r\n", 0.001)
                break

        assert attacker.read.startswith(b"HTTP/1.1 413 ")


@guarded
@pytest.mark.parametrize(
    ("size", "frames"), [(20_000, 1), (60_000, 1), (60_000, 3), (500_000, 1), (3_000_000, 3)]
)
def test_a_message_that_is_too_long_ends_its_connection_with_a_word(address, size, frames):
    """4400 by the session or before it; uvicorn's own word is 1009."""
    part = size // frames
    with greeted(address) as attacker:
        for number in range(frames):
            attacker.send(frame(b"x" * part, 0 if number else 1, fin=number == frames - 1))

        _, _, farewell = attacker.receive_until(b"\x88").rpartition(b"\x88")

        assert int.from_bytes(farewell[1:3]) in {4400, 1009}


# ---------------------------------------------------------------- who sends nonsense

FRAMES = {
    "no UTF-8": frame(b"\xff\xfe"),
    "half a letter": frame(b"\xc3"),
    "a surrogate": frame(b"\xed\xa0\x80"),
    "reserved opcode": frame(b"", 3),
    "reserved control opcode": frame(b"", 11),
    "reserved bits": frame(b"{}", rsv=7),
    "compressed, not agreed": frame(b"{}", rsv=4),
    "no mask": frame(b"{}", is_masked=False),
    "long ping": frame(b"x" * 126, 9),
    "ping in parts": frame(b"x", 9, fin=False),
    "continues nothing": frame(b"x", 0),
    "begins anew in the middle": frame(b"x", fin=False) + frame(b"x"),
    "close of one byte": frame(b"x", 8),
    "close with a reserved code": frame(b"\x03\xed", 8),
    "close that is no UTF-8": frame(b"\x03\xe8\xff", 8),
    "eight exabytes": b"\x81\xff\x7f" + b"\xff" * 7 + b"\0\0\0\0",
    "more bytes than there are": b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0",
    "no frames at all": os.urandom(2000),
    "frames without end": frame(b"x", fin=False) + frame(b"x", 0, fin=False) * 1000,
    "empty frames without end": frame(fin=False) + frame(b"", 0, fin=False) * 1000,
    "pings": frame(b"", 9) * 1000,
    "pongs": frame(b"", 10) * 1000,
}


@guarded
@pytest.mark.parametrize("sent", FRAMES.values(), ids=FRAMES.keys())
def test_frames_against_the_standard_end_their_connection(address, sent):
    """And nothing else, not even in the log."""
    with greeted(address) as attacker:
        attacker.send(sent)

        attacker.receive_until()


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
    "nothing but a string": b'"ping"',
    "null": b"null",
    "two types": b'{"type":"ping","type":"x"}',
    "NUL": b"\0",
    "a million spaces": b" " * 16_000,
}


@guarded
@pytest.mark.parametrize("sent", MESSAGES.values(), ids=MESSAGES.keys())
def test_nonsense_in_json_is_an_error_and_nothing_else(address, sent):
    """The connection stays; the answer names what was wrong."""
    with greeted(address) as attacker:
        attacker.send(frame(sent))

        attacker.receive_until(b'"code":4400')

        attacker.send(ECHO)
        attacker.receive_until(b'"reply"')


class Talk:
    """Says things on one connection after another, and returns the codes it is answered with."""

    def __init__(self, server: Server) -> None:
        self._url = server.socket_url
        self._opened = contextlib.ExitStack()
        self._calls = 10**9
        self._socket: ClientConnection | None = None

    def ask(self, message: str | bytes) -> set[int]:
        """Say something, and return the codes of all errors up to the answer to what is said next, or to the end.

        Where the end came without a code it is said once more, on a new connection: one that was closed for its tenth
        bad message is reset by what we say meanwhile, and the reason is lost on its way.
        """
        is_new = self._socket is None
        codes = self._ask(message)
        return codes if is_new or 1006 not in codes else self._ask(message)

    def _ask(self, message: str | bytes) -> set[int]:
        codes = set()
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
def talk(server) -> Iterator[Talk]:
    with contextlib.closing(Talk(server)) as talk:
        yield talk


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
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
ANSWERS = {4400, 4403, 4404, 4529}


@fuzzing
@given(
    topic=topics | anything,
    position=positions | anything,
    format=st.sampled_from(["rows", "html", None, "x"]),
)
def test_whatever_is_subscribed_to_is_answered(talk, topic, position, format):
    """With rows, or with one of four codes; never by a failure of ours."""
    asked = json.dumps({"type": "subscribe", "topic": topic, "position": position, "format": format})
    gone = json.dumps({"type": "unsubscribe", "topic": topic})

    assert talk.ask(asked) | talk.ask(gone) <= ANSWERS


@fuzzing
@given(
    message=words | st.binary(max_size=200) | anything.map(json.dumps)
    | st.builds(
        lambda type, fields: json.dumps({**fields, "type": type}),
        st.sampled_from(["subscribe", "unsubscribe", "call", "ping", "ack", "welcome"]),
        st.fixed_dictionaries({}, optional=dict.fromkeys(["topic", "id", "action", "args", "received"], anything)),
    )
)  # fmt: skip
def test_whatever_is_said_is_answered(talk, message):
    """As above."""
    try:
        message = message if isinstance(message, bytes) else message.encode().decode()
    except UnicodeEncodeError:
        message = message.encode("utf-8", "replace").decode()

    assert talk.ask(message) <= ANSWERS


# ---------------------------------------------------------------- who forges handshakes and requests

REFUSED = {
    "two hosts": upgrade(b"Host: evil.example"),
    "two origins": upgrade(b"Origin: http://127.0.0.1", EVIL),
    "foreign origin": upgrade(EVIL),
    "no key": head(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"),
    "two keys": upgrade(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "POST": upgrade().replace(b"GET", b"POST", 1),
    "a body": upgrade(b"Content-Length: 5") + b"hello",
    "a body in chunks": upgrade(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n",
    "a body of frames": upgrade(b"Content-Length: 600000") + frame(b"", 9) * 100_000,
    "escaped subprotocol": upgrade(b"Sec-WebSocket-Protocol: realtime%2ev1.json"),
    "subprotocol that is no ASCII": upgrade(b"Sec-WebSocket-Protocol: realtime.v1.json\xff"),
    **{
        f"key {key[:9]!r}": upgrade(key=key)
        for key in (b"", b"x", b"=" * 24, b"a" * 9000, b"AAAAAAAAAAAAAAAAAAAA\0A==")
    },
    **{
        f"version {version[:9]!r}": upgrade(version=version)
        for version in (b"", b"x", b"12", b"-1", b"13, 8", b"9" * 5000)
    },
    **{
        f"host {host[:9]!r}": upgrade(host=host)
        for host in (b"", b":", b"[", b"a:b", b"evil.example", b"a" * 5000, b"\xff")
    },
    **{
        f"origin behind {byte:#x}": upgrade(EVIL, b"X: a" + bytes([byte]) + b"Origin: http://127.0.0.1")
        for byte in b"\0\n\r\x0b\x0c\x1c\x1d\x1e\x85"
    },
}  # fmt: skip


def outcome(address: Address, sent: bytes) -> int:
    """Return the status of the answer, 0 when there is none but the end."""
    with Attacker(address, sent) as attacker:
        line = attacker.receive_until(b"\r\n").partition(b"\r\n")[0]
    return int(line.split()[1]) if line.startswith(b"HTTP/") else 0


@guarded
@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_a_forged_handshake_is_refused(address, sent):
    """By a status of the client's own fault, or by the end of the connection."""
    assert outcome(address, sent) in {0, *range(400, 500)}


BORNE = {
    "a form that is none": head(b"Content-Type: multipart/form-data", b"Content-Length: 1", start=LOGIN) + b"x",
    "a form without end": head(
        b"Content-Type: multipart/form-data; boundary=x", b"Content-Length: 4", start=LOGIN
    ) + b"--x\r",
    "a form of ten thousand fields": head(
        b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 20000", start=LOGIN
    ) + b"a&" * 10_000,
    "a hundred cookies": head(*[b"Cookie: a%d=b" % number for number in range(100)]),
    "a long cookie": upgrade(b"Cookie: sessionid=" + b"a" * 15_000),
    "a longer cookie": upgrade(b"Cookie: sessionid=" + b"a" * 30_000),
    "a thousand headers": head(*[b"X%d: a" % number for number in range(1000)]),
    "folded header": head(b"X: a\r\n b"),
    "forwarded for nonsense": head(b"X-Forwarded-For: \xff,,127.0.0.1;, ' OR 1=1", b"Forwarded: for=\"_\xfe"),
    "prefix": head(b"Daphne-Root-Path: /evil"),
    "prefix that is no ASCII": head(b"Daphne-Root-Path: \xff"),
    "length without a number": head(b"Content-Length: x", start=POST),
    "negative length": head(b"Content-Length: -1", start=POST) + b"x",
    "signed length": head(b"Content-Length: +1", start=POST) + b"x",
    "length beyond reason": head(b"Content-Length: " + b"9" * 5000, start=POST) + b"x",
    "two lengths": head(b"Content-Length: 1", b"Content-Length: 2", start=POST) + b"xx",
    "length and chunks": head(b"Content-Length: 9", b"Transfer-Encoding: chunked", start=POST) + b"0\r\n\r\n",
    "chunk without a number": head(b"Transfer-Encoding: chunked", start=POST) + b"x\r\nx\r\n",
    "chunk beyond reason": head(b"Transfer-Encoding: chunked", start=POST) + b"f" * 5000,
    "unknown encoding": head(b"Transfer-Encoding: gzip, chunked", start=POST) + b"0\r\n\r\n",
    "a line of a megabyte": head(start=b"GET /" + b"a" * 2**20 + b" HTTP/1.1"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": head(start=b"GET / HTTP/9.9"),
    "a proxy's greeting": b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + head(),
    "a tunnel": head(start=b"CONNECT evil.example:443 HTTP/1.1"),
    "an unknown method": head(start=b"\xe2\x98\x83 / HTTP/1.1"),
    **{f"path {path[:20]!r}": head(start=b"GET " + path + b" HTTP/1.1") for path in (
        b"/%00", b"/%ff", b"/%zz", b"//", b"*", b"http://[", b"/realtime/topics/%ff/", b"/realtime/topics/%00/",
        b"/realtime/topics/" + b"a" * 9000 + b"/", b"/realtime/sse/?topic=%ff", b"/static/../../etc/passwd",
        b"/static/%2e%2e/%2e%2e/etc/passwd", b"/realtime/topics/entries.1/?wait=1e999&since=x", b"/\xff", b"/?\xff",
    )},
    **{f"host {host[:9]!r} of a page": head(host=host) for host in (b"", b":", b"[", b"a:b", b"evil.example", b"\xff")},
}  # fmt: skip


@guarded
@pytest.mark.parametrize("sent", BORNE.values(), ids=BORNE.keys())
def test_a_forged_request_is_no_failure_of_ours(address, sent):
    """Answered or cut off, without a traceback."""
    assert outcome(address, sent) in range(500)


@guarded
def test_what_is_no_http_at_all_is_dropped(address):
    """A greeting in TLS, noise, nothing but ends of lines: once the time for a request's head is over."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500)
    noise = [
        hello,
        os.urandom(3000),
        b"\r\n" * 5000,
        b"\0" * 5000,
        b"GET / HTTP/1.1\n\n",
        b"EHLO evil.example\r\n",
    ]
    with contextlib.ExitStack() as stack:
        attackers = [stack.enter_context(Attacker(address, sent)) for sent in noise]

        for attacker in attackers:
            attacker.receive_until()


def test_a_prefix_that_a_client_names_is_in_no_page(address):
    """daphne would believe it."""
    with Attacker(address, head(b"Daphne-Root-Path: //evil.example", b"Connection: close")) as attacker:
        assert b"evil.example" not in attacker.receive_until()
