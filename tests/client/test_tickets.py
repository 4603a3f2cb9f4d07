"""Tickets for a name and a password, as the Python client requests them."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError

import pytest

from realtime.client import Refused, follow, tickets

seen: list[str | None] = []
"""The credentials that a redirect has brought to another address."""


class _Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # urllib follows some redirects by GET
        self.do_POST()

    def do_POST(self) -> None:
        expected = "Basic " + base64.b64encode(b"ann:pass:word").decode()
        if self.path.startswith("/moved"):
            self.send_response(int(self.path[6:9]))
            port = self.headers["Host"].partition(":")[2]
            self.send_header("Location", f"http://localhost:{port}/elsewhere/")
            self.end_headers()
            return
        if self.path == "/elsewhere/":
            seen.append(self.headers["Authorization"])
        is_known = self.headers["Authorization"] == expected and self.path == "/sub/realtime/ticket/"
        self.send_response(200 if is_known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"ticket": "t1", "expires_in_seconds": 30}).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def door() -> Iterator[str]:
    """The address of a site that issues tickets to one user."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/sub/"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_password_gets_a_ticket(door):
    """At the ticket endpoint beside the socket."""
    assert await tickets(door, "ann", "pass:word")() == "t1"


async def test_a_wrong_password_is_an_error_for_the_caller_and_ends_a_follower(door):
    """It would be wrong the next time, too."""
    wrong = tickets(door, "ann", "guess")

    with pytest.raises(HTTPError):
        await wrong()
    with pytest.raises(Refused, match="sign in again"):
        await anext(follow(door, "t", ticket=wrong))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_password_goes_to_no_other_address(door, status):
    """A redirect is an error that names where it leads."""
    seen.clear()
    moved = door.replace("/sub/", f"/moved{status}/")

    with pytest.raises(HTTPError) as refused:
        await tickets(moved, "ann", "pass:word")()

    assert refused.value.code == status
    refused.value.close()
    assert seen == []
    assert "/elsewhere/" in str(refused.value)
