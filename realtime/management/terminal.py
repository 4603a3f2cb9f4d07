"""The common base of commands for people at a terminal: how they end, and how they report errors."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError

from ..databases.remedies import remedy
from ..engine.errors import RealtimeError
from ..log_filters import printable
from .diagnostics import first_line

INTERRUPTED = 130
"""The exit status of a program that Ctrl-C has ended."""


class TerminalCommand(BaseCommand):
    """A command that ends without a traceback: by Ctrl-C, by a closed pipe, or with an error in one sentence."""

    requires_system_checks = []

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # The buffer must be written somewhere, or Python reports the closed pipe once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except DatabaseError as error:
            advice = remedy(error) or "run `manage.py realtime_doctor`"
            raise CommandError(printable(f"database: {first_line(error)}; {advice}")) from error
        except RealtimeError as error:
            raise CommandError(printable(str(error))) from error

    def say(self, line: str) -> None:
        """Write a line now: a program that reads it through a pipe may wait for it.

        Control characters are escaped: values and names of topics may come from a visitor.
        """
        self.stdout.write(printable(line))
        self.stdout.flush()
