"""Tables of the engine that are absent, because a database is created again or restored under running processes.

Each chore of a process then fails with an error of the database whose remedy is known, which is one line in the log,
or finds nothing to do; it works again when the tables are back.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.apps import apps
from django.db import Error as DatabaseError
from django.db import connection

from realtime.databases.registry import database as here
from realtime.databases.remedies import MIGRATE, remedy
from realtime.publishing import capture, interest, lease, log, positions, progress, releases
from realtime.publishing.housekeeping import Housekeeping
from realtime.publishing.sequencer import sequence
from realtime.publishing.table_watch import TableWatch
from realtime.runtime.supervision import supervise
from tests.contract.conftest import Database, Follower

TABLES = [
    model._meta.db_table for model in apps.get_app_config("realtime").get_models() if model._meta.managed
]


def look() -> None:
    table_watch = TableWatch()
    table_watch.look()
    table_watch.read_again()


def keep_house() -> None:
    chores = Housekeeping("new")
    chores.stop()
    chores.turn()


CHORES: dict[str, Callable[[], Any]] = {
    "the table_watch": look,
    "housekeeping": keep_house,
    "missing triggers": capture.missing,
    "uncaptured tables": capture.uncaptured,
    "installing triggers": capture.install,
    "claiming triggers": lambda: capture.claim(here()),
    "dropping triggers": lambda: capture.drop_obsolete(here(), 0.1),
    "the probe": positions.probe,
    "the epoch": positions.ensure_epoch,
    "reading a topic": lambda: positions.read_topic("entries.1"),
    "sequencing": lambda: sequence(positions.probe()),
    "the log's tail": lambda: log.tail(0),
    "what a topic has missed": lambda: log.missed("entries.1", "entries", 0),
    "heads": lambda: log.heads(["entries.1"]),
    "pruning": log.prune_step,
    "the lease": lambda: lease.acquire("new"),
    "notes of topics": lambda: interest.note(interest.begin("new"), {"entries.1": 1}),
    "topics that are followed": lambda: interest.followed({"entries.1"}),
    "new releases": releases.announce,
    "releases in use": releases.renew,
    "the last success": progress.seconds_since_success,
}


def move(database: Database, tables: Iterable[str], *, is_away: bool) -> None:
    connection.close()
    for table in tables:
        names = (table, f"{table}_away") if is_away else (f"{table}_away", table)
        database.sql("ALTER TABLE {} RENAME TO {}".format(*names))


def advice_after(chore: Callable[[], Any]) -> str:
    """Return what is said about the database's refusal of a chore; "" if it is not refused."""
    try:
        chore()
    except DatabaseError as error:
        return remedy(error) or f"nothing is known about {error!r}"
    return ""


def test_a_chore_without_its_tables_fails_with_a_known_remedy(database):
    """An error of Python would be a traceback in the log at every turn, and say nothing of the cause."""
    for absent in (TABLES, *([table] for table in TABLES)):
        move(database, absent, is_away=True)
        advice = {name: advice_after(chore) for name, chore in CHORES.items()}
        assert set(advice.values()) <= {"", MIGRATE}, (absent, advice)
        move(database, absent, is_away=False)

    for chore in CHORES.values():
        chore()
    follower = Follower("entries.1")
    database.sql("UPDATE boards_entry SET label = 'changed'")
    database.sequence()
    follower.follow()
    follower.assert_equals_source()


async def test_a_chore_that_lacks_a_table_is_one_line_in_the_log(database, in_database, caplog):
    """Drivers add the statement and a mark below it, which differ from turn to turn."""
    database.sql("ALTER TABLE realtime_sequencer RENAME TO away")
    turns = 0

    async def turn() -> None:
        nonlocal turns
        turns += 1
        if turns > 3:
            raise KeyboardInterrupt
        await in_database(positions.probe if turns % 2 else positions.ensure_epoch)

    with caplog.at_level(logging.ERROR), pytest.raises(KeyboardInterrupt):
        await supervise("floor", turn, logging.getLogger("realtime.hub"))

    messages = [record.getMessage() for record in caplog.records if record.name == "realtime.hub"]
    assert messages
    assert all("\n" not in message and MIGRATE in message for message in messages)
