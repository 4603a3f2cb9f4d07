"""The demo's boards, entries and editor. They are created once; later runs do not touch the editors' changes."""

import os
import secrets
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from .models import Board, Entry

EDITOR = "editor"
GROUP = "Editors"

# Each board's columns, and its entries as (label, value, unit, status, note).
BOARDS: list[tuple[dict[str, Any], list[tuple[str, str, str, str, str]]]] = [
    (
        {
            "slug": "departures",
            "title": "Departures",
            "description": "Ferries from Tidemark Harbour, today.",
            "label_heading": "Destination",
            "value_heading": "Departs",
            "status_heading": "Status",
            "note_heading": "Pier and remarks",
        },
        [
            ("Saltmere", "06:40", "", "info", "Pier 2 · last call, ramp closes in 3 minutes"),
            ("Port Ellery", "06:55", "", "info", "Pier 4 · boarding"),
            ("Gannet Sound", "07:10", "", "ok", "Pier 1 · boarding from 06:50"),
            ("Isle of Wren via Skerry", "07:25", "", "warning", "Pier 3 · 07:50, waiting for the tide"),
            ("Harrow Bay", "07:40", "", "ok", "Pier 2"),
            ("Kelpstone", "08:05", "", "critical", "Cancelled · tickets are valid on the 09:20"),
            ("Low Haven", "08:15", "", "ok", "Pier 5 · foot passengers only"),
            ("Marrowick", "08:30", "", "ok", "Pier 4"),
            ("Saltmere", "08:40", "", "ok", "Pier 2"),
            ("Tern Point", "09:00", "", "warning", "Pier 1 · heavy swell, outer deck closed"),
            ("Kelpstone", "09:20", "", "ok", "Pier 3 · bicycles welcome"),
            ("Whitsand Bridge", "09:45", "", "", "Pier to be announced"),
        ],
    ),
    (
        {
            "slug": "server",
            "title": "This server",
            "description": "The machine that serves this page, measured every five seconds.",
            "label_heading": "Figure",
            "value_heading": "Value",
            "status_heading": "Status",
            "note_heading": "Details",
        },
        [],  # filled by realtime.boards.jobs
    ),
    (
        {
            "slug": "roster",
            "title": "Duty roster",
            "description": "Who is on call. Staff only: others do not learn that this board exists.",
            "label_heading": "Duty",
            "value_heading": "On call",
            "status_heading": "Status",
            "note_heading": "Remarks",
            "is_public": False,
        },
        [
            ("Harbour master", "Ines Calloway", "", "ok", "Until 14:00, then T. Brandt"),
            ("Pilot boat", "Jonas Reef", "", "info", "At sea since 05:30"),
            ("Ticket office", "Priya Noor", "", "ok", ""),
            ("Night watch", "Not filled", "", "warning", "Volunteers: write your name here"),
        ],
    ),
]  # fmt: skip


def create_boards() -> bool:
    """Create the demo's boards if there are no boards at all; return whether they were created."""
    with transaction.atomic():
        if Board.objects.exists():
            return False
        for place, (columns, entries) in enumerate(BOARDS, start=1):
            board = Board.objects.create(position=place * 10, **columns)
            Entry.objects.bulk_create(
                Entry(
                    board=board,
                    position=position * 10,
                    label=label,
                    value=value,
                    unit=unit,
                    status=status,
                    note=note,
                )
                for position, (label, value, unit, status, note) in enumerate(entries, start=1)
            )
    return True


def create_editor(password_file: Path) -> str | None:
    """Create the user ``editor`` if missing; return the password, or None if it was changed elsewhere.

    The password is EDITOR_PASSWORD from the environment. If that is unset, a new editor gets a random
    password, which is kept in ``password_file`` for later calls.
    """
    chosen = os.environ.get("EDITOR_PASSWORD") or None
    with transaction.atomic():
        editor, is_new = get_user_model().objects.get_or_create(username=EDITOR, defaults={"is_staff": True})
        if is_new:
            editor.groups.add(editors_group())
        if chosen is None and is_new:
            chosen = _keep_password(password_file)
        # Setting a password ends all sessions of its user, even if the password is the same.
        if chosen and not editor.check_password(chosen):
            editor.set_password(chosen)
            editor.save(update_fields=["password"])
    if chosen:
        return chosen
    kept = _read_password(password_file)
    return kept if kept and editor.check_password(kept) else None


def editors_group() -> Group:
    """Return the group of editors, created if missing, with all permissions for the models that the admin shows.

    Pages that write other models ask for these too. The inspector and the metrics are open to all staff.
    """
    group, is_new = Group.objects.get_or_create(name=GROUP)
    if is_new:
        shown = [
            model for model in apps.get_app_config("boards").get_models() if admin.site.is_registered(model)
        ]
        types = ContentType.objects.get_for_models(*shown).values()
        group.permissions.set(Permission.objects.filter(content_type__in=types))
    return group


def _keep_password(path: Path) -> str:
    """Return the password in a file; create it if missing, readable by its owner alone."""
    kept = _read_password(path)
    if kept:
        return kept
    password = secrets.token_urlsafe(12)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password + "\n")
    return password


def _read_password(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
