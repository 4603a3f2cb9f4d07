"""Forged WebSocket handshakes: the server refuses them."""

import pytest

from tests.processes.hostile.conftest import guarded
from tests.support.attackers import Address, frame, head, status, upgrade

EVIL = b"Origin: http://evil.example"

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


@guarded
@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_a_forged_handshake_is_refused(address: Address, sent: bytes) -> None:
    """The answer is a client error, or the end of the connection."""
    assert status(address, sent) in {0, *range(400, 500)}
