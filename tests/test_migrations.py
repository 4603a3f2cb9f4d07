"""Migrations of a live table: triggers block none, are installed afterwards, and no change is lost."""

import contextlib
import json

import pytest
from django.db import connection

from realtime.databases.captures import Capture
from realtime.databases.sqlite.triggers import SQLiteTriggers
from tests.support import servers
from tests.support.servers import Project

pytestmark = pytest.mark.server

ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "tests.apps.remade.settings"}
PRESENT = Capture("remade_berth", ("id", "dock"), (("id",),), primary_key=("id",))


def install_triggers(project: Project, capture: Capture) -> None:
    """Create triggers on a table as an earlier release did."""
    with contextlib.closing(project.connect()) as plain:
        for (name,) in plain.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", [capture.table]
        ).fetchall():
            plain.execute(f'DROP TRIGGER "{name}"')
        for statement in SQLiteTriggers(connection).statements(capture).values():
            plain.execute(statement.replace("%%", "%"))


def trigger_names(project: Project) -> set[str]:
    with contextlib.closing(project.connect()) as plain:
        found = plain.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'remade_berth'"
        )
        return {name for (name,) in found}


def images(project: Project) -> list[object]:
    with contextlib.closing(project.connect()) as plain:
        found = plain.execute(
            "SELECT image FROM realtime_outboxrow WHERE source = 'remade_berth' ORDER BY id"
        )
        return [image and json.loads(image) for (image,) in found]


@pytest.fixture(scope="session")
def first_release(tmp_path_factory) -> Project:
    """The app in its first release: its first migration, and a row."""
    project = Project(tmp_path_factory.mktemp("remade"), **ENVIRONMENT)
    project.manage("migrate", "--verbosity", "0")
    project.manage("migrate", "remade", "0001", "--verbosity", "0")
    install_triggers(project, Capture("remade_berth", ("id", "pier"), (("id",),)))
    with contextlib.closing(project.connect()) as plain:
        plain.execute("INSERT INTO remade_berth (name, pier, hull, note) VALUES ('one', 1, 7, '')")
    return project


@pytest.fixture(scope="session")
def present_names(first_release) -> set[str]:
    """The triggers that the present release needs."""
    return set(SQLiteTriggers(connection).statements(PRESENT))


@pytest.fixture
def release(first_release, tmp_path) -> Project:
    """The first release in use: triggers on its topic column, nothing to sequence."""
    project = servers.copy(first_release, tmp_path, **ENVIRONMENT)
    with contextlib.closing(project.connect()) as plain:
        plain.execute("DELETE FROM realtime_outboxrow")
    return project


def test_a_rebuilt_table_is_captured_again(release, present_names):
    """With a reset: the migration itself wrote rows, and no trigger noted them."""
    release.manage("migrate", "--verbosity", "0")

    assert trigger_names(release) == present_names
    assert images(release)[-1] is None
    with contextlib.closing(release.connect()) as plain:
        plain.execute("UPDATE remade_berth SET dock = 2")
    assert images(release)[-2:] == [{"id": 1, "dock": 2}, {"id": 1, "dock": 1}]


@pytest.mark.parametrize("column", ["pier", "hull"], ids=["renamed", "removed"])
def test_a_captured_column_may_be_migrated(release, present_names, column):
    """With triggers that name it SQLite would refuse."""
    install_triggers(release, Capture("remade_berth", ("id", column), (("id",),)))

    release.manage("migrate", "--verbosity", "0")

    assert trigger_names(release) == present_names


@pytest.mark.parametrize("column", ["pier", "hull"], ids=["renamed", "removed"])
def test_a_column_of_a_removed_feed_may_be_migrated(release, column):
    """Its triggers still exist although no feed names the table: they are dropped first."""
    project = Project(release.folder, **ENVIRONMENT, BERTHS_ARE_LIVE="no")
    install_triggers(project, Capture("remade_berth", ("id", column), (("id",),)))

    migrated = project.manage("migrate", "--verbosity", "0", check=False)

    assert migrated.returncode == 0, migrated.stderr[-500:]
    assert trigger_names(project) == set()


def test_migrate_installs_missing_triggers(release, present_names):
    """The check warns, and does not block the command that repairs it."""
    release.manage("migrate", "--verbosity", "0")
    with contextlib.closing(release.connect()) as plain:
        plain.execute(f'DROP TRIGGER "{sorted(present_names)[0]}"')

    checked = release.manage("check", "--database", "default", check=False)
    diagnosed = release.manage("doctor", check=False)
    release.manage("migrate", "--verbosity", "0")

    assert (checked.returncode, diagnosed.returncode) == (0, 1)
    assert "realtime.W001" in checked.stderr
    assert "triggers on remade_berth are missing" in diagnosed.stdout
    assert trigger_names(release) == present_names
    assert "realtime.W001" not in release.manage("check", "--database", "default").stderr


def test_migrate_without_migrations_writes_no_reset(release):
    """Pages stay unchanged through such a deployment."""
    release.manage("migrate", "--verbosity", "0")
    before = images(release)

    release.manage("migrate", "--verbosity", "0")

    assert images(release) == before


def test_a_reverted_migration_leaves_a_table_that_can_be_written(release):
    """With an older table and newer code the feed's column is missing, but writers must not fail."""
    release.manage("migrate", "--verbosity", "0")

    release.manage("migrate", "remade", "0002", "--verbosity", "0", check=False)

    with contextlib.closing(release.connect()) as plain:
        plain.execute("UPDATE remade_berth SET note = 'still possible'")


def test_the_engines_own_tables_may_be_dropped_and_created_again(release, present_names):
    """All triggers write to the outbox: without it no live row could be written."""
    release.manage("migrate", "--verbosity", "0")

    release.manage("migrate", "realtime", "zero", "--verbosity", "0")
    with contextlib.closing(release.connect()) as plain:
        plain.execute("UPDATE remade_berth SET note = 'without an engine'")
    release.manage("migrate", "--verbosity", "0")

    assert trigger_names(release) == present_names
    assert images(release) == [None]


def test_an_app_is_migrated_before_the_engine(tmp_path):
    """In an empty database: there is nothing to pause yet, and the engine captures its tables when it comes."""
    project = Project(tmp_path, **ENVIRONMENT)

    project.manage("migrate", "remade", "--verbosity", "0")
    assert trigger_names(project) == set()
    project.manage("migrate", "--verbosity", "0")

    assert trigger_names(project) != set()
