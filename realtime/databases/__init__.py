"""What the engine asks of each database in its own words: snapshots, the probe, what positions rest on."""

from types import ModuleType

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from . import postgresql, sqlite
from .base import OutboxCursor, Probe

__all__ = ["OutboxCursor", "Probe", "database"]

_DATABASES = {"sqlite": sqlite, "postgresql": postgresql}


def database(using: str) -> ModuleType:
    """Return the module that knows the database behind an alias."""
    vendor = connections[using].vendor
    if vendor not in _DATABASES:
        raise ImproperlyConfigured(
            f"realtime does not work on {vendor}; use one of: {', '.join(sorted(_DATABASES))}"
        )
    return _DATABASES[vendor]
