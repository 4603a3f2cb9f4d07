"""The app: discovered modules, registered checks, and capture through migrations (see tests/test_migrations.py)."""

import pytest
from django.core.checks.registry import registry as check_registry
from django.db.migrations import Migration
from django.test.signals import setting_changed

from realtime import conf
from realtime.apps import _install_capture, _remove_capture
from realtime.checks import registry as registry_of_checks
from realtime.feeds import registry
from realtime.publishing import capture
from realtime.schedule import jobs
from tests.support.contents import DEMO_TABLES


def test_live_and_jobs_modules_are_imported():
    """The modules of every installed app; the demo's are examples."""
    assert "entries" in registry
    assert any(name.startswith("realtime.boards.jobs.") for name in jobs)


def test_every_check_is_registered():
    """Checks for deployments run only with ``check --deploy``."""
    assert {*registry_of_checks.ALWAYS, *registry_of_checks.WITH_DATABASE} <= check_registry.registered_checks
    assert set(registry_of_checks.FOR_DEPLOYMENTS) <= check_registry.deployment_checks


def test_changed_settings_are_noticed(settings):
    """The app listens to the signal that tests send."""
    settings.REALTIME = {"TICK_SECONDS": 0.5}
    assert conf.get_conf().tick_seconds == 0.5

    setting_changed.send(sender=None, setting="REALTIME", value={}, enter=True)

    assert conf.get_conf.cache_info().currsize == 0


def before_migration(app_label: str, using: str = "default") -> None:
    _remove_capture([(Migration("0002", app_label), False)], using)


@pytest.mark.parametrize(
    "app_label, missing",
    [
        ("boards", DEMO_TABLES),
        ("realtime", DEMO_TABLES),
        ("auth", set()),
    ],
)
def test_a_migration_drops_the_triggers_of_its_apps_tables(log, app_label, missing):
    """All triggers write to the engine's own tables, so a migration of these drops every one."""
    before_migration(app_label)

    assert {found.table for found in capture.missing()} == missing
    _install_capture("default")
    assert capture.missing() == []


def test_migrations_of_another_database_leave_capture_alone(log):
    """Its tables are not live."""
    before_migration("boards", using="another")

    assert capture.missing() == []


def test_a_migration_of_another_database_installs_nothing(uninstalled):
    """The engine's database is migrated by a command of its own."""
    _install_capture("another")

    assert {found.table for found in capture.missing()} == DEMO_TABLES
