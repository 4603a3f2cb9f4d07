"""``manage.py realtime_init``: shows the edits by which a project uses the app, or writes them."""

import ast
import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template

from realtime.checks.wiring import (
    LIVE_BLOCKS,
    PRIVATE_PAGES,
    SESSIONS,
    is_installed,
    is_own,
    own_templates,
)
from realtime.conf import get_conf
from realtime.management import edits
from realtime.management.edits import Unrecognised

ODD = "it is written in a way that this command does not understand: add what `manage.py check` asks for by hand"


@dataclass(frozen=True, slots=True)
class Edited:
    """One file of the project, as it is and as it should be; ``left`` names the edits that are left to do by hand."""

    path: Path
    before: str
    after: str
    left: list[str]


class Command(BaseCommand):
    help = (
        "Show the edits of settings, asgi.py, urls.py and base.html that the app needs, or write them; "
        "exit with 1 if something is left to do by hand."
    )
    requires_system_checks = []  # this command adds what the checks would report

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="change the files")

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(_files())
        changed = [one for one in found if one.after != one.before]
        for one in found:
            name = _short(one.path)
            if one.after == one.before and not one.left:
                self.stdout.write(f"{name}: nothing to do")
            elif one.after != one.before:
                self.stdout.write(_diff(name, one))
        if not options["write"]:
            if changed:
                self.stdout.write(
                    "Nothing was changed. To make these changes: manage.py realtime_init --write"
                )
        else:
            for one in changed:
                _write(one.path, one.after)
                self.stdout.write(f"{_short(one.path)}: written")
        left = [f"{_short(one.path)}: {words}" for one in found for words in one.left]
        if left:
            raise CommandError("\n".join(["left to do by hand:", *left]))


def _files() -> Iterator[Edited]:
    """Return the files of the project that need edits for the app."""
    project = settings.ROOT_URLCONF.rpartition(".")[0]
    name = getattr(settings, "ASGI_APPLICATION", None) or f"{project}.asgi.application"
    yield _edited(_module(os.environ.get(ENVIRONMENT_VARIABLE, "")), *_of_settings(name))
    yield _edited(_module(name.rpartition(".")[0]), edits.with_engine)
    yield _edited(_module(settings.ROOT_URLCONF), edits.with_addresses, edits.with_outage_page)
    base = _base_template()
    if base is not None:
        yield _edited(base, edits.with_head)
    elif not any("realtime_head" in path.read_text(errors="replace") for path in own_templates()):
        words = f"the project has no such template: add {edits.HEAD} to the <head> of the pages"
        yield Edited(Path("base.html"), "", "", [words])


def _of_settings(name: str) -> Iterator[Callable[[str], str]]:
    """Yield the edits that the settings need; settings that they import from another module count as present."""
    if "daphne" not in settings.INSTALLED_APPS and find_spec("daphne") is not None:
        yield partial(edits.with_app_first, app="daphne")
    if LIVE_BLOCKS not in settings.MIDDLEWARE:
        yield edits.with_live_blocks
    if SESSIONS in settings.MIDDLEWARE and PRIVATE_PAGES not in settings.MIDDLEWARE:
        yield edits.with_middleware
    if not getattr(settings, "ASGI_APPLICATION", None):
        yield partial(edits.with_application, name=name)
    live = connections[get_conf().database]
    if live.vendor == "sqlite" and "transaction_mode" not in live.settings_dict["OPTIONS"]:
        yield edits.with_immediate_transactions


def _edited(path: Path, *wanted: Callable[[str], str]) -> Edited:
    """Return a file with the edits that it needs; edits that fail are left to do by hand."""
    before = after = _read(path)
    if is_installed(path):
        return Edited(
            path, before, before, ["it is part of an installed package: run this where its source is"]
        )
    left = []
    for edit in wanted:
        try:
            edited = edit(after)
            if path.suffix == ".py":
                ast.parse(edited)
            if edit(edited) != edited:
                raise Unrecognised(ODD)
        except Unrecognised as error:
            left.append(str(error))
        except SyntaxError as error:
            left.append(f"{ODD}, it would no longer be Python ({error})")
        else:
            after = edited
    return Edited(path, before, after, left)


def _module(name: str) -> Path:
    """Return the file of a module.

    Raises: CommandError, if there is none.
    """
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None:
        raise CommandError(f"there is no module {name}: run this in a project as startproject makes it")
    return Path(found.origin)


def _base_template() -> Path | None:
    """Return the template of all pages; None if there is none, or it is another package's."""
    try:
        template: Any = get_template("base.html")
    except (TemplateDoesNotExist, TemplateSyntaxError):
        return None
    path = Path(template.origin.name)
    return path if is_own(path) else None


def _diff(name: str, one: Edited) -> str:
    lines = difflib.unified_diff(one.before.splitlines(), one.after.splitlines(), name, name, lineterm="")
    return "\n".join(lines)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
