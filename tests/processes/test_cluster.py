"""``make cluster``: the printed addresses work, a change appears at all three servers, and no process is left."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.client import Client
from tests.support.servers import ROOT, START_SECONDS, free_port


class Cluster:
    """The command in a process; its output is in a file."""

    def __init__(self, folder: Path, port: int) -> None:
        self.output = folder / "cluster.log"
        with self.output.open("wb") as output:
            self.process = psutil.Popen(
                [sys.executable, "-m", "tests.support.cluster", "127.0.0.1", str(port)],
                cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def printed(self, words: str) -> str:
        """Wait until the words are in the output; return the whole output."""
        deadline = time.monotonic() + 4 * START_SECONDS
        while words not in (printed := self.output.read_text()):
            assert self.process.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.1)
        return printed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Callable[[int], Cluster]]:
    """Start the command with a first port."""
    started: list[Cluster] = []

    def start(port: int) -> Cluster:
        started.append(Cluster(tmp_path, port))
        return started[-1]

    yield start
    for one in started:
        if one.process.is_running() and one.process.status() != psutil.STATUS_ZOMBIE:
            one.process.terminate()
        one.process.wait(timeout=60)


def three_free_ports() -> int:
    """Return the first of three consecutive free ports."""
    while True:
        port = free_port()
        taken = {one.laddr.port for one in psutil.net_connections("tcp") if one.laddr}
        if not {port + 1, port + 2} & taken:
            return port


async def test_a_change_appears_at_every_server_and_no_process_is_left(
    cluster: Callable[[int], Cluster],
) -> None:
    """When one server is killed, changes appear at the others, and at this one after its restart.

    SIGTERM ends all processes.
    """
    running = cluster(three_free_ports())
    printed = running.printed("Ctrl-C")
    addresses = re.findall(r"server  http://(\S+)/", printed)
    assert len(addresses) == 3
    assert re.search(r"editor / \S+", printed)
    url = re.search(r"DATABASE_URL=(\S+)", printed)
    assert url is not None
    children = running.process.children(recursive=True)

    clients = [Client(f"ws://{address}/realtime/ws/", "entries.1") for address in addresses]
    async with clients[0], clients[1], clients[2]:
        for client in clients:
            await client.until_snapshot()
        with psycopg.connect(url[1], autocommit=True) as database:
            for number, value in enumerate(
                ("everywhere", "at the others, and at the one that was restarted")
            ):
                database.execute("UPDATE boards_entry SET value = %s WHERE id = 1", [value])
                for client in clients:
                    await client.until_row("1", value)
                if number == 0:
                    served = int(addresses[0].rpartition(":")[2])
                    next(one for one in children if f"tcp:port={served}:" in " ".join(one.cmdline())).kill()
                    running.printed("started again")

    children = running.process.children(recursive=True)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=60) == 0
    assert running.output.read_text().endswith("stopped\n")
    assert not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_an_occupied_port_is_reported(cluster: Callable[[int], Cluster]) -> None:
    """The command ends before it starts any process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        running = cluster(port)

        assert running.process.wait(timeout=60) == 1
    assert f"port {port} cannot be used" in running.output.read_text()
    assert "Traceback" not in running.output.read_text()
