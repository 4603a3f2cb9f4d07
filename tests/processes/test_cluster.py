"""``make cluster``: what it prints can be opened, one change shows at all three, and nothing stays behind."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support.client import Client
from tests.support.servers import ROOT, free_port


class Cluster:
    """The command in a process; what it says is in a file."""

    def __init__(self, folder: Path, port: int) -> None:
        self.output = folder / "cluster.log"
        with self.output.open("wb") as output:
            self.process = psutil.Popen(
                [sys.executable, "-m", "tests.support.cluster", "127.0.0.1", str(port)],
                cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def said(self, words: str) -> str:
        """Wait until it has said something; return all that it said."""
        deadline = time.monotonic() + 120
        while words not in (said := self.output.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return said


@pytest.fixture
def cluster(tmp_path):
    started = []

    def start(port: int) -> Cluster:
        started.append(Cluster(tmp_path, port))
        return started[-1]

    yield start
    for one in started:
        if one.process.is_running() and one.process.status() != psutil.STATUS_ZOMBIE:
            one.process.terminate()
        one.process.wait(timeout=60)


def three_free_ports() -> int:
    while True:
        port = free_port()
        taken = {one.laddr.port for one in psutil.net_connections("tcp")}
        if port < 65_000 and not {port + 1, port + 2} & taken:
            return port


async def test_a_change_shows_at_every_server_and_nothing_stays_behind(cluster):
    """Also at the other two when one is killed; it comes back. SIGTERM ends all of it."""
    running = cluster(three_free_ports())
    said = running.said("Ctrl-C")
    addresses = re.findall(r"server  http://(\S+)/", said)
    assert len(addresses) == 3
    assert re.search(r"editor / \S+", said)
    children = running.process.children(recursive=True)

    clients = [Client(f"ws://{address}/realtime/ws/", "entries.1") for address in addresses]
    async with clients[0], clients[1], clients[2]:
        for client in clients:
            await client.until_snapshot()
        with psycopg.connect(re.search(r"DATABASE_URL=(\S+)", said)[1], autocommit=True) as database:
            for number, value in enumerate(("everywhere", "at the others, and at the one that came back")):
                database.execute("UPDATE boards_entry SET value = %s WHERE id = 1", [value])
                for client in clients:
                    await client.until(
                        lambda client=client, value=value: value in str(client.replica.rows["1"]), 60
                    )
                if number == 0:
                    served = int(addresses[0].rpartition(":")[2])
                    next(one for one in children if f"tcp:port={served}:" in " ".join(one.cmdline())).kill()
                    running.said("started again")

    children = running.process.children(recursive=True)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=60) == 0
    assert running.output.read_text().endswith("stopped\n")
    assert not [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_a_port_that_is_taken_is_named(cluster):
    """Before anything is started."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        running = cluster(port)

        assert running.process.wait(timeout=60) == 1
    assert f"port {port} cannot be used" in running.output.read_text()
    assert "Traceback" not in running.output.read_text()
