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

from tests.apps.faulty.switches import FAILING_FILE, NEXT_RELEASE, SLOW_FILE, UNRENDERABLE
from tests.faults.apps import STEPS
from tests.faults.oracle import NEXT_PARCELS
from tests.faults.world import (
    DATABASE,
    READING_SECONDS,
    Distributed,
    Embedded,
    World,
)
from tests.support.servers import ROOT, Server

Fault = Callable[[Any], Awaitable[None]]
"""A function of the world that it strikes; some strike only a Distributed or only an Embedded world."""

FREEZE_SECONDS = float(os.environ.get("FREEZE_SECONDS", "2"))
"""How long a process stays frozen; ``make faults`` sets 10."""
LOCK_ATTEMPTS = 10
"""How often a command that an operator runs is tried while it cannot get a lock in time."""
OPEN_SECONDS = float(os.environ.get("OPEN_SECONDS", "5"))
"""How long a writer's transaction stays open; ``make faults`` sets 30."""

FREEZING_THREADS = {"publisher": 25, "housekeeping": 8}
"""In whose transactions a process is frozen, and up to which of their statements: those that lock anything."""
TRUNCATES = 20
RESTORES = 10
"""How often a restore is tried that writers are in the way of."""
LONG_NAME = 201

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
        others = world.others(server)
        for other in others:
            other.send_signal(signal.SIGSTOP)
        try:
            await world.until(lambda: process.poll() is not None, f"a server kills itself at {step}")
        finally:
            for other in others:
                other.send_signal(signal.SIGCONT)
        await world.restart(server, signal.SIGKILL, 0)

    return fault


def freeze_in_a_transaction(thread: str) -> Fault:
    """Return the fault in which a server is frozen after a random statement in a transaction of that thread."""

    async def fault(world: World) -> None:
        server = world.chance.choice(world.servers)
        before = server.process
        place = f"{thread}:{world.chance.randrange(1, FREEZING_THREADS[thread] + 1)}"
        starting = asyncio.create_task(world.restart(server, signal.SIGTERM, 0, FREEZE_AFTER=place))

        def is_frozen() -> bool:
            process = server.process
            return (
                process is not None
                and process is not before
                and psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
            )

        await world.until(lambda: starting.done() or is_frozen(), f"a server starts, or freezes at {place}")
        # Other publishers may be quicker at every tick; when they are frozen, this one has to publish.
        others = world.others(server) if not is_frozen() else []
        for other in others:
            other.send_signal(signal.SIGSTOP)
        try:
            await world.until(is_frozen, f"a server freezes at {place}")
        finally:
            for other in others:
                other.send_signal(signal.SIGCONT)
        await asyncio.sleep(FREEZE_SECONDS)
        process = server.process
        assert process is not None
        process.send_signal(signal.SIGCONT)
        await starting
        await world.restart(server, signal.SIGTERM, 0)

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
    world.oracle.exclude(began.epoch, began.offset - 1)
    with world.vigil.excused(("entries.1", "entries.2")):
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
    world.oracle.exclude(world.position().epoch, 0)
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
        for attempt in range(RESTORES):
            try:
                world.postgresql.restore(file, DATABASE)
                return
            except RuntimeError as error:  # as an operator would: nothing has been restored
                if "deadlock detected" not in str(error) or attempt == RESTORES - 1:
                    raise

    await asyncio.to_thread(restore)


# ---------------------------------------------------------------- feeds, rows and tables that are not as they should be


async def write_bad_rows(world: World) -> None:
    """Write rows that cannot be rendered or read beside good ones; in the end make them good."""
    postgresql = isinstance(world, Distributed)
    unreadable = "'infinity'" if postgresql else "'2024-13-45'"
    await asyncio.to_thread(
        world.execute,
        f"INSERT INTO faulty_item (shelf, name, is_bad) VALUES ('a', '{UNRENDERABLE}', TRUE)",
        f"INSERT INTO faulty_item (shelf, name, day, is_bad) VALUES ('a', 'unreadable', {unreadable}, TRUE)",
        "INSERT INTO faulty_item (shelf, name) VALUES ('a', 'good')",
        *(
            ["INSERT INTO faulty_item (shelf, name, is_bad) VALUES ('a', CAST(x'ff61' AS TEXT), TRUE)"]
            if not postgresql
            else []
        ),
    )
    await world.until_shown("items.a", "erratics")
    await asyncio.to_thread(
        world.execute, "UPDATE faulty_item SET name = 'good again', day = NULL, is_bad = FALSE WHERE is_bad"
    )
    await world.until_shown("items.a", "erratics")


