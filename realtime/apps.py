"""Wires the engine into Django: finds feeds and jobs, keeps capture through migrations."""

from django.apps import AppConfig
from django.core import checks
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate


class RealtimeConfig(AppConfig):
    name = "realtime"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.utils.module_loading import autodiscover_modules

        from .access import revocation
        from .checks import ALWAYS, FOR_DEPLOYMENTS, check_capture
        from .conf import forget
        from .publishing import commit_watch as wake

        autodiscover_modules("live", "jobs")
        checks.register(check_capture, checks.Tags.database)
        for check in ALWAYS:
            checks.register(check, self.name)
        for check in FOR_DEPLOYMENTS:
            checks.register(check, self.name, deploy=True)
        setting_changed.connect(forget)
        connection_created.connect(wake.watch_connection)
        revocation.connect()
        pre_migrate.connect(_remove_capture, sender=self)
        post_migrate.connect(_install_capture, sender=self)


def _remove_capture(plan, using: str, apps, **kwargs) -> None:
    """Drop the triggers of tables that a migration may touch: with them some changes are refused."""
    from .conf import get_conf
    from .feeds import registry
    from .publishing import capture

    touched = {migration.app_label for migration, _ in plan or []}
    if using != get_conf().database or not touched:
        return
    if RealtimeConfig.name in touched:
        capture.uninstall(using=using)
        return
    sources = {model for feed in registry for model in feed.sources}
    capture.uninstall({model._meta.db_table for model in sources if model._meta.app_label in touched}, using)


def _install_capture(using: str, **kwargs) -> None:
    """Install what is missing; each reinstalled table is read anew by whoever follows it."""
    from django.db import connections

    from .conf import get_conf
    from .databases import database
    from .models import OutboxRow
    from .publishing import capture

    if using == get_conf().database and _exists(OutboxRow, using):
        database(using).prepare_tables(connections[using])
        capture.install(using)


def _exists(model, using: str) -> bool:
    from django.db import connections

    return model._meta.db_table in connections[using].introspection.table_names()
