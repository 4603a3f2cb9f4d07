"""nginx with the documented configuration, docs/deploy/nginx.conf, in front of one server."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.servers import ROOT, free_port

SITE = ROOT / "docs" / "deploy" / "nginx.conf"
START_SECONDS = 60.0

MAIN = """
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
  include /etc/nginx/mime.types;
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/site.conf;
}}
"""
"""The configuration of Debian's package, with other paths."""


def program() -> str | None:
    """Return the path of nginx; None where it is not installed."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def site(port: int, server_port: int, http2_port: int) -> str:
    """Return the documented site for ports without TLS, which ends before anything that it configures.

    Without TLS, which negotiates the protocol, nginx speaks HTTP/2 on a port of its own.
    """
    text = re.sub(r"^  ssl_.*\n", "", SITE.read_text(), flags=re.MULTILINE)
    text = text.replace(
        "listen 443 ssl http2;", f"listen 127.0.0.1:{port}; listen 127.0.0.1:{http2_port} http2;"
    )
    text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    return text.replace("127.0.0.1:8001", f"127.0.0.1:{server_port}")


@contextlib.contextmanager
def running(folder: Path, server_port: int) -> Iterator[tuple[int, int]]:
    """Run nginx in front of a server that listens on a port; yield its own port, and that for HTTP/2."""
    command, port, http2_port = program(), free_port(), free_port()
    assert command is not None
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(user=user, folder=folder))
    (folder / "site.conf").write_text(site(port, server_port, http2_port))
    process = subprocess.Popen(
        [command, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log"), "-g", "daemon off;"]
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        yield port, http2_port
    finally:
        process.terminate()
        process.wait(timeout=60)
