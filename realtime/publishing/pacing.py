"""Pacing: how long the publisher waits between two probes of the database, decided without a clock."""

import math
from dataclasses import dataclass

from ..databases.outbox import Probe

BUSY_SECONDS = 1.0
"""In this time after a batch another one is likely."""
PROBES_PER_TICK = 4
COMMIT_SECONDS = 0.002
"""Usual time from the first byte of a commit in the database's file to its end."""
TICKS_PER_QUIET_PROBE = 4
LEADER_TICKS = 4
"""How long a process that does not lead leaves waiting rows to the leader, in ticks."""


@dataclass(slots=True)
class Pace:
    """When batches were sequenced and writes were noticed, and when to probe next because of that.

    Units: moments as of time.monotonic.
    """

    sequenced_at: float = -BUSY_SECONDS
    written_at: float = -math.inf
    """When the file watch last noticed a write whose commit has not been found yet."""
    is_busy: bool = False
    """Whether the last two batches were sequenced less than two ticks apart."""

    def note_batch(self, now: float, tick_seconds: float) -> None:
        self.is_busy = now - self.sequenced_at < 2 * tick_seconds
        self.sequenced_at, self.written_at = now, -math.inf

    def note_write(self, now: float, tick_seconds: float) -> float:
        """Note that a write was noticed; return how many seconds later to probe.

        At once when its commit can be complete; in a row of batches a tick after the last one, so that the
        writes of each tick are sequenced together.
        """
        self.written_at = now
        rest = self.sequenced_at + tick_seconds - now if self.is_busy else 0.0
        return max(COMMIT_SECONDS, rest)

    def pause(self, now: float, tick_seconds: float, *, is_watched: bool) -> float:
        """Return how many seconds to wait before the next probe; ``is_watched``: a file watch notices writes."""
        since_sequenced = now - self.sequenced_at
        if not is_watched:
            return pause(tick_seconds, since_sequenced)
        return pause_when_watched(tick_seconds, now - self.written_at, since_sequenced)


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

    A whole tick right after a batch, so that writes in a row are sequenced together. Then, for a second, part of a
    tick: more writes are likely, and a probe that finds nothing is cheap.
    """
    is_busy = tick_seconds <= since_sequenced < BUSY_SECONDS
    return tick_seconds / PROBES_PER_TICK if is_busy else tick_seconds


def pause_when_watched(tick_seconds: float, since_written: float, since_sequenced: float) -> float:
    """Return the pause where the database's file is watched.

    A write that was noticed and not found yet is being committed: probe again and again, at first very soon.
    Otherwise the watch reports writes, and a probe is only a precaution.
    """
    if since_written < tick_seconds:
        return max(since_written, COMMIT_SECONDS)
    return TICKS_PER_QUIET_PROBE * tick_seconds if since_sequenced > BUSY_SECONDS else tick_seconds
