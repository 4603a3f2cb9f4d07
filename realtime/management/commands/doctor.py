"""``manage.py doctor``: says what works and what does not, and what to do about it."""

import sys

from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db.models.functions import Now

from realtime.conf import get_conf
from realtime.feeds import registry
from realtime.models import Sequencer
from realtime.publishing import capture, log


class Command(BaseCommand):
    help = "Check capture, sequencing and the channel layer; exit with 1 when something needs mending."

    def handle(self, *args, **options) -> None:
        self.problems = 0
        try:
            self._check_capture()
            self._check_sequencer()
        except DatabaseError as error:
            self._bad(f"database: {error}", "run `manage.py migrate`")
        self._check_layer()
        if self.problems:
            self.stdout.write(f"{self.problems} to mend")
            sys.exit(1)
        self.stdout.write("all is well")

    def _check_capture(self) -> None:
        missing = {found.table for found in capture.missing(get_conf().database)}
        if not list(registry):
            self._bad("feeds: none is registered", "write a live.py beside the models of an app")
        for feed in registry:
            for table in sorted(feed.tables & missing):
                self._bad(
                    f"feed {feed.name}: triggers on {table} are missing or out of date",
                    "run `manage.py migrate`, or start a server",
                )
            if not feed.tables & missing:
                self._good(f"feed {feed.name}: changes of {', '.join(sorted(feed.tables))} are captured")

    def _check_sequencer(self) -> None:
        database = get_conf().database
        state = Sequencer.objects.using(database).filter(pk=Sequencer.ROW).first()
        if state is None:
            self._bad("log: has not begun", "start a server, or `manage.py publish`")
            return
        sizes = {figure.name: int(figure.value) for figure in log.sizes()}
        self._good(
            f"log: epoch {state.epoch}, at {sizes['sequenced']}, {sizes['log_entries']} entries, "
            f"{sizes['outbox_waiting']} changes wait in an outbox of {sizes['outbox_rows']}"
        )
        alive = Sequencer.objects.using(database).filter(pk=Sequencer.ROW, expires_at__gt=Now()).exists()
        if alive:
            self._good(f"publisher: {state.holder}")
        else:
            self._bad("publisher: none is running, changes wait", "start a server, or `manage.py publish`")

    def _check_layer(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            self._bad("channel layer: none", "set CHANNEL_LAYERS['default']")
        else:
            self._good(f"channel layer: {type(layer).__name__}")

    def _good(self, words: str) -> None:
        self.stdout.write(f"  ok   {words}")

    def _bad(self, words: str, cure: str) -> None:
        self.problems += 1
        self.stdout.write(f"  BAD  {words}; {cure}")
