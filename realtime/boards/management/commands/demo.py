"""``manage.py demo``: create the demo's boards and a user who may edit them."""

import ipaddress
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connection, transaction
from django.urls import reverse

from realtime.boards import demo, first_steps
from realtime.boards.models import Board
from realtime.management.terminal import TerminalCommand


class Command(TerminalCommand):
    help = (
        "Creates the demo's boards, if there are no boards, and the user “editor”; "
        "prints the addresses and the user's password. At a terminal it first asks which kind of board to begin with, "
        "and prints what to try; it asks nothing elsewhere."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="Host in the printed addresses. Default: %(default)s."
        )
        parser.add_argument(
            "--port", default=8000, type=int, help="Port in the printed addresses. Default: %(default)s."
        )

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        try:
            if Board._meta.db_table not in connection.introspection.table_names():
                raise CommandError("The database has no tables yet; run “manage.py migrate” first.")
            is_at_terminal = sys.stdin.isatty() and self.stdout.isatty()
            is_first = not Board.objects.exists()
            kind = first_steps.choose(input, self.stdout.write) if is_at_terminal and is_first else None
            with transaction.atomic():
                demo.create_boards()
                if kind:
                    first_steps.begin(kind)
                password = demo.create_editor(settings.VAR_DIR / "editor-password")
        except OSError as error:
            raise CommandError(
                f"The editor's password cannot be written: {error}; set EDITOR_PASSWORD instead."
            ) from error

        origin = f"http://{printable(host)}" + ("" if port == 80 else f":{port}")
        self.stdout.write(
            f"Tidemark\n"
            f"  pages   {origin}{reverse('boards:index')}\n"
            f"  admin   {origin}{reverse('admin:index')}\n"
            f"  login   {demo.EDITOR} / {shown(password)}"
        )
        board = (
            Board.objects.order_by("-position").filter(slug__startswith="my-").first()
            or Board.objects.first()
        )
        if is_at_terminal and board:
            self.stdout.write(first_steps.guide(board, origin, host, port))


def printable(host: str) -> str:
    """Return a host as it is written in a URL; the loopback address if it stands for all interfaces."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)


def shown(password: str | None) -> str:
    """Return the text to print for a password; a chosen password is never printed."""
    if os.environ.get("EDITOR_PASSWORD"):
        return "the password in EDITOR_PASSWORD"
    return (
        password or f"the password set by its user (“manage.py changepassword {demo.EDITOR}” sets a new one)"
    )
