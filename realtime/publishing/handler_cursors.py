"""How far each function of ``on_change`` has come in the log: the rows of ``HandlerCursor``, used only here."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from django.db.models import F

from ..models import HandlerCursor, SecondsNow

WHOLE = 2**63 - 1
"""Used as an entry's id: all entries at the position are handled."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the log, and in the rows that are handled before the log is read on from there.

    Units: ``position`` and ``read_at`` are offsets, ``entry`` is the id of a log entry, ``done`` counts changes of the
           entry after it. ``reading`` is a topic, or a feed's name for all of its topics, or empty.
    """

    epoch: str
    position: int
    entry: int = WHOLE
    done: int = 0
    reading: str = ""
    after_key: str | None = None
    read_at: int = 0

    @property
    def handled(self) -> int:
        """The offset up to which all entries are handled."""
        return self.position if self.entry == WHOLE else self.position - 1

    def past(self, position: int, entry: int) -> "Cursor":
        """Return the place after an entry."""
        return replace(self, position=position, entry=entry, done=0)


@dataclass(frozen=True, slots=True)
class Stored:
    """A cursor as it is stored; ``version`` is another one after each move."""

    name: str
    version: int
    cursor: Cursor
    failures: int


def read(name: str) -> Stored | None:
    row = HandlerCursor.objects.filter(pk=name).first()
    if row is None:
        return None
    cursor = Cursor(row.epoch, row.position, row.entry, row.done, row.reading, row.after_key, row.read_at)
    return Stored(name, row.version, cursor, row.failures)


def begin(name: str, cursor: Cursor) -> None:
    """Store the first cursor of a function, unless another process has."""
    HandlerCursor.objects.get_or_create(pk=name, defaults=asdict(cursor))


def move(stored: Stored, cursor: Cursor) -> Stored | None:
    """Move a cursor, if it still is the stored one; return the new one, None if another process was quicker.

    Inside a transaction the row stays locked until it ends.
    """
    row = HandlerCursor.objects.filter(pk=stored.name, version=stored.version)
    version = stored.version + 1
    is_moved = row.update(version=version, failures=0, error="", moved_at=SecondsNow(), **asdict(cursor))
    return Stored(stored.name, version, cursor, 0) if is_moved else None


def note_failure(name: str, error: str) -> None:
    HandlerCursor.objects.filter(pk=name).update(failures=F("failures") + 1, error=error[:2000])


def slowest(names: Collection[str], epoch: str) -> int | None:
    """Return the offset up to which all of some functions have handled the log; None if none has a place in it."""
    rows = HandlerCursor.objects.filter(pk__in=names, epoch=epoch).values_list("position", "entry")
    return min((Cursor(epoch, position, entry).handled for position, entry in rows), default=None)
