"""``make audit``: the real pip-audit against the test's own database, with and without findings, and unreachable."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.audit import audit, installed

pytestmark = pytest.mark.server


class Database(ThreadingHTTPServer):
    """Answers as OSV does: ``vulnerable`` packages have one vulnerability each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}/v1/query"
        self.vulnerable: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.answers = 10_000
        self.is_over = threading.Event()


class Answer(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, version = question["package"]["name"], question["version"]
        self.server.asked.append((name, version))
        if len(self.server.asked) > self.server.answers:
            self.server.is_over.wait()
        vulnerability = {
            "id": "OSV-2026-1",
            "summary": "allows access without a password",
            "affected": [{"package": {"name": name, "ecosystem": "PyPI"}}],
        }
        answer = json.dumps({"vulns": [vulnerability]} if name in self.server.vulnerable else {}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def database() -> Iterator[Database]:
    with Database() as database:
        thread = threading.Thread(target=database.serve_forever)
        thread.start()
        yield database
        database.is_over.set()
        database.shutdown()
        thread.join()


def test_a_known_vulnerability_is_printed_and_fails_the_audit(database, capfd):
    """Each installed package is queried with its installed version."""
    database.vulnerable = {"msgspec"}

    assert audit(database.url) == 1

    printed = capfd.readouterr().out
    assert "msgspec" in printed
    assert "OSV-2026-1" in printed
    assert ("django", installed()["django"]) in database.asked
    assert len(database.asked) == 1 + len(installed())


def test_an_audit_without_findings_succeeds(database, capfd):
    """It prints that no vulnerability is known, and no warning."""
    assert audit(database.url) == 0

    printed = capfd.readouterr()
    assert "No known vulnerabilities found" in printed.err
    assert "NOT AUDITED" not in printed.out


@pytest.mark.parametrize(
    "unreachable", [{"url": "http://127.0.0.1:9/"}, {"status": 403}, {"answers": 1}], ids=str
)
def test_an_unreachable_database_is_reported_and_does_not_fail_the_audit(database, capfd, unreachable):
    """A closed port, a refusing proxy, or one that stops answering: the time spent on it is bounded."""
    vars(database).update(unreachable)

    assert audit(database.url, seconds=2) == 0

    assert "NOT AUDITED" in capfd.readouterr().out


def test_an_audit_that_cannot_run_fails(database, monkeypatch):
    """Only an unreachable database is no failure."""
    monkeypatch.setattr("tests.support.audit.installed", lambda: {"not a name": "1"})

    assert audit(database.url) != 0
