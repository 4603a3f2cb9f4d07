"""``manage.py broadcast "text"``: show a notice on every open page."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from realtime.management.terminal import TerminalCommand
from realtime.notices import broadcast


class Command(TerminalCommand):
    help = "Show a notice on every open page, or on the pages that follow one topic."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("text", help="the text of the notice, up to 1000 characters")
        parser.add_argument(
            "--topic", help="show it only on pages that follow this topic, for example entries.7"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            broadcast(options["text"], options["topic"])
        except ValidationError as error:
            raise CommandError(error.messages[0]) from error
        where = f"pages that follow {options['topic']}" if options["topic"] else "every open page"
        self.stdout.write(f"sent to {where}")
