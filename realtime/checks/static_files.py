"""Checks of static files and their addresses: whether those of this release were collected."""

from pathlib import Path
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.contrib.staticfiles.utils import get_files
from django.core.checks import CheckMessage, Error, Warning
from django.core.files.storage import FileSystemStorage

SCRIPT = "realtime/live.min.js"
COLLECT = "run `manage.py collectstatic --no-input`"


def check_static_files(**kwargs: Any) -> list[CheckMessage]:
    fault = missing_static_file() if settings.STATIC_URL else ""
    if not fault:
        return []
    return [
        Error(
            f"Static files were not collected for this release, so pages fail or lack their scripts: {fault}.",
            hint=f"First {COLLECT}, then start the servers again: they read the list of files once.",
            id="realtime.E007",
        )
    ]


def missing_static_file() -> str:
    """Return the fault of the first missing or outdated file of the page client, at the address that pages use.

    Shape: empty if all are there, and those of this release.
    """
    for name in client_files():
        try:
            address = staticfiles_storage.url(name)
        except ValueError as error:  # the manifest does not have it
            return str(error).splitlines()[0]
        stored = address.removeprefix(settings.STATIC_URL)
        if settings.STATIC_ROOT and not staticfiles_storage.exists(stored):
            return f"{stored} is not in {settings.STATIC_ROOT}"
        if settings.STATIC_ROOT and _is_stale(name, stored):
            return f"{name} in {settings.STATIC_ROOT} is that of another release"
    return ""


def _is_stale(name: str, stored: str) -> bool:
    """Return whether the file that was collected has another content than the one that would be collected now."""
    source = finders.find(name)
    # A storage may keep only files with a hash in their names, whose imports have hashes too; the bundle has no
    # imports.
    copy = name if staticfiles_storage.exists(name) else stored if name == SCRIPT else ""
    if not source or not copy:
        return False
    with staticfiles_storage.open(copy) as collected:
        return bool(collected.read() != Path(source).read_bytes())


def client_files() -> list[str]:
    """Return the names of the static files of the page client."""
    folder = Path(apps.get_app_config("realtime").path) / "static"
    return [name for name in get_files(FileSystemStorage(folder)) if name.startswith("realtime/")]


def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: check the values as they were set, to which ``settings`` adds a script prefix."""
    wrapped = cast(Any, settings)._wrapped
    return [
        Warning(
            f"{name} is {value!r}, which is relative: Django prepends a script prefix once and for all, and an "
            "application that realtime.asgi.application does not wrap takes it from the first request.",
            hint=f"Begin {name} with a slash or with https://.",
            id="realtime.W017",
        )
        for name in ("STATIC_URL", "MEDIA_URL")
        if (value := getattr(wrapped, name)) and not value.startswith(("/", "http://", "https://"))
    ]
