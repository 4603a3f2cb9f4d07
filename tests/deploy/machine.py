"""A machine for docs/deploy.md: a folder that stands for ``/``, free ports, and scripts for what needs a machine.

The substitution: each of ``FOLDERS`` at the beginning of a path is put below the folder, each of ``PORTS`` is replaced
by a free one, and ``https://live.example.com`` gets the port of nginx. It applies to the page and to all files that its
steps install, and to nothing else.
"""

import contextlib
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support.databases import PostgreSQL
from tests.support.servers import ROOT, free_port
from tests.support.valkey import Valkey

PAGE = ROOT / "docs" / "deploy.md"
FOLDERS = re.compile(r"(?<![\w./}-])/(opt|etc|run|var|usr/local)/")
PORTS = ("8001", "8002", "8003", "8004", "5432", "6432", "6379", "9101")
HOST = "live.example.com"
STEP = re.compile(r"^## (\d+)\. (.+)$")
SECONDS = 600

SCRIPTS = {
    # Installed by the test or by the developer: the steps must not change the machine that the test runs on.
    "apt-get": "exit 0",
    "useradd": "exit 0",
    "userdel": "exit 0",
    "journalctl": "exit 0",
    # Files belong to the user that runs the test, so that it needs no root.
    "install": r"""
for word do
  shift
  case $word in
    --owner|--group) skip=1 ;;
    *) if [ "${skip-}" ]; then skip=; else set -- "$@" "$word"; fi ;;
  esac
done
exec /usr/bin/install "$@"
""",
    # runuser -u USER -- COMMAND …; the user postgres reaches its server by the socket, as on Debian.
    "runuser": r"""
if [ "$2" = postgres ]; then export PGHOST="$POSTGRESQL" PGUSER=postgres; fi
shift 3
exec "$@"
""",
    "systemctl": 'exec {python} {systemctl} "$@"',
    # The same packages with the same hashes; pip and venv take twenty seconds for what uv does in one.
    "python3": r"""
if [ "$1 $2" != "-m venv" ]; then exec {python} "$@"; fi
{uv} venv --quiet --python {python} "$3"
printf '#!/bin/sh\nverb=$1; shift\nexec {uv} pip $verb --quiet --python %s/bin/python "$@"\n' "$3" > "$3/bin/pip"
chmod 755 "$3/bin/pip"
""",
}


def steps() -> dict[int, list[str]]:
    """Return the blocks of shell commands of each numbered step of the page."""
    found: dict[int, list[str]] = {}
    number = 0
    block: list[str] | None = None
    for line in PAGE.read_text().splitlines():
        if block is not None and line != "```":
            block.append(line)
        elif block is not None:
            found.setdefault(number, []).append("\n".join(block))
            block = None
        elif line == "```sh":
            block = []
        elif line.startswith("## "):
            number = int(heading[1]) if (heading := STEP.match(line)) else 0
    return found


