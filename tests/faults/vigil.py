"""The vigil: no page is wrong and says that it is live for longer than two heartbeats.

It reads the rows of all topics several times a second. A viewer whose states the oracle compares is as late as the
first sample whose position it has not reached and whose row is another than its own. Any other viewer is wrong since it
was first seen to show a row that is not that of ``SELECT``, for as long as it shows it. The client has to know of it,
unless that time is short.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from realtime.engine.position import Position
from tests.faults.oracle import State, difference
from tests.faults.run_queue import RunQueue
from tests.faults.viewers import Viewer

SAMPLE_SECONDS = 0.25
KEPT_SAMPLES = 120
MAX_VIOLATIONS = 20


@dataclass(frozen=True)
class Sample:
    """The result of ``SELECT`` in one snapshot: the rows by topic, as of ``position`` or later."""

    position: Position
    states: dict[str, State]


@dataclass
class Spell:
    """The longest time for which a viewer of a topic was wrong and live."""

    seconds: float = 0.0
    words: str = "none"


@dataclass
class _Watched:
    """Since when a viewer has been live without an interruption, and since when it shows which wrong rows.

    Units: times of the vigil's clock.
    """

    live_since: float
    doubts: int
    wrong: dict[str, tuple[object, float]] = field(default_factory=dict)
    is_reported: bool = False


class Vigil:
    """Watches viewers; ``violations`` holds a sentence for each that was wrong and live for too long."""

    def __init__(
        self,
        sample: Callable[[], Sample],
        viewers: Callable[[], Iterable[Viewer]],
        processes: Callable[[], Iterable[int]],
        limit: float,
    ) -> None:
        """``limit`` in seconds is how long a page may be wrong and live.

        ``processes`` are those whose work makes pages right: time in which one waits for a processor does not count.
        """
        self.violations: list[str] = []
        self.longest: dict[str, Spell] = defaultdict(Spell)
        self.samples_taken = 0
        self._sample, self._viewers = sample, viewers
        self._processes, self._limit = processes, limit
        self._run_queue = RunQueue()
        self.waited_seconds = 0.0
        """For how long in total one of the processes waited for a processor."""
        self._clock = 0.0
        self._samples: deque[tuple[float, Sample]] = deque(maxlen=KEPT_SAMPLES)
        self._watched: dict[Viewer, _Watched] = {}
        self._excused: set[str] = set()

    @contextmanager
    def excused(self, topics: Iterable[str]) -> Iterator[None]:
        """Do not judge the viewers of these topics meanwhile: what they show is not promised."""
        topics = set(topics)
        self._excused |= topics
        try:
            yield
        finally:
            self._excused -= topics
            self.forget()

    def forget(self) -> None:
        """Judge by later samples only: the database was replaced by an earlier state of itself."""
        self._samples.clear()
        self._watched.clear()

    async def watch(self) -> None:
        """Take samples and judge, until cancelled."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            sample: Sample | None
            try:
                sample = await asyncio.to_thread(self._sample)
            except Exception:  # the database is away, or a table is missing at this moment: nothing is known
                sample = None
            now, waited = time.monotonic(), self._run_queue.waited(self._processes())
            if sample is not None:
                self.waited_seconds += waited
                # Nor does the time count for which this loop was held up: messages wait to be read then.
                self.judge(sample, max(0.0, min(now - before, 2 * SAMPLE_SECONDS) - waited))
            before = now

    def judge(self, sample: Sample, seconds: float) -> None:
        """Compare each viewer with a sample that was taken so many seconds after the one before."""
        self._clock += seconds
        self._samples.append((self._clock, sample))
        self.samples_taken += 1
        self._judge()

    def _judge(self) -> None:
        for viewer in self._viewers():
            known = self._watched.get(viewer)
            if known is None or known.doubts != viewer.doubts or viewer.shows in self._excused:
                self._watched[viewer] = _Watched(self._clock, viewer.doubts)
                continue
            since = self._wrong_since(viewer, known)
            if not viewer.is_live:
                known.live_since = self._clock
            elif since is not None:
                self._note(viewer, known, self._clock - max(since, known.live_since))
            else:
                known.is_reported = False

    def _wrong_since(self, viewer: Viewer, known: _Watched) -> float | None:
        """Return since when a row of a viewer has been wrong; None if all are as in the latest sample."""
        latest = self._samples[-1][1]
        shown, expected = viewer.state, latest.states[viewer.shows]
        keys = [key for key in {*shown, *expected} if shown.get(key) != expected.get(key)]
        known.wrong = {
            key: known.wrong[key]
            if key in known.wrong and known.wrong[key][0] == shown.get(key)
            else (shown.get(key), self._clock)
            for key in keys
        }
        if viewer.is_recorded:
            return min((self._unreached_since(viewer, key, *known.wrong[key]) for key in keys), default=None)
        return min((since for _, since in known.wrong.values()), default=None)

    def _unreached_since(self, viewer: Viewer, key: str, row: object, shown_since: float) -> float:
        """Return the time of the sample after the latest one that has this row, or whose position is reached.

        Everything in the viewer's epoch is later than samples of the epoch before.
        """
        since, mine = self._clock, viewer.replica.position
        is_epoch_known = False
        for clock, sample in reversed(self._samples):
            at = sample.position
            is_same = mine is not None and mine.epoch == at.epoch
            is_epoch_known |= is_same
            has_reached = mine.offset >= at.offset if is_same and mine else is_epoch_known
            if has_reached or sample.states[viewer.shows].get(key) == row:
                return since
            since = clock
        return since if is_epoch_known else shown_since

    def _note(self, viewer: Viewer, known: _Watched, seconds: float) -> None:
        spell = self.longest[viewer.shows]
        limit = self._limit + SAMPLE_SECONDS
        is_too_long = seconds > limit and not known.is_reported
        if seconds <= max(spell.seconds, SAMPLE_SECONDS) and not is_too_long:
            return
        expected = self._samples[-1][1].states[viewer.shows]
        words = f"{viewer.shows} at {viewer.replica.position}: {difference(expected, viewer.state)}"
        if is_too_long and len(self.violations) < MAX_VIOLATIONS:
            known.is_reported = True
            self.violations.append(
                f"wrong and live for more than {limit:.1f} s: {words}; received {viewer.recent()}"
            )
        if seconds > spell.seconds:
            spell.seconds, spell.words = seconds, words
