"""The periodic job that keeps the board "This server" at what the machine does: a program that edits rows."""

import datetime
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from realtime.schedule import every
from realtime.service import connections_open

from .models import Board, Entry

BOARD_SLUG = "server"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value, as its entry shows it. The label says which entry that is."""

    label: str
    value: str
    unit: str = ""
    status: str = ""
    note: str = ""


@every(seconds=5)
def server_figures() -> None:
    """Bring the entries of the board "server" up to date; without that board there is nothing to do."""
    board = Board.objects.filter(slug=BOARD_SLUG).first()
    if board is not None:
        write(board, figures())


def write(board: Board, measured: list[Figure]) -> int:
    """Write the figures whose value, unit or status changed, and create missing entries; return how many.

    The place and visibility of an entry are the editors'; its note is until its figure changes.
    """
    present: dict[str, Entry] = {}
    for entry in board.entries.all():
        present.setdefault(entry.label, entry)
    changed = [
        (place, figure)
        for place, figure in enumerate(measured, start=1)
        if figure.label not in present or differs(present[figure.label], figure)
    ]
    if not changed:
        return 0  # without a transaction, which on SQLite would make writers wait
    with transaction.atomic():
        for place, figure in changed:
            columns = {name: getattr(figure, name) for name in ("value", "unit", "status", "note")}
            if figure.label in present:
                Entry.objects.filter(pk=present[figure.label].pk).update(**columns, updated=Now())
            else:
                board.entries.create(label=figure.label, position=place * 10, **columns)
    return len(changed)


def differs(entry: Entry, figure: Figure) -> bool:
    return (entry.value, entry.unit, entry.status) != (figure.value, figure.unit, figure.status)


def figures() -> list[Figure]:
    """Measure this machine and this process."""
    import psutil  # here, so that starting does not wait for it

    load, load_5, load_15 = psutil.getloadavg()
    processors = psutil.cpu_count() or 1
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(settings.VAR_DIR))
    process = psutil.Process()
    return [
        Figure(
            "Load", f"{load:.2f}", f"on {processors} CPUs" if processors > 1 else "on 1 CPU",
            by_threshold(load / processors, 1, 2), f"{load_5:.2f} over 5 minutes, {load_15:.2f} over 15",
        ),
        Figure(
            "Memory used", f"{memory.percent:.0f}", "%",
            by_threshold(memory.percent, 80, 90),
            f"{gibibytes(memory.available)} of {gibibytes(memory.total)} available",
        ),
        Figure(
            "Disk used", f"{disk.percent:.0f}", "%",
            by_threshold(disk.percent, 85, 95), f"{gibibytes(disk.free)} free",
        ),
        Figure("Connections", str(connections_open()), note="Pages and programs that follow this process"),
        Figure("Process memory", f"{process.memory_info().rss / 2**20:.0f}", "MiB", note="Resident"),
        Figure("Uptime", duration(time.time() - psutil.boot_time()), note="Since the machine started"),
    ]  # fmt: skip


def by_threshold(figure: float, warning: float, critical: float) -> str:
    """Return the status of a figure of which less is better, one of the values of ``Status``."""
    if figure > critical:
        return "critical"
    return "warning" if figure > warning else "ok"


def gibibytes(size_bytes: float) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, down to minutes: ``3 d 4 h``."""
    whole = datetime.timedelta(seconds=int(seconds))
    hours, minutes = whole.seconds // 3600, whole.seconds // 60 % 60
    if whole.days:
        return f"{whole.days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
