"""Forged HTTP requests: the server answers or ends the connection, and never fails itself."""

import contextlib
import os

import pytest

from tests.processes.hostile.conftest import guarded
from tests.support.attackers import Address, Attacker, head, status, upgrade

POST = b"POST /realtime/calls/ HTTP/1.1"
LOGIN = b"POST /admin/login/ HTTP/1.1"

FORGED = {
    "no boundary": head(b"Content-Type: multipart/form-data", b"Content-Length: 1", start=LOGIN) + b"x",
    "an unfinished form": head(
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
@pytest.mark.parametrize("sent", FORGED.values(), ids=FORGED.keys())
def test_a_forged_request_does_not_cause_a_server_error(address: Address, sent: bytes) -> None:
    """The answer is no 500, or the end of the connection; the log has no traceback."""
    assert status(address, sent) in range(500)


@guarded
def test_a_connection_that_does_not_send_http_is_ended(address: Address) -> None:
    """TLS, random bytes, nothing but line ends: it ends at the latest when the time limit for a head is over."""
    client_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500)
    noise = [
        client_hello,
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


def test_a_script_prefix_from_a_client_is_in_no_page(address: Address) -> None:
    """daphne itself would use the prefix that a header names."""
    with Attacker(address, head(b"Daphne-Root-Path: //evil.example", b"Connection: close")) as attacker:
        assert b"evil.example" not in attacker.receive_until()