async def write_a_long_topic_name(world: World) -> None:
    """Write rows whose topics have illegal names: they are in no topic, and move into one and out of it again."""
    long = "x" * LONG_NAME
    await asyncio.to_thread(
        world.execute,
        f"INSERT INTO faulty_item (shelf, name) VALUES ('{long}', 'long'), ('', 'none'), ('ä b', 'odd')",
    )
    await world.until_shown("items.a", "items.b")
    await asyncio.to_thread(world.execute, f"UPDATE faulty_item SET shelf = 'a' WHERE shelf = '{long}'")
    await world.until_shown("items.a", "items.b")
    await asyncio.to_thread(
        world.execute,
        f"UPDATE faulty_item SET shelf = '{long}' WHERE name = 'long'",
        f"DELETE FROM faulty_item WHERE shelf IN ('{long}', '', 'ä b')",
    )
    await world.until_shown("items.a", "items.b")


async def fail_in_a_queryset(world: World) -> None:
    """Let every query of a feed fail: its pages say so, and are right when it works again."""
    with world.switched(FAILING_FILE, 1):
        await asyncio.to_thread(world.execute, "UPDATE faulty_item SET name = name || '!' WHERE shelf = 'a'")
        await world.until(
            lambda: not any(viewer.is_live for viewer in world.guests if viewer.shows == "erratics"),
            "no page of a feed that fails says that it is live",
        )
        await world.until_shown("items.a")
    await world.until_shown("erratics")


async def slow_down_a_feed(world: World) -> None:
    """Let each query of a feed take seconds, while its rows change."""
    with world.switched(SLOW_FILE, READING_SECONDS):
        for _ in range(3):
            await asyncio.to_thread(
                world.execute, "UPDATE faulty_item SET name = name || '.' WHERE shelf = 'b'"
            )
            await world.until_shown("items.b")
    await world.until_shown("slows")


async def poison_the_outbox(world: World) -> None:
    """Write outbox rows that no trigger writes: of unknown sources, without and with malformed images."""
    images = {
        "realtime.notice": (None, "[]", '{"topic": 5}', '{"topic": "entries.1"}', '{"text": "no topic"}'),
        "realtime.rights": (None, "{}"),
        "faulty_item": (
            '"text"',
            "[1]",
            "{}",
            '{"id": "no number", "shelf": "a"}',
            '{"id": 1, "shelf": null}',
        ),
        "boards_entry": ('{"id": null, "board_id": 1}', '{"id": 1, "board_id": "x"}', "17"),
        "no_such_table": (None, '{"id": 1}'),
    }
    values = ", ".join(
        f"('{source}', {'NULL' if image is None else repr(image)})"
        for source, of_source in images.items()
        for image in of_source
    )
    await asyncio.to_thread(
        world.execute,
        f"INSERT INTO realtime_outboxrow (source, image) VALUES {values}",
        "UPDATE faulty_item SET name = name || '?' WHERE shelf = 'a'",
    )
    await world.until_shown("items.a", "items.b")


async def swap_a_table(world: World) -> None:
    """Replace a table by another one of the same name, with other rows, as a blue-green change does."""
    create = (
        "CREATE TABLE faulty_crate_new (LIKE faulty_crate INCLUDING ALL)"
        if isinstance(world, Distributed)
        else "CREATE TABLE faulty_crate_new (id integer PRIMARY KEY AUTOINCREMENT, label text NOT NULL DEFAULT '')"
    )
    await asyncio.to_thread(
        world.execute,
        "DROP TABLE IF EXISTS faulty_crate_old",
        create,
        "INSERT INTO faulty_crate_new (label) VALUES ('blue'), ('green')",
        "ALTER TABLE faulty_crate RENAME TO faulty_crate_old",
        "ALTER TABLE faulty_crate_new RENAME TO faulty_crate",
    )
    await world.until_shown("crates")
    await asyncio.to_thread(world.execute, "UPDATE faulty_crate SET label = label || '-'")
    await world.until_shown("crates")


async def drop_and_create_a_table(world: World) -> None:
    """Drop a table with its rows and triggers, and create it again."""
    create = (
        "CREATE TABLE faulty_crate (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "
        "label text NOT NULL DEFAULT '')"
        if isinstance(world, Distributed)
        else "CREATE TABLE faulty_crate (id integer PRIMARY KEY AUTOINCREMENT, label text NOT NULL DEFAULT '')"
    )
    await asyncio.to_thread(
        world.execute,
        "DROP TABLE faulty_crate",
        create,
        "INSERT INTO faulty_crate (label) VALUES ('first'), ('second')",
    )
    await world.until_shown("crates")


