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
from typing import Any

import django
import psycopg
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from tests.processes import writer

KINDS = ("orm", "bulk", "sql", "transfer", "fragile")


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


def fragile(chance: random.Random) -> None:
    """Write to the tables of tests/apps/faulty: to few rows, and to none that is bad on purpose."""
    from tests.apps.faulty.models import Crate, Item, Parcel, Reading

    model: Any = chance.choice((Item, Crate, Reading, Parcel))
    rows = model.objects.filter(is_bad=False) if model is Item else model.objects.all()
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    contents: dict[str, dict[str, Any]] = {
        "Item": {"name": f"item {chance.random():.4f}", "shelf": chance.choice("ab")},
        "Crate": {"label": f"crate {chance.random():.4f}"},
        "Reading": {"level": chance.randrange(1000), "sector": chance.randrange(2)},
        "Parcel": {
            "label": f"parcel {chance.random():.4f}", "weight": chance.randrange(100),
            "shelf": chance.randrange(1, 3), "floor": chance.randrange(1, 3),
        },
    }  # fmt: skip
    values = contents[model.__name__]
    if len(keys) < 4:
        model.objects.create(**values)
    elif len(keys) > 12:
        model.objects.filter(pk=chance.choice(keys)).delete()
    else:
        match chance.randrange(4):
            case 0:
                model.objects.create(**values)
            case 1:
                model.objects.filter(pk=chance.choice(keys)).delete()
            case _:
                # In one statement: a row that became bad meanwhile would be shown again, but still be noted as bad.
                rows.filter(pk=chance.choice(keys)).update(**values)
    time.sleep(0.2)


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
        "fragile": fragile,
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
