"""The app's start: discovered modules and registered checks. tests/test_migrations.py has the capture of tables."""

from django.core.checks.registry import registry as check_registry
from django.test.signals import setting_changed

from realtime import checks, conf
from realtime.feeds import registry
from realtime.schedule import jobs


def test_live_and_jobs_modules_are_imported():
    """Those of every installed app; the demo's are examples."""
    assert "entries" in registry
    assert any(name.startswith("realtime.boards.jobs.") for name in jobs)


def test_every_check_is_registered():
    """Those for deployments run only with ``check --deploy``."""
    assert {*checks.ALWAYS, checks.check_capture} <= check_registry.registered_checks
    assert set(checks.FOR_DEPLOYMENTS) <= check_registry.deployment_checks


def test_changed_settings_are_noticed(settings):
    """The app listens to the signal that tests send."""
    settings.REALTIME = {"TICK_SECONDS": 0.5}
    assert conf.get_conf().tick_seconds == 0.5

    setting_changed.send(sender=None, setting="REALTIME", value={}, enter=True)

    assert conf.get_conf.cache_info().currsize == 0
