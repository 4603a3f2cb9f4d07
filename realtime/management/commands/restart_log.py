"""``manage.py restart_log``: a new epoch, for a database that went back in time."""

from django.core.management.base import BaseCommand

from realtime.publishing.positions import begin_epoch


class Command(BaseCommand):
    help = "Begin a new epoch of the log: every page takes a snapshot. Run it after restoring a backup."

    def handle(self, *args, **options) -> None:
        self.stdout.write(f"the log starts anew, epoch {begin_epoch()}")
