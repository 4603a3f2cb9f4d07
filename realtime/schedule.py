"""Periodic jobs without Celery: ``@every(seconds=5)`` in an app's ``jobs.py``.

The publisher runs them, in one process at a time, each in a thread with database access.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

logger = logging.getLogger("realtime.schedule")


@dataclass(slots=True)
class Job:
    """A function and its rhythm. It never overlaps itself; a missed turn is skipped, not caught up."""

    name: str
    function: Callable[[], object]
    seconds: float
    is_running: bool = False
    due_at: float = field(default=0.0)

    def claim(self, now: float) -> bool:
        """Return whether it is the job's turn, and if so set the next. Units: ``now`` as time.monotonic."""
        if self.is_running or now < self.due_at:
            return False
        self.due_at = now + self.seconds
        self.is_running = True
        return True

    def run(self) -> None:
        """Run it once; a job that fails stops itself alone, until its next turn."""
        try:
            self.function()
        except Exception:
            logger.exception("job %s failed; its next turn is in %g s", self.name, self.seconds)
        finally:
            self.is_running = False


jobs: dict[str, Job] = {}


def every(*, seconds: float) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Run the decorated function every so many seconds; it takes nothing and writes what it has to say."""
    if seconds <= 0:
        raise ValueError(f"every(seconds={seconds}): must be above 0")

    def decorate(function: Callable[[], object]) -> Callable[[], object]:
        name = f"{function.__module__}.{function.__qualname__}"
        jobs[name] = Job(name, function, seconds)
        return function

    return decorate
