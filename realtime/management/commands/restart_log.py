"""``manage.py restart_log``: begin a new epoch, after a database was restored to an earlier state."""

from typing import Any

from realtime.management.terminal import TerminalCommand
from realtime.publishing.positions import begin_epoch


class Command(TerminalCommand):
    help = "Begin a new epoch of the log: every page receives a snapshot. Run it after restoring a backup."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"began the new epoch {begin_epoch()}; every page receives a snapshot")
