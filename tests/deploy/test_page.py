"""docs/deploy.md, run block by block on a machine of its own: what an operator reads there is what works."""

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from realtime.boards import migrations
from tests.deploy.machine import HOST, Machine, new_machine, steps
from tests.support import databases
from tests.support.client import Client
from tests.support.servers import ROOT

MISSING = [
    name
    for name in ("nginx", "pgbouncer", "sqlite3", "openssl", "curl")
    if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
]
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        bool(MISSING), reason=f"DOCS/DEPLOY.MD NOT TESTED: apt-get install {' '.join(MISSING)}"
    ),
]

ENTRY = "1"
"""The entry that is written; its board is public."""


def program(name: str) -> str:
    found = shutil.which(name, path=f"/usr/sbin:{os.environ['PATH']}")
    assert found is not None
    return found


def page_of(machine: Machine) -> Client:
    """Return an open page: a browser's connection through nginx, with its origin and by TLS."""
    trusted = ssl.create_default_context(cafile=str(machine.root / "etc/tidemark/tls/fullchain.pem"))
    origin = f"{HOST}:{machine.tls_port}"
    return Client(
        f"wss://{origin}/realtime/ws/", "entries.1", origin=f"https://{origin}",
        ssl=trusted, host="127.0.0.1", port=machine.tls_port, proxy=None,
    )  # fmt: skip


def script(machine: Machine) -> str:
    """Return the address of the script in the start page, which has the hash of its release."""
    html = machine.run(f"curl --fail --silent https://{HOST}/")
    found = re.search(r'src="(/static/realtime/live\.min\.\w+\.js)"', html)
    assert found is not None
    return found[1]


def write_sqlite(machine: Machine, value: str) -> None:
    with (
        contextlib.closing(sqlite3.connect(machine.root / "var/lib/tidemark/db.sqlite3", timeout=60)) as db,
        db,
    ):
        db.execute("UPDATE boards_entry SET value = ? WHERE id = ?", [value, ENTRY])


def value_in_sqlite(machine: Machine) -> str:
    with contextlib.closing(sqlite3.connect(machine.root / "var/lib/tidemark/db.sqlite3", timeout=60)) as db:
        return str(db.execute("SELECT value FROM boards_entry WHERE id = ?", [ENTRY]).fetchone()[0])


def kill_with_a_log(machine: Machine) -> None:
    """Kill the server so that the last commits are in the -wal alone, as a power failure does."""
    machine.run("systemctl kill tidemark@8001")
    assert (machine.root / "var/lib/tidemark/db.sqlite3-wal").stat().st_size > 0


def megabytes(machine: Machine, unit: str) -> float:
    return psutil.Process(machine.process_id(unit)).memory_info().rss / 1e6


def documented_megabytes(server: str) -> float:
    row = re.search(
        r"^\| memory of a process without clients[^|]* \| (\d+) MB \| (\d+) MB \|", DEPLOY, re.MULTILINE
    )
    assert row is not None
    return float(row[1] if server == "daphne" else row[2])


DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


@pytest.fixture(scope="module")
def installed() -> Iterator[Machine]:
    """A machine on which steps 1 to 7 were run."""
    with new_machine() as machine:
        machine.release("0.1.0")
        machine.add_nginx(program("nginx"))
        for step in (1, 2, 3):
            machine.next_block(step)
        machine.next_block(4, typed="a-password-for-tests\n")
        for step in (5, 6, 7):
            machine.next_block(step)
        yield machine


def test_the_proxy_serves_as_the_page_says(installed):
    """TLS and HTTP/2, compressed pages, scripts that browsers keep, no metrics, and bounds for each address."""
    html = installed.run(f"curl --silent --compressed --include --http2 https://{HOST}/").lower()
    asset = installed.run(f"curl --silent --include https://{HOST}{script(installed)}").lower()
    packed = installed.run(f"curl --silent --compressed --include https://{HOST}{script(installed)}").lower()
    hidden = [
        installed.run(
            f"curl --silent --output /dev/null --write-out %{{http_code}} https://{HOST}/realtime/{name}/"
        )
        for name in ("metrics", "live", "ready")
    ]
    installed.run(
        f"curl --silent --parallel --parallel-max 40 --output /dev/null 'https://{HOST}/admin/login/?[1-40]'"
    )
    plain = urllib.request.Request(f"http://127.0.0.1:{installed.plain_port}/x?y", headers={"Host": HOST})

    assert html.startswith("http/2 200")
    assert "content-encoding: gzip" in html
    assert "strict-transport-security: max-age=2592000" in html
    assert "cache-control: public, max-age=31536000, immutable" in asset
    assert "content-encoding: gzip" in packed
    assert "content-length: " in packed  # the file of collectstatic, not compressed for each response
    assert hidden == ["404"] * 3
    refusals = (installed.root / "var/log/nginx/error.log").read_text()
    assert 'by zone "tidemark_passwords"' in refusals
    with pytest.raises(urllib.error.HTTPError) as redirected:
        urllib.request.build_opener(NoRedirect).open(plain, timeout=60)
    assert (redirected.value.code, redirected.value.headers["Location"]) == (
        301,
        f"https://{HOST}:{installed.tls_port}/x?y",
    )


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        return None


