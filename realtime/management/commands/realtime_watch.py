"""``manage.py realtime_watch <topic>``: the rows of a topic in the terminal, as a table or as lines of JSON."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from django.core.management.base import CommandError, CommandParser

from realtime.client.replica import Change
from realtime.conf import get_conf
from realtime.engine.errors import UnknownTopic
from realtime.log_filters import printable
from realtime.management.following import LoggedTopic
from realtime.management.terminal import TerminalCommand
from realtime.views import suggested_topics

MAX_SUGGESTED = 20
"""How many topics are listed where there is none of the name."""
DRAWN_PER_SECOND = 10
WITHOUT_RICH = 'the table needs the package rich: pip install "django-tidemark[cli]", or use --json'
WITHOUT_CLIENT = '--url needs the package websockets: pip install "django-tidemark[client]"'
STATUS_SECONDS = 1.0
"""How often the state of the connection is drawn even if no row changes."""


class Seen(NamedTuple):
    """The changes that a source has received since the last call, and all rows; ``has_rows`` once it has read them."""

    changes: list[Change]
    rows: Mapping[str, Any]
    state: str
    has_rows: bool


class Command(TerminalCommand):
    help = (
        "Show the rows of a topic and keep them current until Ctrl-C: a table in a terminal, otherwise one line of "
        "JSON for each change, beginning with one for each present row. Reads the log in the database, or follows a "
        "server with --url. Without a topic, list the topics."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("topic", nargs="?", help="the topic, for example entries.7")
        parser.add_argument("--url", help="follow a server, such as https://example.org/, as any visitor")
        parser.add_argument("--origin", help="the Origin to send with --url; by default the address itself")
        parser.add_argument("--ticket", help="a ticket for --url, which opens one connection")
        parser.add_argument("--json", action="store_true", help="write JSON, in a terminal too")
        parser.add_argument("--once", action="store_true", help="end after printing the present rows")

    def handle(self, *args: Any, **options: Any) -> None:
        topic = options["topic"]
        if topic is None:
            for name in suggested_topics():
                self.say(name)
            return
        source = self._of_server(topic, options) if options["url"] else self._of_database(topic)
        if options["json"] or not sys.stdout.isatty():
            self._write(source, options["once"])
        else:
            self._draw(topic, source, options["once"])

    # ------------------------------------------------------------ sources

    def _of_database(self, topic: str) -> Iterator[Seen]:
        try:
            followed = LoggedTopic(topic)
        except UnknownTopic as error:
            names = suggested_topics()
            there = ", ".join(names[:MAX_SUGGESTED]) + (", …" if len(names) > MAX_SUGGESTED else "")
            raise CommandError(printable(f"{error}; there are: {there or 'none'}")) from error
        waiting_since: float | None = None
        while True:
            changes = followed.look()
            if not followed.is_waiting:
                waiting_since = None
            elif waiting_since is None:
                waiting_since = time.monotonic()
            is_late = waiting_since is not None and time.monotonic() - waiting_since > STATUS_SECONDS
            state = (
                "changes wait: nothing publishes, start a server or realtime_publish" if is_late else "live"
            )
            yield Seen(changes, followed.replica.rows, f"{state}, at {followed.replica.position}", True)
            time.sleep(get_conf().tick_seconds)

    def _of_server(self, topic: str, options: dict[str, Any]) -> Iterator[Seen]:
        try:
            from realtime.client import follow
            from realtime.client.addresses import origin_of
        except ImportError as error:
            raise CommandError(WITHOUT_CLIENT) from error
        try:
            origin = options["origin"] or origin_of(options["url"])
            ticket = options["ticket"]
            follower = follow(
                options["url"], topic, origin=origin, ticket=(lambda: str(ticket)) if ticket else None
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        with asyncio.Runner() as runner:
            next_change: asyncio.Task[Change] | None = None

            async def some() -> list[Change]:
                """Return the changes, or none after a second; a handshake that takes longer continues."""
                nonlocal next_change
                next_change = next_change or asyncio.ensure_future(anext(follower))
                await asyncio.wait({next_change}, timeout=STATUS_SECONDS)
                if not next_change.done():
                    return []
                ended, next_change = next_change, None
                return [ended.result(), *follower.take()]

            async def end() -> None:
                if next_change is not None:
                    next_change.cancel()
                    await asyncio.gather(next_change, return_exceptions=True)
                await follower.aclose()

            try:
                while True:
                    changes = runner.run(some())
                    trouble = f": {follower.trouble}" if follower.trouble else ""
                    state = f"{follower.status}{trouble}, at {follower.position}"
                    yield Seen(changes, follower.rows, state, follower.position is not None)
            finally:
                runner.run(end())

    # ------------------------------------------------------------ output

    def _write(self, source: Iterator[Seen], is_once: bool) -> None:
        for seen in source:
            for change in seen.changes:
                line = {"op": change.op, "key": change.key, "row": change.row, "position": change.position}
                self.say(json.dumps(line))  # in ASCII: without control characters of a terminal
            if is_once and seen.has_rows:
                return

    def _draw(self, topic: str, source: Iterator[Seen], is_once: bool) -> None:
        try:
            from rich.live import Live
        except ImportError as error:
            raise CommandError(WITHOUT_RICH) from error
        with Live(auto_refresh=False) as live:
            drawn_at, latest = 0.0, set[str]()
            for seen in source:
                latest |= {change.key for change in seen.changes}
                pause = 1 / DRAWN_PER_SECOND if latest else STATUS_SECONDS
                if time.monotonic() - drawn_at >= pause or (is_once and seen.has_rows):
                    live.update(_table(topic, seen.rows, latest, seen.state), refresh=True)
                    drawn_at, latest = time.monotonic(), set()
                if is_once and seen.has_rows:
                    return


def _table(topic: str, rows: Mapping[str, Any], latest: set[str], state: str) -> Any:
    """Return the rows as a table of Rich's, as many as the terminal has room for; those that changed last are bold."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    room = max(1, shutil.get_terminal_size().lines - 7)
    left = len(rows) - room
    more = f"; {left} more" if left > 0 else ""
    words = Text(
        printable(f"{topic}: {len(rows)} rows{more} · {state} · Ctrl-C ends"),
        no_wrap=True,
        overflow="ellipsis",
    )
    table = Table()
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    for name in ["key", *names]:
        table.add_column(Text(printable(name)), no_wrap=True, overflow="ellipsis")
    for key, row in list(rows.items())[:room]:
        # One line for each row: the number of rows was computed for that.
        values = [key, *("" if row.get(name) is None else " ".join(str(row[name]).split()) for name in names)]
        table.add_row(*(Text(printable(value)) for value in values), style="bold" if key in latest else "")
    return Group(words, table)
