"""Connects the engine to Django: discovers feeds and jobs, and keeps capture installed through migrations."""

from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_started, setting_changed
from django.db.backends.signals import connection_created
from django.db.migrations import Migration
from django.db.models.signals import post_migrate, pre_migrate

MIGRATION_TIME = timedelta(minutes=10)
"""The longest time for which servers do not install triggers again that a migration has dropped."""


class RealtimeConfig(AppConfig):
    name = "realtime"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.apps import apps
        from django.utils.module_loading import autodiscover_modules

        from .access import password_attempts, revocation
        from .checks.registry import ALWAYS, FOR_DEPLOYMENTS, WITH_DATABASE
        from .conf import forget
        from .publishing import commit_watch
        from .runtime.threads import close_former_connections

        if apps.is_installed("django.contrib.admin"):
            from .operators import live  # noqa: F401  # registers its feed
        autodiscover_modules("live", "jobs")
        for check in WITH_DATABASE:
            checks.register(check, checks.Tags.database)
        for check in ALWAYS:
            checks.register(check, self.name)
        for check in FOR_DEPLOYMENTS:
            checks.register(check, self.name, deploy=True)
        setting_changed.connect(forget)
        request_started.connect(close_former_connections)
        connection_created.connect(commit_watch.watch_connection)
        revocation.connect()
        password_attempts.connect()
        pre_migrate.connect(_remove_capture, sender=self)
        post_migrate.connect(_install_capture, sender=self)


def _remove_capture(plan: list[tuple[Migration, bool]], using: str, **kwargs: Any) -> None:
    """Drop the triggers of tables that a migration may touch: databases refuse some changes while triggers exist."""
    from .conf import get_conf
    from .feeds import registry
    from .publishing import capture, progress

    touched = {migration.app_label for migration, _ in plan or []}
    if using != get_conf().database or not touched:
        return
    if RealtimeConfig.name in touched:
        capture.uninstall()  # servers do not install them meanwhile: triggers need the engine's tables
        return
    if not _has_tables():
        return  # another app is migrated first, in an empty database
    progress.pause_capture(MIGRATION_TIME)
    sources = {model for feed in registry for model in feed.captured}
    capture.uninstall(model._meta.db_table for model in sources if model._meta.app_label in touched)


def _install_capture(using: str, **kwargs: Any) -> None:
    """Install missing triggers; tables whose triggers were missing are read again by all hubs that follow them."""
    from .conf import get_conf
    from .databases.registry import database
    from .publishing import capture, progress

    if using == get_conf().database and _has_tables():
        database().prepare_tables()
        capture.install()
        progress.pause_capture(None)


def _has_tables() -> bool:
    """Return whether the tables of the engine exist."""
    from .databases.registry import database
    from .models import OutboxRow

    return OutboxRow._meta.db_table in database().connection.introspection.table_names()
