"""Wiring: whether a project uses the app as required. Each check has a hint with the line to add.

None of them is an error: a project in which something is missing still migrates, and its pages still render.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.checks import CheckMessage, Warning
from django.core.exceptions import ImproperlyConfigured
from django.core.management import get_commands
from django.db import connections
from django.template import engines
from django.utils.module_loading import import_string

from ..conf import get_conf
from ..runtime.left_out import reason_of
from ..transports.application import RealtimeApplication

LIVE_BLOCKS = "realtime.middleware.LiveBlocksMiddleware"
PRIVATE_PAGES = "realtime.middleware.PrivatePagesMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
SCRIPT = "realtime/live.min.js"
WIRE = "write `application = realtime.asgi.application(get_asgi_application())`"
WSGI_COMMANDS = {"django.core", "django.contrib.staticfiles"}
"""Apps whose ``runserver`` serves by WSGI."""
PACKAGES = {"site-packages", "dist-packages"}
"""Folders of packages that are installed."""
LIVE = re.compile(r"{%\s*live(_block|_viewers)?\s|<live-topic|data-realtime-topic")
CLIENT = re.compile(r"realtime_head|live\.min\.js|realtime\.js|realtime-path")
"""Matches a template with live rows or blocks, and a template that loads the page client."""


def check_application(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the application that servers run is not known, or leaves out the engine."""
    name = getattr(settings, "ASGI_APPLICATION", None)
    if not name:
        what = "ASGI_APPLICATION is not set: neither runserver nor doctor knows what a server is to run."
        hint = f"Add ASGI_APPLICATION = {_project()!r} to the settings; in that file {WIRE}."
    else:
        try:
            import_string(name)
        except Exception as error:  # whatever the project's module does
            what, hint = f"{name} cannot be imported: {reason_of(error)}", "Correct it, or ASGI_APPLICATION."
        else:
            what = f"{name} leaves out the engine: pages that it serves do not change after they are loaded."
            hint = f"In its file, {WIRE}."
            if RealtimeApplication.is_made:
                return []
    return [Warning(what, hint=hint, id="realtime.W018")]


def _project() -> str:
    return f"{settings.ROOT_URLCONF.rpartition('.')[0]}.asgi.application"


def check_runserver(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the process is a ``runserver`` that serves by WSGI."""
    if sys.argv[1:2] != ["runserver"] or get_commands()["runserver"] not in WSGI_COMMANDS:
        return []
    return [
        Warning(
            "This runserver serves by WSGI, which has no WebSockets and no event streams: pages do not change after "
            "they are loaded.",
            hint="Install daphne and put 'daphne' first in INSTALLED_APPS, or start an ASGI server.",
            id="realtime.W019",
        )
    ]


def check_middleware(**kwargs: Any) -> list[CheckMessage]:
    """Warn if pages with the rows of one visitor may be kept and shown to another."""
    names = list(settings.MIDDLEWARE)
    if SESSIONS not in names or PRIVATE_PAGES in names[: names.index(SESSIONS)]:
        return []
    return [
        Warning(
            f"{PRIVATE_PAGES} is not in MIDDLEWARE before the session's: a proxy may keep a page with the rows of one "
            "visitor, and show it to another.",
            hint=f"Add '{PRIVATE_PAGES}' to MIDDLEWARE, before '{SESSIONS}'.",
            id="realtime.W020",
        )
    ]


def check_static_files(**kwargs: Any) -> list[CheckMessage]:
    """Warn if pages would not find their script."""
    try:
        is_found = apps.is_installed("django.contrib.staticfiles") and finders.find(SCRIPT) is not None
    except ImproperlyConfigured:
        is_found = False
    if is_found:
        return []
    return [
        Warning(
            f"Django's static files do not include {SCRIPT}: pages have no script, and are not live.",
            hint="Add 'django.contrib.staticfiles' to INSTALLED_APPS, and "
            "'django.contrib.staticfiles.finders.AppDirectoriesFinder' to STATICFILES_FINDERS if that is set.",
            id="realtime.W021",
        )
    ]


def check_package(**kwargs: Any) -> list[CheckMessage]:
    """Warn if another distribution has a package of the same name, and so files in the same folder."""
    try:
        other = distribution("realtime")
    except PackageNotFoundError:
        return []
    return [
        Warning(
            f"The distribution realtime {other.version} is installed. Its package has the name of this app, so the one "
            "that was installed last has overwritten files of the other.",
            hint="Run `pip uninstall realtime`, then `pip install --force-reinstall --no-deps django-tidemark`.",
            id="realtime.W022",
        )
    ]


def check_memory(**kwargs: Any) -> list[CheckMessage]:
    """Warn if the live database is in memory."""
    try:
        connection = connections[get_conf().database]
    except ImproperlyConfigured:
        return []  # check_conf reports it
    if connection.vendor != "sqlite" or not connection.is_in_memory_db():  # type: ignore[attr-defined]
        return []
    return [
        Warning(
            "The SQLite database is in memory: the threads of the engine lock each other's tables there, and other "
            "processes do not see it.",
            hint="Name a file in DATABASES; for tests, DATABASES['default']['TEST'] = {'NAME': 'test.sqlite3'}.",
            id="realtime.W023",
        )
    ]


def check_head(**kwargs: Any) -> list[CheckMessage]:
    """Warn if templates of the project have something live, and none of them loads the page client."""
    try:
        sources = [path.read_text(errors="replace") for path in own_templates()]
    except (ImproperlyConfigured, ImportError):  # Django reports its TEMPLATES
        return []
    if any(map(CLIENT.search, sources)) or not any(map(LIVE.search, sources)):
        return []
    return [
        Warning(
            "No template has {% realtime_head %}: pages have no script, and do not change after they are loaded.",
            hint="Add {% load realtime %}{% realtime_head %} to the <head> of the template that all pages extend.",
            id="realtime.W026",
        )
    ]


def own_templates() -> Iterator[Path]:
    """Yield the project's own templates of pages, those of its apps included."""
    folders = [folder for engine in engines.all() for folder in engine.template_dirs]
    for path in (path for folder in folders for path in Path(folder).rglob("*.html")):
        if is_own(path) and path.is_file():
            yield path


def is_own(path: Path) -> bool:
    return path.is_relative_to(Path.cwd()) and not is_installed(path)


def is_installed(path: Path) -> bool:
    """Return whether pip has installed a file, for example into a virtual environment inside of the project."""
    return not PACKAGES.isdisjoint(path.resolve().parts)


WIRING = [
    check_application, check_runserver, check_middleware, check_static_files, check_package, check_memory, check_head,
]  # fmt: skip
