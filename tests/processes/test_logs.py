"""The log of real servers under scanners and floods: one line per event, none forged, and a bounded number."""

import re
import socket
import time

import pytest

from realtime import log_filters
from tests.processes.sockets import PATIENCE_SECONDS
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
CLOSED_WHEN_OPEN = {"no such socket", "no UTF-8"}
"""Sockets at addresses that do not exist: their handshake succeeds, and a close with 4404 follows."""
FLOODS = {name: SCANNED[name] for name in ("a long way", "no such host", "another origin", "no HTTP")}


def ask(server: Server, request: bytes) -> bytes:
    """Send bytes unchanged and return the first part of the answer."""
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        return connection.recv(65_536)


def test_every_line_that_a_scanner_causes_is_one_record(server: Server) -> None:
    """Whatever paths and headers contain: each line has our format and at most the allowed length, none a traceback."""
    before = server.log.read_bytes()

    for name, request in SCANNED.items():
        status = rb"101" if name in CLOSED_WHEN_OPEN else rb"[34]\d\d"
        assert re.match(rb"HTTP/1.1 " + status + b" ", answer := ask(server, request)), (name, answer)

    lines = server.log.read_bytes()[len(before) :].decode().splitlines()
    assert len(lines) >= 8  # servers refuse some requests without logging
    for line in lines:
        assert re.match(r"\d{4}-\d\d-\d\d [\d:,]+ (INFO|WARNING) [\w.]+: ", line), line
        assert line.isprintable()
        assert len(line) <= log_filters.MAX_CHARACTERS + 1
    assert "ERROR realtime.hub: forged" in str(lines)  # inside a line


@pytest.mark.parametrize("request_", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_is_logged_in_few_lines_that_count_it(server: Server, request_: bytes) -> None:
    """A hundred lines are logged, then five a second; they state the number of the lines left out."""
    before = server.log.read_bytes()
    began, sent = time.monotonic(), 0

    def logged() -> list[str]:
        """Return the lines of the logger that writes most of them: a busy server may have others too."""
        lines = server.log.read_bytes()[len(before) :].decode().splitlines()
        loggers = [line.split(" ", 4)[3] for line in lines]
        most = max(loggers, key=loggers.count, default="")
        return [line for line, name in zip(lines, loggers, strict=True) if name == most]

    while sent < 3 * log_filters.BURST:
        ask(server, request_)
        sent += 1
    if not logged():
        assert server.name == "daphne"  # it refuses invalid HTTP without logging
        return
    lines = len(logged())
    while len(logged()) == lines:  # until the next line is logged, which counts those left out before it
        ask(server, request_)
        sent += 1
        assert time.monotonic() - began < 4 * PATIENCE_SECONDS
    seconds = time.monotonic() - began

    left_out = sum(map(int, re.findall(r"\(… (\d+) more like this\)", "\n".join(logged()))))
    assert len(logged()) + left_out == sent
    assert len(logged()) <= log_filters.BURST + seconds * log_filters.PER_SECOND + 1
