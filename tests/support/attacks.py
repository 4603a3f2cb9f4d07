"""Attacks on a running server, each in its own process so that it does not slow down the test that measures.

    python -m tests.support.attacks tricklers 127.0.0.1 8000 5

An attack is limited in seconds and in simultaneous connections, and ends early when no connection is left. It prints
its result as JSON: how many connections it opened, and how many of them the server has ended.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support.attackers import Address, Attacker, frame, greeted, head, upgrade
from tests.support.servers import PASSWORD, ROOT

PING = frame(b'{"type":"ping"}')
SUBSCRIBE = frame(b'{"type":"subscribe","topic":"entries.1"}')
POST = b"POST / HTTP/1.1"
FIELDS = b"a&" * 2_000_000
FORM = (
    head(b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 4000000", start=POST) + FIELDS
)


@dataclass
class Attack:
    """A number of connections, each of which sends a message again and again.

    Each connection sends ``first`` once after it is opened, then repeatedly what ``message`` returns. One that
    ``leaves`` sends each once.
    """

    connections: int
    first: bytes = b""
    is_socket: bool = False
    message: Callable[[], bytes] = bytes
    pause_seconds: float = 0.1
    reconnects: bool = False
    leaves: bool = False

    def run(self, address: Address, seconds: float) -> dict[str, int]:
        opened = ended = 0
        attackers: list[Attacker] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end and (self.reconnects or ended < self.connections):
            while len(attackers) < self.connections and (self.reconnects or opened < self.connections):
                attackers.append(self._open(address))
                opened += 1
            message = self.message()
            for attacker in attackers:
                if not attacker.has_ended():
                    attacker.send_without_waiting(message)
            over = [attacker for attacker in attackers if attacker.is_over]
            ended += len(over)
            for attacker in over:
                attacker.close()
            attackers = [attacker for attacker in attackers if not attacker.is_over]
            time.sleep(self.pause_seconds)
            if self.leaves:
                for attacker in attackers:
                    attacker.abort()
                attackers.clear()
        for attacker in attackers:
            attacker.close()
        return {"opened": opened, "ended": ended}

    def _open(self, address: Address) -> Attacker:
        attacker = greeted(address) if self.is_socket else Attacker(address)
        if not attacker.is_over:
            attacker.send(self.first)
        return attacker


def flood(data: bytes) -> Attack:
    """Return an attack by ten WebSockets that send as much as the server reads, and reconnect."""
    return Attack(10, is_socket=True, message=lambda: data, pause_seconds=0, reconnects=True)


CHUNKED = head(b"Transfer-Encoding: chunked", start=POST)
LONG_POLL = head(start=b"GET /realtime/topics/entries.2/ HTTP/1.1")
UNFINISHED = head(b"Content-Length: %d" % 2**22, start=b"POST /admin/login/ HTTP/1.1") + bytes(2**22 - 1)
SLOW = head(b"Expect: 100-continue", b"Transfer-Encoding: chunked", start=POST)


def without_end(start: bytes, more: bytes) -> Attack:
    """Return an attack by ten connections that send a request that goes on as long as the server reads it."""
    data = more * (0x10000 // len(more))
    return Attack(10, first=start, message=lambda: data, pause_seconds=0, reconnects=True)


CALL = frame(b'{"type":"call","id":1,"action":"echo","args":{"x":[%s]}}' % b",".join([b"[]"] * 5000))
CALL_AT_ONCE = frame(b'{"type":"call","id":1,"action":"echo","args":{"text":"%s"}}' % (b"x" * 1000))


def abandoned(request: bytes) -> Attack:
    """Return an attack by forty connections that leave again before they are answered, or while they are."""
    return Attack(40, first=request, pause_seconds=0.01, reconnects=True, leaves=True)


def cookies(number: int) -> bytes:
    return b"Cookie: " + b"; ".join(b"c%d=%s" % (each, b"x" * 20) for each in range(number))


def sign_in(password: str) -> bytes:
    """Return the request that the sign-in page of the admin sends."""
    token = b"a" * 32  # the cookie and the form only have to be equal
    form = b"csrfmiddlewaretoken=%s&username=editor&password=%s" % (token, password.encode())
    return (
        head(
            b"Connection: close", b"Cookie: csrftoken=" + token, b"Accept: text/html",
            b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: %d" % len(form),
            start=b"POST /admin/login/ HTTP/1.1",
        ) + form
    )  # fmt: skip


ATTACKS = {
    "silence": Attack(500),
    "tricklers": Attack(500, first=b"GET / HTTP/1.1\r\nX: ", message=lambda: b"x", pause_seconds=0.3),
    "slow bodies": Attack(
        100, first=head(b"Content-Length: 10000", start=POST), message=lambda: b"x", pause_seconds=0.3
    ),
    "endless bodies": Attack(
        10, first=head(b"Transfer-Encoding: chunked", start=POST), message=lambda: b"8000\r\n%s\r\n" % bytes(0x8000),
        pause_seconds=0, reconnects=True,
    ),
    "forms": Attack(2, message=lambda: FORM, pause_seconds=0.01),
    "noise": Attack(20, message=lambda: os.urandom(500), pause_seconds=0.02, reconnects=True),
    "crowd": Attack(1000, is_socket=True),
    "reconnects": Attack(1, is_socket=True, message=lambda: frame(b"", 8), pause_seconds=0, reconnects=True),
    "tiny messages": flood(PING * 3000),
    "long messages": flood(frame(b'{"type":"unsubscribe","topic":"%s"}' % (b"a" * 16_000)) * 4),
    "bad messages": flood(frame(b"x") * 3000),
    "pings": flood(frame(b"x" * 125, 9) * 500),
    "fragments": flood(frame(b"x", fin=False) + frame(b"x", 0, fin=False) * 3000),
    "endless line": without_end(b"GET /", b"a"),
    "endless header": without_end(b"GET / HTTP/1.1\r\nX: ", b"a"),
    "endless headers": without_end(b"GET / HTTP/1.1\r\n", b"X: a\r\n"),
    "endless extension": without_end(CHUNKED + b"1;", b"a"),
    "long extensions": without_end(CHUNKED, b"1;%s\r\nx\r\n" % (b"a" * 900)),
    "endless trailers": without_end(CHUNKED + b"0\r\n", b"X: a\r\n"),
    "pipelines": without_end(b"", head()),
    "unread polls": Attack(40, first=LONG_POLL * 20),
    "unread pages": Attack(40, first=head() * 20),
    "unread refusals": Attack(40, first=head(start=b"GET /realtime/topics/nothing/ HTTP/1.1") * 200),
    "unread endings": Attack(40, first=head(start=b"GET /realtime/topics/entries.2/ HTTP/1.0"), reconnects=True),
    "unfinished bodies": Attack(24, first=UNFINISHED, reconnects=True),
    "trickled bodies": Attack(200, first=SLOW, message=lambda: b"1\r\nx\r\n", reconnects=True),
    "calls of many values": Attack(100, is_socket=True, message=lambda: CALL, pause_seconds=0.5, reconnects=True),
    "calls": Attack(100, is_socket=True, message=lambda: CALL_AT_ONCE, pause_seconds=0.2, reconnects=True),
    "wrong passwords": Attack(60, first=sign_in("guess"), reconnects=True),
    "right passwords": Attack(60, first=sign_in(PASSWORD), reconnects=True),
    "views": Attack(60, first=head(b"Connection: close", start=b"GET /boards/server/ HTTP/1.1"), reconnects=True),
    "talkers": Attack(20, is_socket=True, first=SUBSCRIBE, message=lambda: PING),
    "abandoned polls": abandoned(LONG_POLL),
    "abandoned streams": abandoned(head(start=b"GET /realtime/sse/?topic=entries.2 HTTP/1.1")),
    "abandoned handshakes": abandoned(upgrade()),
    "cookies": Attack(
        40, first=head(b"Connection: close", cookies(280), start=b"GET /admin/ HTTP/1.1"), reconnects=True
    ),
}  # fmt: skip


# ------------------------------------------------------------ HTTP/2, which proxies speak


def http2(kind: int, payload: bytes, stream: int = 0, flags: int = 0) -> bytes:
    """Return a frame of RFC 9113, section 4.1."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def http2_get(path: bytes, stream: int) -> bytes:
    """Return the HEADERS frame of a whole request: GET and http are of HPACK's table, path and host are literals."""
    fields = b"\x82\x86" + b"".join(
        bytes([name, len(value)]) + value for name, value in ((4, path), (1, b"127.0.0.1"))
    )
    return http2(1, fields, stream, 0x5)


HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAMS = itertools.count(1, 2)


def reset_streams() -> bytes:
    """Return fifty requests, each of which is cancelled at once."""
    return b"".join(
        http2_get(b"/realtime/topics/entries.2/", stream) + http2(3, b"\x00\x00\x00\x08", stream)
        for stream in itertools.islice(STREAMS, 50)
    )


OVER_HTTP2 = {
    "reset streams": Attack(
        20, first=HELLO + http2(4, b""), message=reset_streams, pause_seconds=0.01, reconnects=True
    ),
    "stalled streams": Attack(
        20, reconnects=True,  # a window of no bytes: the answers cannot be sent
        first=HELLO + http2(4, b"\x00\x04\x00\x00\x00\x00") + b"".join(
            http2_get(b"/realtime/topics/entries.2/", stream) for stream in range(1, 201, 2)
        ),
    ),
}  # fmt: skip
"""Attacks on a proxy that speaks HTTP/2, and through it on the server."""


class RunningAttack:
    """An attack in its own process."""

    def __init__(self, process: subprocess.Popen[str], seconds: float) -> None:
        self._process, self._seconds = process, seconds

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def result(self) -> dict[str, int]:
        """Wait for the end of the attack; return how many connections were ``opened`` and ``ended``."""
        output, _ = self._process.communicate(timeout=self._seconds + 180)
        result: dict[str, int] = json.loads(output)
        return result


@contextlib.contextmanager
def running(name: str, address: Address, seconds: float) -> Iterator[RunningAttack]:
    """Run an attack beside the block."""
    command = [sys.executable, "-m", "tests.support.attacks", name, address[0], str(address[1]), str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield RunningAttack(process, seconds)
        finally:
            process.kill()


if __name__ == "__main__":
    name, host, port, seconds = sys.argv[1:]
    print(json.dumps((ATTACKS | OVER_HTTP2)[name].run((host, int(port)), float(seconds))))
