"""A continuous writer: ``python -m tests.faults.writers KIND SEED``, until SIGTERM.

It survives every outage of the database by trying again, as an application would. Its last line of output is the
number of writes that it committed.
"""

import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import partial

import django
import psycopg
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from tests.processes import writer

KINDS = ("orm", "bulk", "sql", "transfer")


def transfer(chance: random.Random) -> None:
    """Move an amount from one board to another in one transaction: the sum does not change."""
    from realtime.boards.models import Board

    with transaction.atomic():
        boards = list(Board.objects.filter(is_public=True).order_by("pk").select_for_update())
        giver, taker = chance.sample(boards, 2)
        amount = chance.randrange(1, 100)
        Board.objects.filter(pk=giver.pk).update(position=giver.position - amount)
        time.sleep(chance.choice((0, 0, 0.01)))
        Board.objects.filter(pk=taker.pk).update(position=taker.position + amount)


def reconnecting_sql(chance: random.Random, kept: list[psycopg.Connection | sqlite3.Connection]) -> None:
    """Write in plain SQL, with a connection that is replaced after an error."""
    if not kept:
        kept.append(writer.connect(settings.DATABASE_URL or str(settings.DATABASES["default"]["NAME"])))
    try:
        writer.plain_sql(chance, kept[0])
    except (psycopg.Error, sqlite3.Error, IndexError):
        kept.pop().close()
        raise


def main(kind: str, seed: str) -> None:
    is_stopping = False

    def stop(*_: object) -> None:
        nonlocal is_stopping
        is_stopping = True

    signal.signal(signal.SIGTERM, stop)
    chance = random.Random(f"{kind} {seed}")
    django.setup()
    writes: dict[str, Callable[[random.Random], None]] = {
        "orm": writer.orm,
        "bulk": writer.bulk,
        "sql": partial(reconnecting_sql, kept=[]),
        "transfer": transfer,
    }
    done = 0
    while not is_stopping:
        try:
            writes[kind](chance)
            done += 1
        # IndexError: a table that was just truncated has no row to choose.
        except (DatabaseError, psycopg.Error, sqlite3.Error, IndexError):
            connection.close()
            time.sleep(0.1)
        time.sleep(chance.random() * 0.08)
    print(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
