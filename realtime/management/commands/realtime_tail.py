"""``manage.py realtime_tail``: the entries of the log, oldest first."""

import json
import time
from collections import Counter
from typing import Any

from django.core.management.base import CommandError, CommandParser

from realtime.conf import get_conf
from realtime.engine.errors import BadPosition
from realtime.engine.messages import decode_changes
from realtime.engine.position import Position
from realtime.management.terminal import TerminalCommand
from realtime.models import LogEntry
from realtime.publishing import log, progress

AT_ONCE = 500
"""How many entries are read at once."""


class Command(TerminalCommand):
    help = "List entries of the log, oldest first: position, time, topic and contents of each."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "-n", "--lines", type=int, default=20, help="list this many of the newest entries (default: 20)"
        )
        parser.add_argument(
            "--since", help="list all entries after this position instead, such as 9f1c2e07.481 or 481"
        )
        parser.add_argument(
            "--topic", help="list only entries of this topic, for example entries.7, or of this feed"
        )
        parser.add_argument(
            "-f", "--follow", action="store_true", help="wait for further entries until Ctrl-C"
        )
        parser.add_argument("--json", action="store_true", help="one object for each entry, with its changes")

    def handle(self, *args: Any, **options: Any) -> None:
        begun = progress.read()
        if begun is None:
            raise CommandError("the log is empty: start a server, or `manage.py realtime_publish`")
        last = _Cursor(LogEntry.objects.all(), options["topic"])
        if options["since"] is None:
            last.skip_all_but(max(0, options["lines"]))
        else:
            since = _offset(options["since"], begun.epoch)
            if since < begun.edge:
                self.stderr.write(f"entries up to {begun.edge} were pruned (LOG_RETENTION_SECONDS)")
            last.skip_to(since)
        while True:
            for entry in last.next():
                self.say(_as_json(begun.epoch, entry) if options["json"] else _line(begun.epoch, entry))
            if not options["follow"]:
                return
            time.sleep(get_conf().tick_seconds)
            begun = progress.read() or begun


class _Cursor:
    """A place among the entries of the log, or of a topic or feed in it."""

    def __init__(self, entries: Any, topic: str | None) -> None:
        if topic is not None:
            feed = topic.partition(".")[0]
            entries = entries.filter(topic__in={topic, feed}) | (
                entries.filter(topic__startswith=f"{topic}.") if topic == feed else entries.none()
            )
        self._entries = entries
        self._id = 0

    def skip_all_but(self, number: int) -> None:
        newest = list(self._entries.order_by("-id").values_list("id", flat=True)[: number + 1])
        self._id = newest[number] if len(newest) > number else 0

    def skip_to(self, offset: int) -> None:
        seen = self._entries.filter(position__lte=offset).order_by("-id").values_list("id", flat=True).first()
        self._id = seen or 0

    def next(self) -> list[LogEntry]:
        """Return the entries that are next, up to the end of the log."""
        found: list[LogEntry] = []
        while some := list(self._entries.filter(id__gt=self._id).order_by("id")[:AT_ONCE]):
            found += some
            self._id = some[-1].pk
        return found


def _offset(text: str, epoch: str) -> int:
    """Return the offset of a position, which may be given without its epoch.

    Raises: CommandError.
    """
    try:
        position = Position.parse(text if "." in text else f"{epoch}.{text}")
    except BadPosition as error:
        raise CommandError(
            f"{text!r} is not a position; write it as 9f1c2e07.481, or its number alone"
        ) from error
    if position.epoch != epoch:
        raise CommandError(
            f"{text} is a position of an earlier log; the epoch of the log is now {epoch}: leave --since out"
        )
    return position.offset


def _line(epoch: str, entry: LogEntry) -> str:
    written = entry.created_at.strftime("%Y-%m-%d %H:%M:%S")
    return f"{epoch}.{entry.position}  {written}  {entry.topic}  {_words(entry)}"


def _words(entry: LogEntry) -> str:
    if entry.kind in log.WITH_ROWS and entry.payload and not log.is_announcement(entry):
        numbers = Counter(change.op for change in decode_changes(entry.payload))
        return ", ".join([*(f"{number} {op}" for op, number in sorted(numbers.items())), *_asks(entry)])
    return f"{entry.kind} {entry.payload}".strip() if entry.kind == LogEntry.Kind.NOTICE else str(entry.kind)


def _asks(entry: LogEntry) -> list[str]:
    return ["rights checked again"] if entry.kind == LogEntry.Kind.RIGHTS else []


def _as_json(epoch: str, entry: LogEntry) -> str:
    found = {
        "position": f"{epoch}.{entry.position}", "after": entry.after, "written": entry.created_at.isoformat(),
        "topic": entry.topic, "kind": str(entry.kind),
    }  # fmt: skip
    if entry.kind == LogEntry.Kind.NOTICE:
        found["text"] = entry.payload
    elif entry.payload and not log.is_announcement(entry):
        found["changes"] = json.loads(entry.payload)
    return json.dumps(found)  # in ASCII: without control characters of a terminal
