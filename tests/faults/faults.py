"""The faults, by name. Each strikes a world under load and returns when the failed part works again."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.faults.apps import STEPS
from tests.faults.world import DATABASE, Distributed, Embedded, World
from tests.support.servers import ROOT

Fault = Callable[[Any], Awaitable[None]]
"""A function of the world that it strikes; some strike only a Distributed or only an Embedded world."""

FREEZE_SECONDS = float(os.environ.get("FREEZE_SECONDS", "2"))
"""How long a process stays frozen; ``make faults`` sets 10."""
OPEN_SECONDS = float(os.environ.get("OPEN_SECONDS", "5"))
"""How long a writer's transaction stays open; ``make faults`` sets 30."""

TRUNCATES = 20
MAX_OFFSET = 2**63

# ---------------------------------------------------------------- servers and publishers


async def kill_a_server(world: World) -> None:
    await world.restart(world.chance.choice(world.servers), signal.SIGKILL)


async def stop_a_server(world: World) -> None:
    await world.restart(world.chance.choice(world.servers), signal.SIGTERM)


async def freeze_a_server(world: World) -> None:
    process = world.chance.choice(world.servers).process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(FREEZE_SECONDS)
    process.send_signal(signal.SIGCONT)


async def kill_the_standby(world: Distributed) -> None:
    assert world.standby is not None
    world.standby.kill()
    world.standby.wait()
    world.start_standby()


def kill_the_publisher(step: str) -> Fault:
    """Return the fault in which a server kills itself at that step of publishing."""

    async def fault(world: Distributed) -> None:
        server = world.chance.choice(world.servers)
        with contextlib.suppress(RuntimeError):  # it may die before it serves its first page
            await world.restart(server, signal.SIGTERM, 0, DIE_AT=step)
        process = server.process
        assert process is not None
        # Other publishers may be quicker at every tick; when they are frozen, this one has to publish.
        others = [one.process for one in world.servers if one is not server] + [world.standby]
        for other in others:
            other.send_signal(signal.SIGSTOP)
        try:
            await world.until(lambda: process.poll() is not None, f"a server kills itself at {step}")
        finally:
            for other in others:
                other.send_signal(signal.SIGCONT)
        await world.restart(server, signal.SIGKILL, 0)

    return fault


async def set_a_clock_ahead(world: World) -> None:
    """Restart a server with a clock that is 61 s ahead, and then with the right one."""
    server = world.chance.choice(world.servers)
    await world.restart(server, signal.SIGTERM, 0, CLOCK_AHEAD="61")
    await asyncio.sleep(1)
    await world.restart(server, signal.SIGTERM, 0)


# ---------------------------------------------------------------- the channel layer


async def restart_valkey(world: Distributed) -> None:
    """Kill it and start it again; without persistence it is empty then."""
    await asyncio.to_thread(world.valkey.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(world.valkey.start)


async def freeze_valkey(world: Distributed) -> None:
    world.valkey.freeze()
    await asyncio.sleep(FREEZE_SECONDS)
    world.valkey.thaw()


async def flush_valkey(world: Distributed) -> None:
    await asyncio.to_thread(world.valkey.command, "FLUSHALL")


async def disconnect_the_clients_of_valkey(world: Distributed) -> None:
    for kind in ("normal", "pubsub"):
        await asyncio.to_thread(world.valkey.command, "CLIENT", "KILL", "TYPE", kind)


async def flood_the_layer(world: Distributed) -> None:
    """Publish more messages than a process can receive at once, all of them invalid."""

    def flood() -> None:
        channels = world.valkey.command("PUBSUB", "CHANNELS")
        assert isinstance(channels, list)
        for channel in channels:
            for _ in range(300):
                world.valkey.command("PUBLISH", channel, b"\xc1 nonsense " * 100)

    await asyncio.to_thread(flood)


# ---------------------------------------------------------------- the database


async def restart_postgresql(world: Distributed) -> None:
    await asyncio.to_thread(world.postgresql.stop)
    await asyncio.to_thread(world.postgresql.start)


async def crash_postgresql(world: Distributed) -> None:
    await asyncio.to_thread(world.postgresql.crash)


async def kill_a_backend(world: Distributed) -> None:
    def kill() -> None:
        with contextlib.closing(world.postgresql.connect()) as admin:
            (process,) = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend' LIMIT 1",
                [DATABASE],
            ).fetchone()
            world.postgresql.kill_backend(process)

    await asyncio.to_thread(kill)
    await asyncio.to_thread(world.position)


