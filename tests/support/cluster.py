"""``make cluster``: PostgreSQL, Valkey and three servers on this machine, to try the product out. Ctrl-C ends it.

The data is in a temporary folder that is removed at the end. A server that ends is started again.
"""

import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

from tests.support import databases
from tests.support.servers import Project, Server
from tests.support.valkey import Valkey

SERVERS = 3


class Stopped(Exception):
    """Raised by SIGTERM and SIGINT."""


def main(host: str, port: int) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    ports = [port + number for number in range(SERVERS)]
    for one in ports:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, one))
            except OSError as error:
                sys.exit(
                    f"port {one} cannot be used: {error.strerror}. Choose others: make cluster PORT=9000"
                )
    with contextlib.suppress(Stopped), contextlib.ExitStack() as stack:
        _watch(_start(stack, host, ports))
    print("stopped")


def _start(stack: contextlib.ExitStack, host: str, ports: list[int]) -> list[Server]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-cluster-")))
    postgresql, valkey = stack.enter_context(databases.running()), Valkey()
    stack.callback(valkey.kill)
    valkey.start()
    with contextlib.closing(postgresql.connect()) as admin:
        admin.execute("CREATE DATABASE tidemark")
    project = Project(
        folder,
        DATABASE_URL=postgresql.url("tidemark"),
        REDIS_URL=valkey.url,
        DJANGO_SETTINGS_MODULE="config.settings",
    )
    if "EDITOR_PASSWORD" not in os.environ:
        del project.environment["EDITOR_PASSWORD"]  # the password for tests; ``demo`` makes one and prints it
    project.manage("migrate", "--verbosity", "0")
    print(project.manage("demo", "--host", host, "--port", str(ports[0])).stdout)
    running = [Server(project, port=port, host=host) for port in ports]
    for server in running:
        stack.callback(_stop, server)
        server.start()
        print(f"server  {server.url}/  log {server.log}")
    print(f"\nDATABASE_URL={project.environment['DATABASE_URL']}\nREDIS_URL={valkey.url}")
    print("Open a board at each server, edit at one, kill one. Ctrl-C stops everything.", flush=True)
    return running


def _watch(running: list[Server]) -> None:
    """Start each server again that ends, until a signal raises Stopped."""
    while True:
        time.sleep(0.5)
        for server in running:
            assert server.process is not None
            if server.process.poll() is not None:
                print(
                    f"{server.url} ended ({server.process.returncode}); it is being started again", flush=True
                )
                server.start()


def _stop(server: Server) -> None:
    if server.process is not None and server.process.poll() is None:
        server.stop()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
