"""Reports: the figures of each server process, in a row of its own, stored while an operator looks."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..models import ProcessReport, SecondsNow, is_over

FEED = "realtime_processes"
"""The feed of reports: a name that no project is to use for one of its own."""
FORGET_SECONDS = 60.0
"""After how long a report that was not renewed is shown no more, and deleted by any process."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """The measurements of a process at one moment."""

    behind_seconds: float
    delivered_seconds: float | None
    """From the write until subscribers were notified, on average since the sample before; None without a change."""


class Reader(msgspec.Struct, frozen=True):
    """A connection, by how much it has not read yet."""

    name: str
    transport: str
    open_seconds: float
    unread_bytes: int
    topics: int
    address: str | None
    user: str | None
    """The primary key of its user."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a process.

    Shape: mappings begin with the largest number, and have the largest ones only.
    """

    version: str
    server: str
    uptime_seconds: float
    connections: int
    topics: int
    subscriptions: int
    transports: Mapping[str, int]
    followers: Mapping[str, int]
    addresses: Mapping[str, int]
    users: Mapping[str, int]
    readers: list[Reader]
    refusals: Mapping[str, int]
    closes: Mapping[str, int]
    samples: list[Sample]


class Stored(NamedTuple):
    """A report that was stored some time ago."""

    process: str
    age_seconds: float
    report: Report


def store(process: str, report: Report) -> None:
    """Store the report of a process in place of its last one."""
    with engine_transaction():
        ProcessReport.objects.update_or_create(
            name=process,
            defaults={"report": msgspec.json.encode(report).decode(), "reported_at": SecondsNow()},
        )


def discard(process: str) -> None:
    """Delete the report of a process: it has personal data, which is not kept for longer than it is looked at."""
    with engine_transaction():
        ProcessReport.objects.filter(pk=process).delete()


def forget() -> None:
    """Delete the reports of processes that have ended without doing so; where there is none, only read."""
    stale = ProcessReport.objects.filter(is_over("reported_at", FORGET_SECONDS))
    if stale.exists():
        with engine_transaction():
            stale.delete()


def stored() -> list[Stored]:
    """Return the reports of the last minute; one that another release has made and that cannot be read is left out."""
    here = database()
    found = []
    for name, age, text in here.fetch(
        f"SELECT name, {here.NOW} - reported_at, report FROM realtime_processreport "
        f"WHERE abs({here.NOW} - reported_at) <= %s ORDER BY name",
        [FORGET_SECONDS],
    ):
        try:
            found.append(Stored(name, abs(age), msgspec.json.decode(text, type=Report)))
        except msgspec.MsgspecError:
            continue
    return found