async def terminate_all_backends(world: Distributed) -> None:
    def terminate() -> None:
        with contextlib.closing(world.postgresql.connect()) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [DATABASE]
            )

    await asyncio.to_thread(terminate)


async def freeze_postgresql(world: Distributed) -> None:
    postmaster = psutil.Process(world.postgresql.process_id)
    frozen = [postmaster, *postmaster.children(recursive=True)]
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        await asyncio.sleep(FREEZE_SECONDS)
    finally:
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


async def keep_a_transaction_open(world: World) -> None:
    """A transaction writes, and commits after many others that began later."""

    def write(database: psycopg.Connection) -> None:
        database.execute("BEGIN")
        database.execute("INSERT INTO boards_entry (board_id, label) VALUES (1, 'committed late')")

    with contextlib.closing(world.connect()) as database:
        await asyncio.to_thread(write, database)
        await asyncio.sleep(OPEN_SECONDS)
        await asyncio.to_thread(database.execute, "COMMIT")


async def truncate(world: Distributed) -> None:
    """Truncate and refill a table again and again: it is emptied under the snapshots of concurrent readers."""

    def empty() -> None:
        with contextlib.closing(world.connect()) as database:
            for number in range(TRUNCATES):
                with contextlib.suppress(psycopg.errors.DeadlockDetected), database.transaction():
                    database.execute("TRUNCATE boards_entry")
                    database.execute(
                        "INSERT INTO boards_entry (board_id, label, position) "
                        "SELECT 1 + number %% 2, 'after ' || %s, number FROM generate_series(1, 20) AS number",
                        [number],
                    )

    await asyncio.to_thread(empty)


async def change_thousands(world: Distributed) -> None:
    """Change more rows in one statement than are sequenced individually."""

    def change() -> None:
        with contextlib.closing(world.connect()) as database, database.transaction():
            database.execute(
                "INSERT INTO boards_entry (board_id, label, is_visible, note) "
                "SELECT 1, 'flood', FALSE, 'flood' FROM generate_series(1, 3000)"
            )
            database.execute("DELETE FROM boards_entry WHERE note = 'flood'")

    await asyncio.to_thread(change)


async def prune_the_log(world: Distributed) -> None:
    """Prune the log while a server is frozen: its own cursors and its viewers' fall behind the oldest entry."""
    process = world.chance.choice(world.servers).process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(0.5)
        await _in_a_process(
            world, "from realtime.publishing.log import prune; prune()", LOG_RETENTION_SECONDS="0"
        )
    finally:
        process.send_signal(signal.SIGCONT)


async def remake_a_table(world: Distributed) -> None:
    """Run a migration that rewrites a live table: changes written while it has no triggers are found afterwards."""
    began = await asyncio.to_thread(world.position)
    await _in_a_process(world, _MIGRATION)
    await asyncio.sleep(2)
    sequenced = await asyncio.to_thread(world.position)
    if began.epoch == sequenced.epoch:
        world.oracle.exclude(began.epoch, began.offset - 1, sequenced.offset)


_MIGRATION = """
from django.apps import apps
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import connection
from django.db.migrations import Migration

plan = [(Migration("remake", "boards"), False)]
emit_pre_migrate_signal(0, False, "default", plan=plan, apps=apps)
with connection.cursor() as cursor:
    cursor.execute("ALTER TABLE boards_entry ALTER COLUMN note TYPE varchar(400)")
    cursor.execute("ALTER TABLE boards_entry ALTER COLUMN note TYPE varchar(500)")
emit_post_migrate_signal(0, False, "default", plan=plan, apps=apps)
"""


