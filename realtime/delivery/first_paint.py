"""First paints: the rows of topics as a page first shows them, rendered once per process and not once for each page.

The rows are those of a topic that the process holds for its subscribers, or those that an earlier page has read. They
are exact by the rule of positions: in the snapshot of the page's own connection, no outbox row of the feed waits to be
sequenced, and the log has no newer entry of the topic. Otherwise the rows are read and rendered for this page. The
threads of Django's requests call this module; they do not wait for the event loop, and it does not wait for them.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from django.conf import settings

from ..databases.registry import database
from ..engine.messages import Content, Row
from ..engine.position import Position
from ..engine.topic import Topic
from ..feeds import Feed, registry
from ..publishing import log, progress
from ..publishing.positions import Reading, read_snapshot, read_topic, unsequenced
from ..rows.rendering import with_digest

KEPT_SECONDS = 10.0
"""How long rows that a page has read are used for other pages while the process does not hold the topic. In that
time no scrubbing corrects changes that triggers do not record, such as a change of a relation that ``depends_on`` does
not name."""
MAX_SIZE = 32 * 1024 * 1024
"""How many characters of HTML a process keeps in first paints."""


@dataclass(frozen=True, slots=True)
class FirstPaint:
    """The rows of a topic at a position, each with its HTML as pages have it, in order, by key.

    Shape: ``state`` is that of the topic which the process held at the time, None if it held none; ``reading`` is what
           the rows are from, None if they are the held topic's.
    Units: ``size`` is that of the HTML in characters; ``painted_at`` is by the clock of the first paints.
    """

    position: Position
    rows: dict[str, tuple[Row, str]]
    size: int
    feed: Feed
    state: Position | None
    painted_at: float
    reading: Reading | None

    @property
    def html(self) -> str:
        return "\n".join(html for _, html in self.rows.values())


class Holder(Protocol):
    """The part of the process's hub that first paints use."""

    def vouched(self, name: str) -> Topic | None: ...

    def is_captured(self, tables: Collection[str]) -> bool: ...


class FirstPaints:
    """The first paints of a process, at most ``max_size`` characters; the one instance is ``first_paints``."""

    def __init__(self, max_size: int = MAX_SIZE, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: OrderedDict[str, FirstPaint] = OrderedDict()  # the latest used last
        self._size, self._max_size, self._clock = 0, max_size, clock
        self._lock = threading.Lock()  # for the order and the size; not held during a query or a rendering

    def paint(self, topic: str, hub: Holder | None) -> FirstPaint:
        """Return the rows of a topic at a position that includes what this thread's connection has written.

        ``hub``: that of this process, if it has one that runs: otherwise the rows are always read.
        Raises: what ``read_topic`` raises.
        """
        feed, _ = registry.find(topic)
        # Rows that depend on the time are shown as of now, and a template that is being edited as it is.
        if hub is None or feed.refresh_seconds is not None or settings.DEBUG:
            return self._read(topic, feed, None)
        first_paint = state = position = None
        if hub.is_captured(feed.tables):
            first_paint, state = self._known(topic, feed, hub.vouched(topic))
        if first_paint is not None:
            position = unchanged_at(topic, first_paint.position, feed.tables)
        if first_paint is not None and position is not None:
            first_paint = replace(first_paint, position=position)
        else:
            is_private = is_in_transaction()  # its writes may never be committed
            first_paint = self._read(topic, feed, state)
            if is_private or not first_paint.position.epoch:
                return first_paint
        self._keep(topic, first_paint)
        return first_paint

    def has_read(self, topic: str, format: Content | None = None) -> bool:
        """Return whether ``reading`` may have the rows of a topic in one format, or in all."""
        kept = self._kept.get(topic)
        return kept is not None and kept.reading is not None and kept.reading.is_usable_in(format)

    def reading(self, topic: str) -> Reading | None:
        """Return the rows of a topic as of now, if a page has read them and nothing has changed since."""
        kept = self._kept.get(topic)
        feed, _ = registry.find(topic)
        if kept is None or kept.reading is None or kept.feed is not feed or self._is_old(kept):
            return None
        read = kept.reading
        # Rows on which rights depend must be unchanged, too.
        position = unchanged_at(topic, read.position, feed.tables | feed.rights_tables)
        return None if position is None else replace(read, position=position)

    def _is_old(self, first_paint: FirstPaint) -> bool:
        return self._clock() - first_paint.painted_at > KEPT_SECONDS

    def _known(self, topic: str, feed: Feed, held: Topic | None) -> tuple[FirstPaint | None, Position | None]:
        """Return the newest first paint that can be had without the database, and the state of the held topic."""
        kept = self._kept.get(topic)
        if kept is not None and kept.feed is not feed:
            kept = None
        state = None if held is None else held.state
        if kept is not None and state is not None and kept.state is state:
            return kept, state
        # The contents are read first: a later state has these contents, too.
        frozen = held.frozen() if held is not None and "html" in held.contents else None
        if frozen is not None:
            state, rows = frozen
            return self._made(state, rows, feed, state, before=kept), state
        return None if kept is None or self._is_old(kept) else kept, state

    def _read(self, topic: str, feed: Feed, state: Position | None) -> FirstPaint:
        reading = read_topic(topic)
        return self._made(reading.position, reading.rows, feed, state, reading=reading)

    def _made(
        self,
        position: Position,
        rows: Iterable[Row],
        feed: Feed,
        state: Position | None,
        before: FirstPaint | None = None,
        reading: Reading | None = None,
    ) -> FirstPaint:
        """Return the first paint of rows; the HTML of those that are in an earlier one, the same objects, is reused."""
        painted: dict[str, tuple[Row, str]] = {}
        for row in rows:
            known = None if before is None else before.rows.get(row.key)
            painted[row.key] = known if known is not None and known[0] is row else (row, _html(row))
        size = sum(len(html) for _, html in painted.values())
        return FirstPaint(position, painted, size, feed, state, self._clock(), reading)

    def _keep(self, topic: str, first_paint: FirstPaint) -> None:
        with self._lock:
            former = self._kept.pop(topic, None)
            self._kept[topic] = first_paint
            self._size += first_paint.size - (former.size if former is not None else 0)
            while self._size > self._max_size:
                _, oldest = self._kept.popitem(last=False)
                self._size -= oldest.size


def _html(row: Row) -> str:
    return with_digest(str(row.html), row.digest_in("html"))


def is_in_transaction() -> bool:
    """Return whether this thread's connection is in a transaction of its caller's."""
    here = database()
    here.connection.ensure_connection()
    return here.is_in_transaction()


def unchanged_at(topic: str, since: Position, tables: Collection[str]) -> Position | None:
    """Return the position of the database now, if a topic has the same rows there as at ``since``; None if not known.

    The caller's own connection is asked, so that its own writes count. The rows are the same if the outbox has no
    unsequenced row of these tables, and the log has no entry of the topic after ``since``.
    """
    with read_snapshot() as moment:
        sequenced = progress.read()
        if sequenced is None or not moment.epoch == sequenced.epoch == since.epoch:
            return None
        # Nothing is known where the log was pruned, or the database was restored to an earlier state.
        if not sequenced.edge <= since.offset <= moment.cursor.offset:
            return None
        waiting = unsequenced(sequenced.cursor, moment.cursor).filter(source__in=tables)
        newest = max(log.newest({topic, topic.partition(".")[0]}).values(), default=0)
        return None if newest > since.offset or waiting.exists() else moment.position


first_paints = FirstPaints()