async def replace_a_partition(world: Distributed) -> None:
    """Detach a partition and attach it again with other rows; then drop it, and attach a new one."""
    attach = "ALTER TABLE faulty_reading ATTACH PARTITION faulty_reading_1 FOR VALUES IN (1)"
    detach = "ALTER TABLE faulty_reading DETACH PARTITION faulty_reading_1"
    await asyncio.to_thread(world.execute, detach)
    await world.until_shown("readings")
    await asyncio.to_thread(world.execute, "UPDATE faulty_reading_1 SET level = level + 1", attach)
    await world.until_shown("readings")
    await asyncio.to_thread(world.execute, detach, "DROP TABLE faulty_reading_1")
    await world.until_shown("readings")
    await asyncio.to_thread(
        world.execute,
        "CREATE TABLE faulty_reading_1 (LIKE faulty_reading INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
        "INSERT INTO faulty_reading_1 (id, sector, level) "
        "SELECT coalesce(max(id), 0) + 1000, 1, 5 FROM faulty_reading",
        attach,
    )
    await world.until_shown("readings")


async def replace_the_file(world: Embedded) -> None:
    """Move a changed copy of the database over it. Writers are stopped: theirs would be in the removed file."""
    await world.stop_writers()
    await world.compare()
    file, copy = world.project().database, world.folder / "replacement.sqlite3"

    def replace() -> None:
        with (
            contextlib.closing(world.connect()) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            source.backup(target)
            target.execute("PRAGMA journal_mode = WAL")
            target.execute("UPDATE boards_entry SET label = label || ' (restored)'")
            target.execute("UPDATE faulty_crate SET label = label || ' (restored)'")
            target.commit()
        for suffix in ("-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        copy.replace(file)

    world.oracle.exclude(world.position().epoch, 0)
    await asyncio.to_thread(replace)
    world.vigil.forget()
    world.oracle.reconnect(world.connect())
    await world.until_shown(*{viewer.shows for viewer in [*world.viewers, *world.guests]})
    world.start_writers()


async def run_two_releases(world: World) -> None:
    """Run a server of another release beside the others: it declares a feed with other topics and another filter."""
    server = Server(world.project(RELEASE=NEXT_RELEASE), "daphne")
    newcomers = []
    try:
        await asyncio.to_thread(server.start)
        newcomers = [
            world.guest("parcels.1", lambda: [server.socket_url], shows=NEXT_PARCELS) for _ in range(2)
        ]
        world.guests += newcomers
        for weight in (5, 70, 45, 95):
            await asyncio.to_thread(
                world.execute, f"UPDATE faulty_parcel SET weight = {weight} WHERE id % 2 = 0"
            )
            await world.until_shown("parcels.1", NEXT_PARCELS)
        await asyncio.to_thread(
            world.execute, "UPDATE faulty_parcel SET shelf = 3 - shelf, floor = 3 - floor WHERE id % 2 = 0"
        )
        await world.until_shown("parcels.1", NEXT_PARCELS)
    finally:
        world.guests = [viewer for viewer in world.guests if viewer not in newcomers]
        await asyncio.gather(*(viewer.stop() for viewer in newcomers))
        if server.process is not None and server.process.poll() is None:
            await asyncio.to_thread(server.stop)


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
    """Run a script in its own process, as an operator would: again where a frozen process had a lock for too long."""
    for _ in range(LOCK_ATTEMPTS):
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "manage.py", "shell", "-v", "0", "-c", script],
            cwd=ROOT, env=world.project(**environment).environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if "lock timeout" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr


def _named(*faults: Fault) -> dict[str, Fault]:
    return {fault.__name__: fault for fault in faults}


_OF_FEEDS = _named(
    write_bad_rows, write_a_long_topic_name, fail_in_a_queryset, slow_down_a_feed, poison_the_outbox,
    swap_a_table, drop_and_create_a_table, run_two_releases,
)  # fmt: skip
_FREEZING = {
    f"freeze_in_a_transaction_of_{thread}": freeze_in_a_transaction(thread) for thread in FREEZING_THREADS
}

EMBEDDED = (
    _named(
        kill_a_server, stop_a_server, freeze_a_server, set_a_clock_ahead, keep_a_transaction_open,
        restore_sqlite, replace_the_file, drop_viewers, leave_viewers_half_open, freeze_viewers,
    )
    | _OF_FEEDS
    | _FREEZING
)  # fmt: skip
"""The faults of one server with SQLite."""

FAULTS = (
    _named(
        kill_a_server, stop_a_server, freeze_a_server, kill_the_standby, set_a_clock_ahead,
        restart_valkey, freeze_valkey, flush_valkey, disconnect_the_clients_of_valkey, flood_the_layer,
        restart_postgresql, crash_postgresql, kill_a_backend, terminate_all_backends, freeze_postgresql,
        keep_a_transaction_open, truncate, change_thousands, prune_the_log, remake_a_table,
        restore_the_first_backup, restore_into_a_new_database, restore_into_the_same_database,
        replace_a_partition, drop_viewers, leave_viewers_half_open, freeze_viewers,
    )
    | _OF_FEEDS
    | _FREEZING
    | {f"kill_the_publisher_{step}": kill_the_publisher(step) for step in STEPS}
)  # fmt: skip
"""The faults of three servers with PostgreSQL and Valkey."""