def test_a_command_of_a_release_without_the_environment_is_refused(installed):
    """By hand, it would make and use a database of its own."""
    done = subprocess.run(
        [".venv/bin/python", "manage.py", "migrate"],
        cwd=installed.root / "opt/tidemark/current", env=installed.environment,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 1
    assert "tidemark COMMAND" in done.stderr


def test_a_process_takes_as_much_memory_as_the_page_says(installed):
    assert megabytes(installed, "tidemark@" + installed.ports["8001"]) < 1.25 * documented_megabytes("daphne")


@pytest.mark.parametrize("name", ["prometheus-rules.yml", "grafana.json"])
def test_each_metric_that_a_file_names_is_exposed(installed, name):
    """A rule about a metric that was renamed never fires."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
    bearer = f"Authorization: Bearer {installed.variable('METRICS_TOKEN')}"
    text = installed.run(f"curl --fail --silent --header '{bearer}' http://127.0.0.1:8001/realtime/metrics/")
    exposed = {
        family.name + suffix
        for family in text_string_to_metric_families(text)
        for suffix in suffixes.get(family.type, [""])
    }

    named = set(re.findall(r"\brealtime_\w+", (ROOT / "docs" / "deploy" / name).read_text()))

    assert len(named) > 5
    assert named - exposed == set()


async def run(machine: Machine, step: int) -> str:
    return await asyncio.to_thread(machine.next_block, step)


async def test_the_first_shape_is_run_by_its_steps(installed):
    """SQLite and daphne: backup, restore in both states, upgrade under an open page, rollback, logs, limits."""
    machine = installed
    async with page_of(machine) as page:
        await page.until_snapshot()
        write_sqlite(machine, "backed up")
        await page.until_row(ENTRY, "backed up")
        await run(machine, 8)

        # Restored under a running server.
        write_sqlite(machine, "lost again")
        await page.until_row(ENTRY, "lost again")
        restore = machine.blocks[0][1]
        await run(machine, 9)
        await page.until_row(ENTRY, "backed up")

        # Restored after kill -9, with a -wal that holds later commits: by the same recipe, and into a new file.
        write_sqlite(machine, "lost with the process")
        await page.until_row(ENTRY, "lost with the process")
        kill_with_a_log(machine)
        await asyncio.to_thread(machine.run, restore)
        assert value_in_sqlite(machine) == "backed up"
        await asyncio.to_thread(machine.run, "systemctl start tidemark@8001")
        await page.until_row(ENTRY, "backed up")
        write_sqlite(machine, "lost with the file")
        await page.until_row(ENTRY, "lost with the file")
        kill_with_a_log(machine)
        await run(machine, 9)
        assert value_in_sqlite(machine) == "backed up"
        await page.until_row(ENTRY, "backed up")

        # The new release has another script, and a column that the old one lacks.
        before = script(machine)
        machine.release("0.2.0", newer())
        await run(machine, 10)
        write_sqlite(machine, "by the new release")
        await page.until_row(ENTRY, "by the new release")
        after = script(machine)
        assert after != before
        for address in (before, after):
            machine.run(f"curl --fail --silent https://{HOST}{address}")
        await run(machine, 11)
        write_sqlite(machine, "by the old release")
        await page.until_row(ENTRY, "by the old release")
        assert script(machine) == before

        for step in (12, 13, 14):
            await run(machine, step)
        assert machine.variable("MAX_CONNECTIONS") == "5000"
        former = machine.variable("SECRET_KEY")
        await run(machine, 14)
        assert machine.variable("SECRET_KEY") != former
        assert machine.variable("SECRET_KEY_FALLBACKS") == former
        write_sqlite(machine, "last")
        await page.until_row(ENTRY, "last")


def newer() -> dict[str, str]:
    """Return the files of a release with a migration of a live table, and a script of another content."""
    latest = max(path.stem for path in Path(migrations.__path__[0]).glob("0*.py"))
    models = (ROOT / "realtime/boards/models.py").read_text()
    field = "    origin = models.CharField(max_length=20, null=True)\n"
    return {
        "realtime/boards/models.py": models.replace("    updated = models", f"{field}    updated = models"),
        "realtime/boards/migrations/9000_origin.py": (
            "from django.db import migrations, models\n\n\n"
            "class Migration(migrations.Migration):\n"
            f'    dependencies = [("boards", "{latest}")]\n'
            '    operations = [migrations.AddField("entry", "origin", models.CharField(max_length=20, null=True))]\n'
        ),
        "realtime/static/realtime/live.min.js": (ROOT / "realtime/static/realtime/live.min.js").read_text()
        + "// newer\n",
    }


@pytest.fixture
def services(installed: Machine) -> Iterator[Machine]:
    """The machine with the servers of the second shape; steps that did not run before are left out."""
    installed.blocks = [(number, block) for number, block in installed.blocks if number >= 16]
    with databases.running(listen_addresses="127.0.0.1", port=installed.ports["5432"]) as postgresql:
        postgresql.require_passwords()
        installed.add_postgresql(postgresql)
        installed.add_pgbouncer(program("pgbouncer"))
        installed.add_valkey()
        yield installed


@pytest.mark.matrix
async def test_the_second_shape_is_run_by_its_steps(services):
    """PostgreSQL with two roles, PgBouncer, Valkey with an ACL, three uvicorns; rolling restart, restore, removal."""
    machine = services
    write_sqlite(machine, "moved from SQLite")
    await run(machine, 16)
    assert_moved(machine)
    for step in (17, 18):
        await run(machine, step)
    await asyncio.to_thread(machine.run, "tidemark demo")
    await run(machine, 19)
    writer = psycopg.connect(host=machine.environment["POSTGRESQL"], port=machine.ports["5432"], user="postgres",
                             dbname="tidemark", autocommit=True)  # fmt: skip

    def write(value: str) -> None:
        writer.execute("UPDATE boards_entry SET value = %s WHERE id = %s", [value, ENTRY])

    assert_least_rights(machine)
    assert megabytes(machine, "tidemark@" + machine.ports["8001"]) < 1.25 * documented_megabytes("uvicorn")
    async with page_of(machine) as one, page_of(machine) as two, page_of(machine) as three:
        pages = [one, two, three]
        for page in pages:
            await page.until_snapshot()
        await run(machine, 19)
        figures = await asyncio.to_thread(machine.run, "curl --fail --silent http://127.0.0.1:9101/metrics")
        assert "realtime_publisher_leads" in figures
        assert_of_one_release(machine)

        restarting = asyncio.create_task(run(machine, 19))
        number = 0
        while not restarting.done():
            number += 1
            write(f"number {number}")
            await asyncio.wait([restarting], timeout=0.2)
        await restarting
        for page in pages:
            await page.until_row(ENTRY, f"number {number}")
        assert sum(page.connections for page in pages) > len(pages)

        await run(machine, 20)
        write("lost again")
        for page in pages:
            await page.until_row(ENTRY, "lost again")
        await run(machine, 20)
        for page in pages:
            await page.until_row(ENTRY, f"number {number}")
        write("after the restore")
        for page in pages:
            await page.until_row(ENTRY, "after the restore")
    writer.close()

    await run(machine, 21)

    assert machine.blocks == []
    kept = {"root", "backups", "journal"}  # the archives, the backups, the log
    assert [path for path in machine.root.rglob("*tidemark*") if not kept & set(path.parts)] == []


def assert_moved(machine: Machine) -> None:
    """The rows and users of SQLite are in PostgreSQL, whose sequences continue behind them."""
    with psycopg.connect(machine.variable("DATABASE_URL")) as moved:
        value = moved.execute("SELECT value FROM boards_entry WHERE id = %s", [ENTRY]).fetchone()
        admins = moved.execute("SELECT count(*) FROM auth_user WHERE username = 'admin'").fetchone()
        follows = moved.execute(
            "SELECT nextval('boards_entry_id_seq') > max(id) FROM boards_entry"
        ).fetchone()
    assert (value, admins, follows) == (("moved from SQLite",), (1,), (True,))


def assert_of_one_release(machine: Machine) -> None:
    """No process loads its packages by way of ``current``, which leads to another release after an upgrade."""
    units = [path.name.removesuffix(".service") for path in (machine.root / "run/units").glob("tidemark*")]
    started = {unit: psutil.Process(machine.process_id(unit)).cmdline()[0] for unit in units}
    assert len(started) == 4
    assert [unit for unit, interpreter in started.items() if "/current/" in interpreter] == []


def assert_least_rights(machine: Machine) -> None:
    """The servers' accounts can do what servers do, and no more."""
    address = machine.variable("DATABASE_URL")
    assert f":{machine.ports['6432']}/" in address
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as served:
        for limit, seconds in (("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "1min")):
            assert served.execute(f"SHOW {limit}").fetchone() == (seconds,)
        for forbidden in (
            "ALTER TABLE boards_entry ADD COLUMN stolen text",
            "DROP TABLE realtime_outboxrow",
            "CREATE TABLE stolen (id int)",
            "ALTER TABLE boards_entry DISABLE TRIGGER ALL",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                served.execute(forbidden)
    with redis.Redis.from_url(machine.variable("REDIS_URL")) as client:
        client.publish("tidemark-x", "…")
        for words in (
            ["FLUSHALL"],
            ["KEYS", "*"],
            ["PUBLISH", "another", "…"],
            ["CONFIG", "GET", "*"],
            ["SET", "a", "b"],
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*words)
    with (
        redis.Redis(port=int(machine.ports["6379"])) as stranger,
        pytest.raises(redis.exceptions.AuthenticationError),
    ):
        stranger.ping()


def test_every_block_belongs_to_a_step():
    """Blocks outside of the numbered steps would not be run."""
    assert sorted(steps()) == sorted(set(steps()) - {0})
    assert DEPLOY.count("```sh") == sum(len(blocks) for blocks in steps().values())
