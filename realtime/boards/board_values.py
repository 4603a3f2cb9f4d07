"""A board's own values, as the history records and undoes them: its columns, and each of its statuses as one value.

The key of a board among those of entries is its own with a minus: see ``Revision``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext as _

from .models import Board
from .organisations import Organisation
from .own_statuses import BoardStatus
from .voices.models import Kind

STATUS = "status:"
"""In front of the name of a status, where the name of a column would be."""
PARTS = ("word", "colour", "icon", "position")


def key_of(board: int) -> int:
    """Return the key of a board itself in the history; of such a key, that of the board."""
    return -board


def is_board(key: int) -> bool:
    return key < 0


def columns() -> list["models.Field[Any, Any]"]:
    return [field for field in Board._meta.concrete_fields if field.name != "id"]


def values_of(board: Board) -> dict[str, str | None]:
    """Return the values of a board as text, with its key, as those of an entry have it."""
    found: dict[str, str | None] = {"board_id": str(board.pk)}
    for field in columns():
        is_null = field.value_from_object(board) is None
        found[field.attname] = None if is_null else field.value_to_string(board)
    for status in board.statuses.all():
        found[f"{STATUS}{status.name}"] = json.dumps([getattr(status, part) for part in PARTS])
    return found


def states(boards: Iterable[int]) -> dict[int, dict[str, str | None]]:
    """Return the values of boards that exist, by their keys in the history; lock them until the transaction ends."""
    wanted = list(boards)
    if not wanted:
        return {}
    found = (
        Board.objects.select_for_update().filter(pk__in=wanted).order_by("pk").prefetch_related("statuses")
    )
    return {key_of(board.pk): values_of(board) for board in found}


def differing(was: Mapping[str, str | None], now: Mapping[str, str | None]) -> list[str]:
    """Return which values differ. A status may be in one of both; a column of one of them has not changed."""
    names = [field.attname for field in columns()]
    names = [name for name in names if name in was and name in now]
    names += sorted(name for name in {*was, *now} if name.startswith(STATUS))
    return [name for name in names if was.get(name) != now.get(name)]


def title_of(name: str) -> str:
    """Return what editors call a value."""
    if name.startswith(STATUS):
        return _("status")
    return next((str(field.verbose_name) for field in columns() if field.attname == name), name)


def in_words(name: str, value: str | None) -> str | None:
    """Return a value as editors read it: choices by their labels, a row by its name, a status by its word and look."""
    if value is None:
        return None
    if name.startswith(STATUS):
        return status_in_words(value)
    if name == "reactions":
        return ", ".join(str(dict(Kind.choices).get(kind, kind)) for kind in value.split())
    if name == "language":
        return dict(settings.LANGUAGES).get(value, value)
    field = next((each for each in columns() if each.attname == name), None)
    if isinstance(field, models.BooleanField):
        return _("yes") if field.to_python(value) else _("no")
    if isinstance(field, models.ForeignKey):
        found = Organisation.objects.filter(pk=value).first()
        return str(found or _("a deleted organisation"))
    choices = dict(field.flatchoices) if field is not None else {}
    return str(choices.get(value, value))


def status_in_words(value: str) -> str:
    """Return a status by its word, colour, icon and place."""
    status = BoardStatus(**dict(zip(PARTS, json.loads(value), strict=True)))
    parts = [
        status.get_colour_display(),
        status.get_icon_display() if status.icon else "",
        str(status.position),
    ]
    return f"{status.word} ({', '.join(filter(None, parts))})"


def go_back(
    board: Board, before: Mapping[str, str | None], after: Mapping[str, str | None]
) -> tuple[list[str], list[str]]:
    """Give values of a locked board back that it had before a change.

    Return the names of those that were written, and a text for each that was not: it was changed later, or is not
    possible any more.
    """
    now = values_of(board)
    written: list[str] = []
    left: list[tuple[str, str]] = []
    for name in before:
        if now.get(name) == before[name]:
            continue
        if now.get(name) == after.get(name):
            fault = obstacle(board, name, before[name])
        else:
            fault = _("has become “{value}” since then").format(value=in_words(name, now.get(name)) or "")
        if fault:
            left.append((title_of(name), fault))
        else:
            written.append(name)
    fields = {field.attname: field for field in columns() if field.attname in written}
    for name, field in fields.items():
        value = before[name]
        setattr(board, name, None if value is None else field.to_python(value))
    if fields:
        board.save(update_fields=[field.name for field in fields.values()])
    for name in written:
        if name.startswith(STATUS):
            write_status(board, name.removeprefix(STATUS), before[name])
    words = _("“{name}”: {field} {reason}, and was left as it is")
    return written, [words.format(name=board, field=field, reason=fault) for field, fault in left]


def obstacle(board: Board, name: str, value: str | None) -> str:
    """Return why a board cannot have a value again; an empty string if it can."""
    if name == "slug" and Board.objects.exclude(pk=board.pk).filter(slug=value).exists():
        return _("“{value}” is that of another board now").format(value=value)
    if name == "organisation_id" and value and not Organisation.objects.filter(pk=value).exists():
        return _("was deleted")
    return ""


def write_status(board: Board, name: str, value: str | None) -> None:
    """Give a status of a board its values, make it, or delete it if there are none."""
    status = board.statuses.filter(name=name).first() or BoardStatus(board=board, name=name)
    if value is None:
        status.delete()
        return
    for part, text in zip(PARTS, json.loads(value), strict=True):
        setattr(status, part, text)
    status.save()
