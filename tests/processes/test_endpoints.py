"""daphne listening with its own TLS or on a Unix socket: changes arrive, and time limits hold, there too."""

import contextlib
import datetime
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import ClientConnection, connect, unix_connect

from tests.processes.sockets import PATIENCE_SECONDS
from tests.support import servers
from tests.support.servers import Project, Server, free_port


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and a self-signed certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


@dataclass(frozen=True)
class Endpoint:
    """A server, and how to connect to it other than by plain TCP."""

    server: Server
    open_websocket: Callable[[], ClientConnection]
    connect: Callable[[], socket.socket]


@pytest.fixture(params=["TLS", "Unix"])
def endpoint(
    request: pytest.FixtureRequest, prepared: Project, tmp_path: Path, certificate: Path
) -> Iterator[Endpoint]:
    project = servers.copy(prepared, tmp_path / "project", HANDSHAKE_SECONDS="2")
    port, path = free_port(), str(tmp_path / "socket")
    if request.param == "TLS":
        context = ssl.create_default_context(cafile=certificate)
        options = ["-e", f"ssl:{port}:privateKey={certificate}:certKey={certificate}:interface=127.0.0.1"]

        def connect_plainly() -> socket.socket:
            return context.wrap_socket(
                socket.create_connection(("127.0.0.1", port)), server_hostname="localhost"
            )

        def open_websocket() -> ClientConnection:
            return connect(f"wss://localhost:{port}/realtime/ws/", ssl=context, open_timeout=PATIENCE_SECONDS)
    else:
        options = ["-u", path]

        def connect_plainly() -> socket.socket:
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(path)
            return connected

        def open_websocket() -> ClientConnection:
            return unix_connect(path, "ws://localhost/realtime/ws/", open_timeout=PATIENCE_SECONDS)

    server = Server(project, options=options)
    server.start()
    yield Endpoint(server, open_websocket, connect_plainly)
    server.stop()


def test_changes_arrive_and_unfinished_requests_are_ended(endpoint: Endpoint) -> None:
    """Frames are not written past TLS, and the guards find the socket below it."""
    with endpoint.open_websocket() as client:
        client.send('{"type":"subscribe","topic":"entries.1"}')
        endpoint.server.project.connect().execute("UPDATE boards_entry SET value = 'changed' WHERE id = 1")
        while '"changed"' not in str(client.recv(PATIENCE_SECONDS)):
            pass

    deadline = time.monotonic() + PATIENCE_SECONDS
    with contextlib.closing(endpoint.connect()) as trickler:
        trickler.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                trickler.sendall(b"G")
                if not trickler.recv(4096):
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("the request may go on without end")
