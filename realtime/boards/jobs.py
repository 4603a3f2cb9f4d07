"""The periodic jobs: measurements on the board "This server", notices that begin or end, and old revisions."""

import datetime
import time
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from realtime.schedule import every
from realtime.service import connections_open

from . import due, history, notices
from .charts import recording
from .models import Board, Entry, Status
from .screens import pairing, watch
from .sharing import links
from .voices import messages, reactions

BOARD_SLUG = "server"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value as its entry shows it. The label identifies the entry."""

    label: str
    value: str
    unit: str = ""
    status: str = ""
    note: str = ""


@every(seconds=5)
def server_figures() -> None:
    """Measure, and write changed figures into the board "server", if that board exists."""
    board = Board.objects.filter(slug=BOARD_SLUG).first()
    if board is not None:
        write(board, _measurements())


@every(seconds=2)
def due_notices() -> None:
    """Show and hide notices by their times."""
    notices.write_due()


@every(seconds=2)
def due_entries() -> None:
    """Show and hide entries by their times."""
    due.write_due()


@every(seconds=3600)
def old_revisions() -> None:
    """Remove revisions that the history no longer keeps."""
    history.remove_old()


@every(seconds=3600)
def old_guests() -> None:
    """Remove browsers in which secret links were opened long ago."""
    links.remove_old_guests()


@every(seconds=600)
def old_readings() -> None:
    """Remove the readings of charts that are no longer kept."""
    recording.remove_old()


@every(seconds=600)
def old_messages() -> None:
    """Remove messages that were not shown, and which browsers have reacted, after a month."""
    messages.remove_old()
    reactions.remove_old()


@every(seconds=10)
def screens_online() -> None:
    """Note which screens are online."""
    watch.look()


@every(seconds=60)
def silent_screens() -> None:
    """Report screens that are silent, and those that are back."""
    watch.reporter.report()


@every(seconds=600)
def forgotten_screens() -> None:
    """Remove the screens whose codes no editor has typed."""
    pairing.remove_forgotten()


def write(board: Board, measured: list[Measurement]) -> int:
    """Write changes of value, unit or status, and create missing entries; return the number written.

    An editor's change of an entry's position or visibility stays; a change of its note stays until the
    measurement changes.
    """
    present: dict[str, Entry] = {}
    for entry in board.entries.all():
        present.setdefault(entry.label, entry)
    changed = [
        (place, measurement)
        for place, measurement in enumerate(measured, start=1)
        if measurement.label not in present or differs(present[measurement.label], measurement)
    ]
    if not changed:
        return 0  # before the transaction: on SQLite it would make other writers wait
    with transaction.atomic():
        for place, measurement in changed:
            columns = {name: getattr(measurement, name) for name in ("value", "unit", "status", "note")}
            if measurement.label in present:
                Entry.objects.filter(pk=present[measurement.label].pk).update(**columns, updated=Now())
            else:
                board.entries.create(label=measurement.label, position=place * 10, **columns)
    return len(changed)


def differs(entry: Entry, measurement: Measurement) -> bool:
    return (entry.value, entry.unit, entry.status) != (
        measurement.value,
        measurement.unit,
        measurement.status,
    )


def _measurements() -> list[Measurement]:
    """Measure this machine and this process."""
    import psutil  # imported late: it would delay the start

    load, load_5, load_15 = psutil.getloadavg()
    processors = psutil.cpu_count() or 1
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage(str(settings.VAR_DIR))
    process = psutil.Process()
    return [
        Measurement(
            "Load", f"{load:.2f}", f"on {processors} CPUs" if processors > 1 else "on 1 CPU",
            by_threshold(load / processors, 1, 2), f"{load_5:.2f} over 5 minutes, {load_15:.2f} over 15",
        ),
        Measurement(
            "Memory used", f"{memory.percent:.0f}", "%",
            by_threshold(memory.percent, 80, 90),
            f"{_gibibytes(memory.available)} of {_gibibytes(memory.total)} available",
        ),
        Measurement(
            "Disk used", f"{disk.percent:.0f}", "%",
            by_threshold(disk.percent, 85, 95), f"{_gibibytes(disk.free)} free",
        ),
        Measurement("Connections", str(connections_open()), note="Pages and programs connected to this process"),
        Measurement("Process memory", f"{process.memory_info().rss / 2**20:.0f}", "MiB", note="Resident"),
        Measurement("Uptime", duration(time.time() - psutil.boot_time()), note="Since the machine started"),
    ]  # fmt: skip


def by_threshold(value: float, warning: float, critical: float) -> Status:
    """Return the status of a value that is better the lower it is."""
    if value > critical:
        return Status.CRITICAL
    return Status.WARNING if value > warning else Status.OK


def _gibibytes(size_bytes: float) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, minutes being the smallest: ``3 d 4 h``."""
    whole = datetime.timedelta(seconds=int(seconds))
    hours, minutes = whole.seconds // 3600, whole.seconds // 60 % 60
    if whole.days:
        return f"{whole.days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
