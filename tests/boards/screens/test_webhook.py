"""A message to the operator's address: in time, without redirects, one at a time."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from realtime.boards.screens import webhook


@contextmanager
def listening(answer: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """Run a server that reads one request and sends this answer; None for none at all."""
    received: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = head.split(b"\r\n\r\n", 1)[1]
            while len(body) < length:
                body += connection.recv(65536)
            received.append(body)
            if answer is None:
                done.wait(60)
            else:
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook", received
        done.set()
        thread.join(60)


@pytest.fixture(autouse=True)
def nothing_under_way():
    """The thread of a message that was given up ends with its server."""
    yield
    assert webhook._turn.acquire(timeout=60)
    webhook._turn.release()


def test_a_message_arrives_as_json():
    with listening(b"HTTP/1.1 204 No Content\r\n\r\n") as (address, received):
        webhook.send(address, {"text": "Silent: Pier 2"}, seconds=60)

    assert json.loads(received[0]) == {"text": "Silent: Pier 2"}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=["redirect", "error", "no HTTP"],
)
def test_a_message_that_is_not_accepted_is_reported(answer):
    """A redirect could lead to an address inside of the operator's network."""
    with (
        listening(answer) as (address, _),
        pytest.raises(webhook.NotSent, match="has not accepted the message"),
    ):
        webhook.send(address, {}, seconds=60)


def test_an_address_that_never_answers_takes_a_bounded_time_and_one_thread():
    with listening(None) as (address, _):
        with pytest.raises(webhook.NotSent, match="has not"):
            webhook.send(address, {}, seconds=0.2)
        with pytest.raises(webhook.NotSent):
            webhook.send(address, {}, seconds=0.2)

        assert sum(thread.name == "boards-webhook" for thread in threading.enumerate()) <= 1


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "", "/etc/passwd"]
)
def test_only_web_addresses_are_called(address):
    with pytest.raises(webhook.NotSent, match="neither http nor https"):
        webhook.send(address, {})
