"""System checks of the engine. Warnings, not errors: an error would block the ``migrate`` that cures it."""

from django.core.checks import CheckMessage, Warning

from . import capture
from .conf import get_conf


def check_capture(databases=None, **kwargs) -> list[CheckMessage]:
    """Warn of live tables without their triggers. Reads the database: runs with ``check --database``."""
    using = get_conf().database
    if using not in (databases or []):
        return []
    return [
        Warning(
            f"Changes of the table {missing.table} are not captured: a trigger is missing or out of date.",
            hint="Run `manage.py migrate`; it installs triggers. A starting server does so too.",
            id="realtime.W001",
        )
        for missing in capture.missing(using)
    ]