async def restore_the_first_backup(world: Distributed) -> None:
    """Restore the database as it was before the log began, under running servers."""
    await _restore(world, world.first_backup, is_new=True)


async def restore_into_a_new_database(world: Distributed) -> None:
    """Drop the database and restore it, including its log, as it was a moment ago."""
    await _restore(world, await _backup(world), is_new=True)


async def restore_into_the_same_database(world: Distributed) -> None:
    """Replace the tables by those of a backup in one transaction, without closing a connection."""
    await _restore(world, await _backup(world), is_new=False)


async def restore_sqlite(world: Embedded) -> None:
    """Restore with SQLite's backup API: one transaction replaces every page, under the running server."""

    def copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
        with contextlib.closing(source), contextlib.closing(target):
            source.backup(target)

    file = world.folder / "backup.sqlite3"
    await asyncio.to_thread(copy, world.connect(), sqlite3.connect(file, check_same_thread=False))
    await asyncio.sleep(2)
    await world.compare()
    # Changes that this epoch still shows are undone by the restore, and so are the oracle's records of them.
    world.oracle.exclude(world.position().epoch, 0, MAX_OFFSET)
    await asyncio.to_thread(copy, sqlite3.connect(file, check_same_thread=False), world.connect())


async def _backup(world: Distributed) -> Path:
    """Return a backup that is one second old."""
    file = world.folder / "backup"
    await asyncio.to_thread(world.postgresql.backup, DATABASE, file)
    await asyncio.sleep(1)
    return file


async def _restore(world: Distributed, file: Path, is_new: bool) -> None:
    await world.compare()  # the restore removes the records of what was shown until now

    def restore() -> None:
        if is_new:
            with contextlib.closing(world.postgresql.connect()) as admin:
                admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
                admin.execute(f"CREATE DATABASE {DATABASE}")
        world.postgresql.restore(file, DATABASE)

    await asyncio.to_thread(restore)


# ---------------------------------------------------------------- viewers


async def drop_viewers(world: World) -> None:
    for viewer in world.chance.sample(world.viewers, len(world.viewers) // 2):
        viewer.drop()


async def leave_viewers_half_open(world: World) -> None:
    for viewer in world.chance.sample(world.viewers, len(world.viewers) // 5):
        viewer.leave_half_open()


async def freeze_viewers(world: World) -> None:
    chosen = world.chance.sample(world.viewers, len(world.viewers) // 5)
    await asyncio.gather(*(viewer.freeze(FREEZE_SECONDS) for viewer in chosen))


async def _in_a_process(world: Distributed, script: str, **environment: str) -> None:
    """Run a script in its own process, as an operator would."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "manage.py", "shell", "-v", "0", "-c", script],
        cwd=ROOT, env=world.project(**environment).environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _named(*faults: Fault) -> dict[str, Fault]:
    return {fault.__name__: fault for fault in faults}


EMBEDDED = _named(
    kill_a_server, stop_a_server, freeze_a_server, set_a_clock_ahead, keep_a_transaction_open,
    restore_sqlite, drop_viewers, leave_viewers_half_open, freeze_viewers,
)  # fmt: skip
"""The faults of one server with SQLite."""

FAULTS = (
    _named(
        kill_a_server, stop_a_server, freeze_a_server, kill_the_standby, set_a_clock_ahead,
        restart_valkey, freeze_valkey, flush_valkey, disconnect_the_clients_of_valkey, flood_the_layer,
        restart_postgresql, crash_postgresql, kill_a_backend, terminate_all_backends, freeze_postgresql,
        keep_a_transaction_open, truncate, change_thousands, prune_the_log, remake_a_table,
        restore_the_first_backup, restore_into_a_new_database, restore_into_the_same_database,
        drop_viewers, leave_viewers_half_open, freeze_viewers,
    )
    | {f"kill_the_publisher_{step}": kill_the_publisher(step) for step in STEPS}
)  # fmt: skip
"""The faults of three servers with PostgreSQL and Valkey."""
