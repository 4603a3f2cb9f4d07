"""Pacing: how long the publisher waits between two probes of the database, decided without a clock."""

import math
from dataclasses import dataclass

from ..databases.outbox import Probe
from ..engine.bucket import Bucket

BUSY_SECONDS = 1.0
"""In this time after a batch another one is likely."""
PROBES_PER_TICK = 4
BATCHES_AT_ONCE = 4
"""How many batches may follow each other without a pause. On average there is one a tick."""
COMMIT_SECONDS = 0.0005
"""The first pause of those after which a noticed write is looked for. It is usually found before: SQLite writes to the
file at the end of a commit."""
TICKS_PER_QUIET_PROBE = 4
LEADER_TICKS = 4
"""How long a process that does not lead leaves waiting rows to the leader, in ticks."""


class Pace:
    """When batches were sequenced and writes were noticed, and when to probe next because of that.

    The publisher's thread and the loop use it without a lock: at worst a probe is early, or late by part of a tick.

    Units: moments as of time.monotonic.
    """

    def __init__(self, tick_seconds: float) -> None:
        self._tick_seconds = tick_seconds
        self._sequenced_at = -math.inf
        self._written_at = -math.inf  # when a write was last noticed whose commit has not been found yet
        self._batches = Bucket(1 / tick_seconds, BATCHES_AT_ONCE)

    def note_batch(self, now: float) -> None:
        self._batches.spend(1, now)
        self._sequenced_at, self._written_at = now, -math.inf

    def note_write(self, now: float) -> float:
        """Note that a write was noticed; return how many seconds later to probe."""
        self._written_at = now
        return self._rest(now)

    def pause(self, now: float, *, is_watched: bool) -> float:
        """Return how many seconds to wait before the next probe; ``is_watched``: a file watch notices writes."""
        since_sequenced = now - self._sequenced_at
        if not is_watched:
            return self._rest(now) or pause(self._tick_seconds, since_sequenced)
        return pause_when_watched(self._tick_seconds, now - self._written_at, since_sequenced)

    def _rest(self, now: float) -> float:
        """Return how many seconds later the next batch may be sequenced: 0 while they are few.

        In a row of batches at most a tick after the last one, so that the writes of each tick are sequenced together.
        """
        tick_ends = max(0.0, self._sequenced_at + self._tick_seconds - now)
        return min(self._batches.seconds_until(1, now), tick_ends)


@dataclass(slots=True)
class Deference:
    """How long the same rows have waited, as seen by a process that does not lead.

    Two processes that sequence the same rows at once read them both, and one of them in vain. A leader that makes
    progress is left alone; if it makes none, because it ended or hangs, any process sequences.

    Units: moments as of time.monotonic.
    """

    place: tuple[str, int] | None = None
    """Up to where the outbox was sequenced when rows were seen to wait; None if none did."""
    since: float = 0.0

    def rest(self, seen: Probe, now: float, tick_seconds: float) -> float:
        """Return for how many more seconds waiting rows are left to the leader; 0 if none waits, or for too long."""
        place = (seen.epoch, seen.sequenced) if seen.is_waiting else None
        if place != self.place:
            self.place, self.since = place, now
        return 0.0 if place is None else max(0.0, self.since + LEADER_TICKS * tick_seconds - now)


def pause(tick_seconds: float, since_sequenced: float) -> float:
    """Return the pause where no file watch notices writes.

    For a second after a batch, part of a tick: more writes are likely, and a probe that finds nothing is cheap.
    """
    return tick_seconds / PROBES_PER_TICK if since_sequenced < BUSY_SECONDS else tick_seconds


def pause_when_watched(tick_seconds: float, since_written: float, since_sequenced: float) -> float:
    """Return the pause where the database's file is watched.

    A write that was noticed and not found yet is being committed: probe again and again, at first very soon.
    Otherwise the watch reports writes, and a probe is only a precaution.
    """
    if since_written < tick_seconds:
        return max(since_written, COMMIT_SECONDS)
    return TICKS_PER_QUIET_PROBE * tick_seconds if since_sequenced > BUSY_SECONDS else tick_seconds
