"""``manage.py doctor``: tries each part that serving needs, and reports which work, which do not, and what to do."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from channels.exceptions import InvalidChannelLayerError
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError
from django.db import connections

from realtime.changes import handlers
from realtime.checks.feeds import check_feeds
from realtime.checks.wiring import WIRING
from realtime.conf import get_conf
from realtime.databases.registry import database
from realtime.databases.remedies import remedy
from realtime.delivery.topic_reads import SLOW_SECONDS
from realtime.feeds import Feed, registry
from realtime.log_filters import printable
from realtime.management import diagnostics
from realtime.management.diagnostics import Finding
from realtime.models import HandlerCursor
from realtime.publishing import capture, log, progress
from realtime.publishing.positions import read_topic
from realtime.runtime import cpu_time
from realtime.runtime.left_out import left_out, reason_of
from realtime.servers import private_objects
from realtime.views import topics_of

MAX_TOPICS = 20
"""How many topics of a feed are read."""
MAX_SECONDS = 5.0
"""After this time no further topic of a feed is read."""
MAX_ROWS = 10
"""How many of the rows that a feed leaves out are named."""
DIAGNOSTIC_SECONDS = 30.0
"""How long one diagnostic may take."""

Diagnostic = Callable[[], Iterable[Finding]]


class Command(BaseCommand):
    help = (
        "Try what serving needs: the database, capture, a publisher, the channel layer, static files, the application; "
        "exit with 1 if something needs fixing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="write what was found as JSON, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        logging.disable(logging.INFO)  # log lines of these attempts are not those of a server
        try:
            found = findings(DIAGNOSTICS)
        finally:
            logging.disable(logging.NOTSET)
        bad = [finding for finding in found if finding.cure]
        if options["json"]:
            listed = [{"ok": not one.cure, "found": one.words, "do": one.cure} for one in found]
            self.stdout.write(json.dumps(listed, indent=1))
        else:
            for one in found:
                line = f"  BAD  {one.words}; {one.cure}" if one.cure else f"  ok   {one.words}"
                self.stdout.write(printable(line))  # the text of an error may quote a row
            self.stdout.write(f"{len(bad)} to fix" if bad else "all is well")
        if bad:
            sys.exit(1)


def findings(tried: Iterable[Diagnostic]) -> list[Finding]:
    """Return the findings, each once: all diagnostics that query an unreachable database report it."""
    return list(dict.fromkeys(finding for diagnostic in tried for finding in _bounded(diagnostic)))


def _bounded(diagnostic: Diagnostic) -> list[Finding]:
    """Run a diagnostic in a thread of its own and return its findings; one that hangs is a finding, too."""
    found: list[Finding] = []
    ended = threading.Event()

    def run() -> None:
        try:
            found.extend(diagnostic())
        except DatabaseError as error:
            found.append(
                Finding(
                    f"database: {diagnostics.first_line(error)}", remedy(error) or "run `manage.py migrate`"
                )
            )
        except InvalidChannelLayerError as error:
            found.append(Finding(f"{_name(diagnostic)}: {error}", "correct the channel layer first"))
        except Exception as error:
            found.append(
                Finding(
                    f"{_name(diagnostic)}: {reason_of(error)}", "this is a fault of the engine: report it"
                )
            )
        finally:
            connections.close_all()
            ended.set()

    threading.Thread(target=run, name=f"doctor-{diagnostic.__name__}", daemon=True).start()
    if not ended.wait(DIAGNOSTIC_SECONDS):
        cure = "the database, the channel layer or a disk does not answer: see the log of each, and that of the system"
        return [*found, Finding(f"{_name(diagnostic)}: no result within {DIAGNOSTIC_SECONDS:g} s", cure)]
    return found


def _name(diagnostic: Diagnostic) -> str:
    return diagnostic.__name__.replace("_", " ")


def wiring() -> Iterator[Finding]:
    """Whether the project uses the app as the system checks require."""
    found = [message for check in WIRING for message in check()]
    for message in found:
        yield Finding(f"project: {message.msg.rstrip('.')}", str(message.hint).rstrip("."))
    if not found:
        yield Finding("project: the app is wired in")


def feeds() -> Iterator[Finding]:
    """The findings of the checks of feeds, and whether the tables of each feed have their triggers."""
    missing = {found.table for found in capture.missing()}
    refused = capture.uncaptured()
    capturable = {found.table for found in capture.possible(database())}
    for message in check_feeds():
        if message.is_serious():
            yield Finding(message.msg.rstrip("."), str(message.hint))
    if not list(registry):
        yield Finding("feeds: none is registered", "write a live.py beside the models of an app")
    for feed in registry:
        tables = feed.tables | feed.rights_tables
        for table in sorted(tables & missing):
            yield Finding(
                f"feed {feed.name}: triggers on {table} are missing or out of date",
                refused.get(table) or "run `manage.py migrate`, or start a server",
            )
        for table in sorted(tables - capturable):
            yield Finding(
                f"feed {feed.name}: {table} is a view, or not in the database, or lacks a column",
                "run `manage.py migrate`; for a view, register the model of the table behind it",
            )
        if tables <= capturable - missing:
            yield Finding(f"feed {feed.name}: changes of {', '.join(sorted(feed.tables))} are captured")


def the_log() -> Iterator[Finding]:
    """How far the outbox has been sequenced."""
    begun = progress.read()
    if begun is None:
        yield Finding("log: empty, nothing has been published yet", "start a server, or `manage.py publish`")
        return
    sizes = {figure.name: int(figure.value) for figure in log.sizes()}
    yield Finding(
        f"log: epoch {begun.epoch}, at {sizes['sequenced']}, {sizes['log_entries']} entries, "
        f"{sizes['outbox_waiting']} changes waiting in an outbox of {sizes['outbox_rows']}"
    )
    waiting = log.waiting_seconds()
    if waiting > get_conf().max_lag_seconds:
        yield Finding(f"lag: a change has waited for {waiting:.0f} s", "see what the publisher logs")


def rows() -> Iterator[Finding]:
    """Read topics of each feed, as servers do, and report rows that are left out, and topics that fail or take long."""
    for feed in registry:
        try:
            seconds = _seconds_for_a_topic(feed)
            if seconds > SLOW_SECONDS:  # a busy machine, or the first query of a connection: read it again
                seconds = min(seconds, _seconds_for_a_topic(feed))
        except Exception as error:
            if isinstance(error, DatabaseError) and database().connection.connection is None:
                raise  # the database cannot be reached; this concerns no feed in particular
            cure = remedy(error) or "see the feed's queryset"
            yield Finding(f"feed {feed.name}: cannot be read: {reason_of(error)}", cure)
            continue
        if seconds > SLOW_SECONDS:
            yield Finding(
                f"feed {feed.name}: slow, {seconds:.1f} s for a topic", "see its query and template"
            )
        for key, reason in list(left_out.reasons(feed.name).items())[:MAX_ROWS]:
            yield Finding(
                f"feed {feed.name}: row {key!r} is left out: {reason}", "repair the row, or the template"
            )


def _seconds_for_a_topic(feed: Feed) -> float:
    """Return how long reading a topic of a feed takes, without the time in which this thread had no core."""
    begun, waited = time.monotonic(), cpu_time.waited()
    read = 0
    for topic in topics_of(feed)[:MAX_TOPICS]:
        read_topic(topic)
        read += 1
        if time.monotonic() - begun > MAX_SECONDS:
            break
    return (time.monotonic() - begun - (cpu_time.waited() - waited)) / max(read, 1)


def functions() -> Iterator[Finding]:
    """How far the functions of ``on_change`` have come, and which of them fail."""
    for handler in handlers.values():
        stored = HandlerCursor.objects.filter(pk=handler.name).first()
        name = f"on_change: {handler.name}"
        for words, hint in handler.faults:
            yield Finding(f"{name} is not called: {words}", hint)
        if stored is not None and stored.failures:
            yield Finding(
                f"{name} has failed {stored.failures} times for its next change: {stored.error}",
                "correct the function, or what it calls: until then it is called again for the same change",
            )
        elif stored is not None:
            yield Finding(f"{name} has handled the log up to {stored.position}")


def servers() -> Iterator[Finding]:
    """The features that each installed server runs without, because its private objects do not fit."""
    for server in filter(private_objects.load, private_objects.SERVERS):
        features = [feature for feature in private_objects.Feature if feature.server == server]
        for feature in features:
            for fault in private_objects.faults(feature):
                yield Finding(
                    f"{server} runs without {feature.words}: {fault}", private_objects.advice(server)
                )
        fitting = [feature.words for feature in features if not private_objects.faults(feature)]
        if fitting:
            yield Finding(f"{server}: {', '.join(fitting)}")


DIAGNOSTICS: list[Diagnostic] = [
    wiring, diagnostics.writes, diagnostics.migrations, feeds, diagnostics.captured, the_log,
    diagnostics.published, rows, functions, diagnostics.watch, diagnostics.layer,
    diagnostics.static_files, diagnostics.application, servers,
]  # fmt: skip
"""First the wiring of the project, then in the order of the path of a change."""
