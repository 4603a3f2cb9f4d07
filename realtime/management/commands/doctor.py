"""``manage.py doctor``: reports what works and what does not, and what to do about it."""

import sys
import time
from typing import Any

from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError

from realtime.checks import check_feeds
from realtime.conf import get_conf
from realtime.databases.registry import database
from realtime.delivery.topic_reads import SLOW_SECONDS
from realtime.feeds import registry
from realtime.publishing import capture, lease, log, progress
from realtime.publishing.positions import read_topic
from realtime.runtime.left_out import left_out, reason_of
from realtime.servers import private
from realtime.views import topics_of

MAX_TOPICS = 20
"""How many topics of a feed are read."""
MAX_SECONDS = 5.0
"""After this time no further topic of a feed is read."""
MAX_ROWS = 10
"""How many rows of a feed are named that are left out."""


class Command(BaseCommand):
    help = (
        "Check capture, sequencing, the channel layer and the servers; exit with 1 if something needs fixing."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.problems = 0
        try:
            self._check_capture()
            self._check_sequencer()
            self._check_rows()
        except DatabaseError as error:
            self._bad(f"database: {error}", "run `manage.py migrate`")
        self._check_layer()
        self._check_servers()
        if self.problems:
            self.stdout.write(f"{self.problems} to fix")
            sys.exit(1)
        self.stdout.write("all is well")

    def _check_capture(self) -> None:
        missing = {found.table for found in capture.missing()}
        capturable = {found.table for found in capture.possible(database())}
        for message in check_feeds():
            if message.is_serious():
                self._bad(message.msg.rstrip("."), str(message.hint))
        if not list(registry):
            self._bad("feeds: none is registered", "write a live.py beside the models of an app")
        for feed in registry:
            for table in sorted(feed.tables & missing):
                self._bad(
                    f"feed {feed.name}: triggers on {table} are missing or out of date",
                    "run `manage.py migrate`, or start a server",
                )
            for table in sorted(feed.tables - capturable):
                self._bad(
                    f"feed {feed.name}: {table} is a view, or not in the database, or lacks a column",
                    "run `manage.py migrate`; for a view, register the model of the table behind it",
                )
            if feed.tables <= capturable - missing:
                self._good(f"feed {feed.name}: changes of {', '.join(sorted(feed.tables))} are captured")

    def _check_sequencer(self) -> None:
        begun = progress.read()
        if begun is None:
            self._bad("log: empty, nothing has been published yet", "start a server, or `manage.py publish`")
            return
        sizes = {figure.name: int(figure.value) for figure in log.sizes()}
        self._good(
            f"log: epoch {begun.epoch}, at {sizes['sequenced']}, {sizes['log_entries']} entries, "
            f"{sizes['outbox_waiting']} changes waiting in an outbox of {sizes['outbox_rows']}"
        )
        waiting = log.waiting_seconds()
        if waiting > get_conf().max_lag_seconds:
            self._bad(f"lag: a change has waited for {waiting:.0f} s", "see what the publisher logs")
        holder = lease.holder()
        if holder is not None:
            self._good(f"publisher: {holder}")
        else:
            self._bad("publisher: none is running, changes wait", "start a server, or `manage.py publish`")

    def _check_rows(self) -> None:
        """Read topics of each feed, as servers do, and report what is left out, fails, or takes long."""
        for feed in registry:
            begun = time.monotonic()
            read = 0
            try:
                for topic in topics_of(feed)[:MAX_TOPICS]:
                    read_topic(topic)
                    read += 1
                    if time.monotonic() - begun > MAX_SECONDS:
                        break
            except Exception as error:
                self._bad(f"feed {feed.name}: cannot be read: {reason_of(error)}", "see the feed's queryset")
                continue
            seconds = (time.monotonic() - begun) / max(read, 1)
            if seconds > SLOW_SECONDS:
                self._bad(
                    f"feed {feed.name}: slow, {seconds:.1f} s for a topic", "see its query and template"
                )
            for key, reason in list(left_out.reasons(feed.name).items())[:MAX_ROWS]:
                self._bad(
                    f"feed {feed.name}: row {key!r} is left out: {reason}", "repair the row, or the template"
                )

    def _check_layer(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            self._bad("channel layer: none", "set CHANNEL_LAYERS['default']")
        else:
            self._good(f"channel layer: {type(layer).__name__}")

    def _check_servers(self) -> None:
        """Report what each installed server has to do without: its private objects do not fit."""
        for server in filter(private.load, private.SERVERS):
            features = [feature for feature in private.Feature if feature.server == server]
            for feature in features:
                for fault in private.faults(feature):
                    self._bad(f"{server} runs without {feature.words}: {fault}", private.advice(server))
            fitting = [feature.words for feature in features if not private.faults(feature)]
            if fitting:
                self._good(f"{server}: {', '.join(fitting)}")

    def _good(self, words: str) -> None:
        self.stdout.write(f"  ok   {words}")

    def _bad(self, words: str, cure: str) -> None:
        self.problems += 1
        self.stdout.write(f"  BAD  {words}; {cure}")
