"""daphne's other ways to listen: TLS of its own, a Unix socket. Changes and guards are there as well."""

import contextlib
import datetime
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.sync.client import connect, unix_connect

from tests.support import servers
from tests.support.servers import Server, free_port

PATIENCE_SECONDS = 20


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A file with a key and a certificate, by itself."""
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


@pytest.fixture(params=["TLS", "Unix"])
def way(request, prepared, tmp_path, certificate):
    """A server, how to open a WebSocket on it in another way than by TCP, and how to open a bare connection."""
    project = servers.copy(prepared, tmp_path / "project", HANDSHAKE_SECONDS="2")
    port, path = free_port(), str(tmp_path / "socket")
    if request.param == "TLS":
        context = ssl.create_default_context(cafile=certificate)
        options = ["-e", f"ssl:{port}:privateKey={certificate}:certKey={certificate}:interface=127.0.0.1"]

        def bare() -> socket.socket:
            return context.wrap_socket(
                socket.create_connection(("127.0.0.1", port)), server_hostname="localhost"
            )

        def opened():
            return connect(f"wss://localhost:{port}/realtime/ws/", ssl=context)
    else:
        options = ["-u", path]

        def bare() -> socket.socket:
            connected = socket.socket(socket.AF_UNIX)
            connected.connect(path)
            return connected

        def opened():
            return unix_connect(path, "ws://localhost/realtime/ws/")

    server = Server(project, options=options)
    server.start()
    yield server, opened, bare
    server.stop()


def test_changes_arrive_and_tricklers_are_dropped(way):
    """Nothing is written past TLS, and no guard stands in its way."""
    server, opened, bare = way
    with opened() as client:
        client.send('{"type":"subscribe","topic":"entries.1"}')
        server.project.connect().execute("UPDATE boards_entry SET value = 'changed' WHERE id = 1")
        while '"changed"' not in client.recv(PATIENCE_SECONDS):
            pass

    with contextlib.closing(bare()) as trickler:
        trickler.settimeout(0.2)
        for _ in range(5 * PATIENCE_SECONDS):
            try:
                trickler.sendall(b"G")
                if not trickler.recv(1):
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("it may go on for ever")
