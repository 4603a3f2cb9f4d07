"""Releases that declare a feed differently, after each other and side by side, on one database."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.models import Q

from realtime.databases.registry import database as engine_database
from realtime.feeds import registry
from realtime.models import LogEntry
from realtime.publishing import releases
from tests.apps.faulty.switches import NEXT_RELEASE
from tests.contract.conftest import Database, copy_of
from tests.delivery.conftest import Follower, has_row
from tests.support.servers import ROOT

# ---------------------------------------------------------------- after each other


@pytest.mark.parametrize("is_deleted", ["before the page reconnects", "after the page has reconnected"])
async def test_rows_that_a_new_release_does_not_show_leave_the_page(
    database: Database, make_hub, in_database, monkeypatch, is_deleted
):
    """Its hub has never had them, so that nothing it sends says that they are deleted."""
    feed = registry["entries"]
    await in_database(releases.announce)
    former = await make_hub()
    page = await Follower("entries.2").follow(former.hub)
    assert has_row(page, "entry 9")()
    await former.hub.stop()

    monkeypatch.setattr(feed, "filter", Q(position__lt=5))
    monkeypatch.setattr(feed, "fingerprint", "of the new one")
    delete = "DELETE FROM boards_entry WHERE position IN (3, 9)"
    assert await in_database(releases.announce) == ["entries"]
    if is_deleted == "before the page reconnects":
        await in_database(database.sql, delete)
    await in_database(database.sequence)
    present = await make_hub()
    moved = Follower("entries.2")
    moved.replica = page.replica
    await moved.follow(present.hub)
    if is_deleted == "after the page has reconnected":
        await in_database(database.sql, delete)
        await in_database(database.sequence)
    await present.settle()

    assert await present.is_current(moved)
    assert len(moved.replica.rows) == 1
    assert has_row(moved, "entry 1")()


# ---------------------------------------------------------------- side by side


class Release:
    """A process of one release; each call returns when it has read the log to its end."""

    def __init__(self, database: Database, folder: Path, name: str = "") -> None:
        if isinstance(database.source, Path):
            address = f"sqlite:///{database.source / database.name}"
        else:
            address = database.source.url(database.name)
        self._environment = {
            **os.environ, "DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "VAR_DIR": str(folder), "RELEASE": name,
        }  # fmt: skip
        self.rows: list[str] = []
        self.reads = 0

    def migrate(self) -> None:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT, env=self._environment, check=True, timeout=180,
        )  # fmt: skip

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.release"],
            cwd=ROOT, env=self._environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._check()

    def work(self) -> None:
        """Do the chores, sequence, and read the log."""
        self._tell("work")

    def look(self) -> None:
        """Read the log."""
        self._tell("look")

    def stop(self) -> None:
        self._process.communicate(timeout=60)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self._check()

    def _check(self) -> None:
        assert self._process.stdout is not None
        is_current, self.rows, self.reads, faults = json.loads(self._process.stdout.readline())
        assert faults == []
        assert is_current, "its page differs from what it would read"


@pytest.fixture(scope="session")
def prepared(prepared, tmp_path_factory, django_db_blocker) -> Iterator[Database]:
    """The prepared database with the tables of both releases."""
    with copy_of(prepared) as database:
        with django_db_blocker.unblock(), database.in_preparation():
            Release(database, tmp_path_factory.mktemp("releases")).migrate()
        yield database


@pytest.fixture
def both(database, tmp_path) -> Iterator[tuple[Release, Release]]:
    """Two running releases, in the order of their start."""
    present, following = Release(database, tmp_path), Release(database, tmp_path, NEXT_RELEASE)
    database.sql(
        "INSERT INTO faulty_parcel (id, shelf, floor, weight, label) VALUES "
        "(1, 1, 1, 10, 'a'), (2, 1, 2, 10, 'b'), (3, 2, 1, 60, 'c'), (4, 1, 1, 60, 'd'), (5, 1, 1, 90, 'e')"
    )
    with contextlib.ExitStack() as stack:
        for release in (present, following):
            release.start()
            stack.callback(release.stop)
        yield present, following


def triggers() -> set[str]:
    """Return the names of the triggers on the table that the releases share."""
    return {found.name for found in engine_database().triggers.installed() if found.table == "faulty_parcel"}


def resets() -> int:
    """Return how often the topics of the feed had to be read again by every release."""
    return LogEntry.objects.filter(topic="parcels", kind=LogEntry.Kind.RESET, fingerprint="").count()


def test_two_releases_side_by_side_leave_each_other_alone(database, both):
    """Each has its own triggers, and its pages show what its feed declares, whichever of them sequences.

    That one applies the changes; the other, which has other topics, reads them.
    """
    present, following = both
    installed = triggers()
    present.work()
    following.work()
    begun_with = resets()
    writes = [
        "UPDATE faulty_parcel SET weight = 45 WHERE id = 3",
        "UPDATE faulty_parcel SET weight = 70",
        "UPDATE faulty_parcel SET weight = 20 WHERE id IN (1, 4)",
        "UPDATE faulty_parcel SET shelf = 3 - shelf, floor = 3 - floor WHERE id IN (2, 4)",
        "UPDATE faulty_parcel SET id = 40 WHERE id = 4",
        "DELETE FROM faulty_parcel WHERE weight = 70",
        "INSERT INTO faulty_parcel (id, shelf, floor, weight, label) VALUES (7, 1, 1, 79, 'g')",
        "DELETE FROM faulty_parcel WHERE id = 7",
    ]

    shown: list[tuple[list[str], list[str]]] = []
    for write, (first, second) in zip(writes, itertools.cycle([both, both[::-1]]), strict=False):
        database.sql(write)
        reads = first.reads
        first.work()
        second.work()
        first.look()
        assert first.reads == reads
        shown.append((present.rows, following.rows))

    assert triggers() == installed
    assert resets() == begun_with
    assert any(one != other for one, other in shown)


def test_a_start_of_another_release_resets_its_feed_once(database, both):
    """A deploy that is rolling: each release has run before, whichever starts again."""
    present, following = both
    database.sql("UPDATE faulty_parcel SET weight = 70 WHERE id = 1")
    present.work()
    following.work()
    before = resets()

    for release in (present, following, present):
        release.stop()
        release.start()

    assert resets() == before