class Machine:
    """Where the steps of the page are run, each block by a shell of its own that stops at the first failure."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._reserved: list[socket.socket] = []
        self.ports = {port: str(self._reserve()) for port in PORTS}
        self.plain_port, self.tls_port = self._reserve(), self._reserve()
        self.blocks = [(number, block) for number, blocks in steps().items() for block in blocks]
        for folder in (
            "bin", "root", "run/units", "run/postgresql", "var/run/postgresql", "var/log/journal", "var/log/nginx",
            "var/log/postgresql", "var/backups", "var/lib/valkey", "lib/systemd/system", "etc/systemd/system",
            "etc/nginx/sites-available", "etc/nginx/sites-enabled",
            "etc/nginx/modules-enabled", "etc/nginx/conf.d", "etc/pgbouncer", "etc/valkey", "usr/local/bin",
        ):  # fmt: skip
            (root / folder).mkdir(parents=True)
        words = {
            "python": sys.executable,
            "systemctl": str(Path(__file__).with_name("systemctl.py")),
            "uv": f"{Path(sys.executable).parent}/uv",
        }
        for name, script in SCRIPTS.items():
            for word, value in words.items():
                script = script.replace(f"{{{word}}}", value)
            (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
            (root / "bin" / name).chmod(0o755)
        (root / "root" / ".curlrc").write_text(
            f"cacert = {root}/etc/tidemark/tls/fullchain.pem\nresolve = {HOST}:{self.tls_port}:127.0.0.1\n"
        )
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DJANGO_", "PG")) and name not in ("VAR_DIR", "EDITOR_PASSWORD")
        } | {
            "PATH": f"{root}/bin:{root}/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PREFIX": str(root),
            "HOME": f"{root}/root",
            "CURL_HOME": f"{root}/root",
            "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv")),
        }

    def _reserve(self) -> int:
        """Return a free port that no other test gets before its server of this machine listens on it."""
        one = socket.socket()
        # Servers set this option too, so they may listen although this socket has the port; other tests look without.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", free_port()))
        self._reserved.append(one)
        return int(one.getsockname()[1])

    def mapped(self, text: str) -> str:
        """Return a text of the page or of its files as it is on this machine."""
        text = FOLDERS.sub(rf"{self.root}/\1/", text)
        text = re.sub(rf"(?<![\d.])({'|'.join(PORTS)})(?!\d)", lambda match: self.ports[match[0]], text)
        text = re.sub(rf"https://{re.escape(HOST)}(?=[/$])", f"https://{HOST}:{self.tls_port}", text)
        return text.replace("listen 80;", f"listen {self.plain_port};").replace(
            "listen 443 ", f"listen {self.tls_port} "
        )

    def release(self, version: str, changed: dict[str, str] | None = None) -> None:
        """Put the archive of a release into the folder where the steps are run, with some files changed."""
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / f"tidemark-{version}"
            for name in ("config", "realtime", "templates", "docs/deploy"):
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            for name in ("manage.py", "requirements.lock", "requirements.txt", "requirements-uvicorn.txt"):
                shutil.copy(ROOT / name, tree)
            for path in (tree / "docs" / "deploy").iterdir():
                path.write_text(self.mapped(path.read_text()))
            for name, text in (changed or {}).items():
                (tree / name).write_text(text)
            with tarfile.open(
                self.root / "root" / f"tidemark-{version}.tar.gz", "w:gz", compresslevel=1
            ) as archive:
                archive.add(tree, tree.name)

    def run(self, commands: str, typed: str = "") -> str:
        """Run shell commands of the page; return what they print.

        Raises: AssertionError, with all output, if one of them fails.
        """
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.mapped(commands)],
            cwd=self.root / "root", env=self.environment, input=typed, capture_output=True, text=True, timeout=SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, (
            f"{commands}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n{self.logs()}"
        )
        return done.stdout

    def next_block(self, step: int, typed: str = "") -> str:
        """Run the next block of the page, which must be one of this step, so that all are run in their order."""
        number, block = self.blocks.pop(0)
        assert number == step, f"the next block of the page is one of step {number}:\n{block}"
        return self.run(block, typed)

    def logs(self) -> str:
        """Return the ends of what all processes have logged."""
        paths = [*(self.root / "var/log/journal").iterdir(), *(self.root / "var/log/nginx").iterdir()]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in paths)

    def variable(self, name: str) -> str:
        """Return a variable of the servers' environment."""
        lines = (self.root / "etc/tidemark/tidemark.env").read_text().splitlines()
        return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")][-1]

    def process_id(self, unit: str) -> int:
        return int((self.root / "run/units" / f"{unit}.service").read_text())

    def unit(self, name: str, command: str) -> None:
        """Write the unit that a package of the distribution would bring."""
        (self.root / "lib/systemd/system" / f"{name}.service").write_text(f"[Service]\nExecStart={command}\n")

    def add_nginx(self, program: str) -> None:
        """Install nginx as Debian's package does, with workers that own none of the files, and start it."""
        others = f"nobody {grp.getgrgid(pwd.getpwnam('nobody').pw_gid).gr_name}"
        for name in ("nginx.conf", "mime.types"):
            text = self.mapped(Path("/etc/nginx", name).read_text())
            text = re.sub(
                r"^user .*;", f"user {others};" if os.geteuid() == 0 else "", text, flags=re.MULTILINE
            )
            (self.root / "etc/nginx" / name).write_text(text)
        configuration = self.root / "etc/nginx/nginx.conf"
        (self.root / "bin/nginx").write_text(f'#!/bin/sh\nexec {program} -c {configuration} "$@"\n')
        (self.root / "bin/nginx").chmod(0o755)
        self.unit("nginx", f"{program} -c {configuration} -g 'daemon off;'")
        self.run("systemctl start nginx")

    def add_postgresql(self, server: PostgreSQL) -> None:
        self.environment |= {"POSTGRESQL": str(server.folder), "PGPORT": self.ports["5432"]}
        self.environment["PATH"] = f"{server.programs}:{self.environment['PATH']}"

    def add_pgbouncer(self, program: str) -> None:
        """Install PgBouncer, which refuses to run as root."""
        user = "-u nobody " if os.geteuid() == 0 else ""
        for folder in ("var/log/postgresql", "var/run/postgresql"):
            (self.root / folder).chmod(0o777)
        self.unit("pgbouncer", f"{program} {user}{self.root}/etc/pgbouncer/pgbouncer.ini")

    def add_valkey(self) -> None:
        configuration = self.root / "etc/valkey/valkey.conf"
        configuration.write_text(
            f'bind 127.0.0.1\nport {self.ports["6379"]}\ndir {self.root}/var/lib/valkey\nsave ""\n'
        )
        self.unit("valkey-server", f"{Valkey().program} {configuration}")

    def stop(self) -> None:
        """End every process that the steps have started."""
        for path in (self.root / "run/units").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(path.read_text()), signal.SIGKILL)
        for one in self._reserved:
            one.close()


@contextlib.contextmanager
def new_machine() -> Iterator[Machine]:
    # Not below pytest's folder, which other users may not enter: nginx and PgBouncer have users of their own.
    root = Path(tempfile.mkdtemp(prefix="tidemark-deploy-"))
    root.chmod(0o755)
    machine = Machine(root)
    try:
        yield machine
    finally:
        machine.stop()
        shutil.rmtree(root, ignore_errors=True)
