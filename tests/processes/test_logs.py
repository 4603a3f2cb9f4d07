"""The log of real servers under scanners and floods: a line each, nothing forged, and not endlessly many."""

import re
import socket
import time

import pytest

from realtime import log_filters as logs
from tests.support.servers import Server

HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FORGED = b"%0d%0a2026-11-25%2012:00:00,000%20ERROR%20realtime.hub:%20forged%1b[31m%e2%80%a8"
OURS = b"Host: 127.0.0.1\r\n"
TYPE = b"Content-Type: application/x-www-form-urlencoded\r\n"

SCANNED = {
    "no such page": b"GET /a" + FORGED + b" HTTP/1.1\r\n" + OURS + b"\r\n",
    "no such topic": b"GET /realtime/topics/a%00b/ HTTP/1.1\r\n" + OURS + b"\r\n",
    "no such stream": b"GET /realtime/sse/?topic=" + FORGED + b" HTTP/1.1\r\n" + OURS + b"\r\n",
    "no such socket": b"GET /realtime/" + FORGED + b" HTTP/1.1\r\n" + OURS + HANDSHAKE,
    "no such host": b"GET / HTTP/1.1\r\nHost: evil\x1b[31m.example\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + OURS + b"Host: evil.example\r\n\r\n",
    "another origin": b"GET /realtime/ws/ HTTP/1.1\r\n"
    + OURS
    + b"Origin: http://evil.example\r\n"
    + HANDSHAKE,
    "no UTF-8": b"GET /realtime/%ff%fe/ HTTP/1.1\r\n" + OURS + HANDSHAKE,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no method": b"FO\x07O / HTTP/1.1\r\n" + OURS + b"\r\n",
    "no form": b"POST /admin/login/ HTTP/1.1\r\n" + OURS + TYPE + b"Content-Length: 3\r\n\r\n%ff",
    "no JSON": b"POST /realtime/calls/ HTTP/1.1\r\n" + OURS + b"Content-Length: 1\r\n\r\nx",
    "no cookie": b"GET /admin/ HTTP/1.1\r\n" + OURS + b"Cookie: sessionid=%00\x1b; csrftoken=\xff\r\n\r\n",
    "a long way": b"GET /" + b"a" * 15_000 + b" HTTP/1.1\r\n" + OURS + b"\r\n",
}
FLOODS = {name: SCANNED[name] for name in ("a long way", "no such host", "another origin", "no HTTP")}


def ask(server: Server, request: bytes) -> bytes:
    """Send bytes as they are and return what comes first in answer."""
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(65_536)


def test_a_scanner_makes_lines_that_are_each_one_record(server):
    """Whatever stands in paths and headers: every line is one of ours, of an allowed length, without a traceback."""
    before = server.log.read_bytes()

    for name, request in SCANNED.items():
        assert re.match(rb"HTTP/1.1 [34]\d\d ", answer := ask(server, request)), (name, answer)

    lines = server.log.read_bytes()[len(before) :].decode().splitlines()
    assert len(lines) >= 8  # servers refuse some of it without a word
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d [\d:,]+ (INFO|WARNING) [\w.]+: ", line), line
        assert line.isprintable()
        assert len(line) <= logs.MAX_CHARACTERS + 1
    assert "ERROR realtime.delivery.hub: forged" in str(lines)  # inside a line


@pytest.mark.parametrize("request_", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_is_told_in_few_lines_with_its_number(server, request_):
    """A hundred, then five a second; all together are counted."""
    before = server.log.read_bytes()
    began, sent = time.monotonic(), 0

    def told() -> list[str]:
        return server.log.read_bytes()[len(before) :].decode().splitlines()

    while sent < 3 * logs.BURST:
        ask(server, request_)
        sent += 1
    if not told():
        assert server.name == "daphne"  # it refuses what is no HTTP without a word
        return
    lines = len(told())
    while len(told()) == lines:  # until one passes, which tells of those before it
        ask(server, request_)
        sent += 1
        assert time.monotonic() - began < 120
    seconds = time.monotonic() - began

    missed = sum(map(int, re.findall(r"\(… (\d+) more like this\)", "\n".join(told()))))
    assert len(told()) + missed == sent
    assert len(told()) <= logs.BURST + seconds * logs.PER_SECOND + 1
