"""Instructions of operators to processes, given through the database.

Not through the log: they must be carried out also while nothing is published. Each process looks for new ones every
``LOOK_SECONDS`` (``reporter.py``), which costs it one query of a table that is nearly always empty.
"""

from typing import NamedTuple

from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..models import Instruction, is_over

VALID_SECONDS = 60.0
"""How long an instruction is valid. A process that cannot read the database for longer misses it."""
WATCH_SECONDS = 30.0
"""How long processes report after an operator has looked at the page."""
RENEW_SECONDS = 10.0
"""How often the instruction "watch" is renewed while an operator looks at the page."""


class Given(NamedTuple):
    """An instruction as a process reads it; an empty ``process`` or ``target`` stands for all."""

    number: int
    kind: str
    process: str
    target: str
    age_seconds: float


def give(kind: Instruction.Kind, process: str = "", target: str = "") -> None:
    """Give an instruction to one process or to all, and delete those that no process looks for any more."""
    with engine_transaction():
        Instruction.objects.filter(is_over("given_at", VALID_SECONDS)).delete()
        Instruction.objects.create(kind=kind, process=process, target=target)


def watch() -> None:
    """Note that an operator looks at the page, unless that was noted a moment ago."""
    noted = Instruction.objects.filter(kind=Instruction.Kind.WATCH)
    if not noted.exclude(is_over("given_at", RENEW_SECONDS)).exists():
        give(Instruction.Kind.WATCH)


def valid() -> list[Given]:
    """Return the instructions that processes look for, oldest first."""
    here = database()
    found = here.fetch(
        f"SELECT id, kind, process, target, abs({here.NOW} - given_at) FROM realtime_instruction "
        f"WHERE abs({here.NOW} - given_at) < %s ORDER BY id",
        [VALID_SECONDS],
    )
    return [Given(*row) for row in found]
