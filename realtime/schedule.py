"""Periodic jobs without Celery: ``@every(seconds=5)`` in an app's ``jobs.py``.

The publisher runs them, in one process at a time, each in a thread that may use the database.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from .runtime.failures import text_of

__all__ = ["every"]

logger = logging.getLogger("realtime.schedule")


@dataclass(slots=True)
class Job:
    """A function and its interval. It never overlaps itself; a missed run is skipped."""

    name: str
    function: Callable[[], object]
    seconds: float
    is_running: bool = False
    due_at: float = field(default=0.0)
    _failure: str = ""
    """The text of the error with which the last run failed; empty if it did not."""

    def start_if_due(self, now: float) -> bool:
        """Return whether the job is due; if so, mark it as running and set when it is due next.

        Units: ``now`` in seconds of ``time.monotonic``.
        """
        if self.is_running or now < self.due_at:
            return False
        self.due_at = now + self.seconds
        self.is_running = True
        return True

    def run(self) -> None:
        """Run the function once; an error affects neither other jobs nor the next run.

        It is logged, but not again for as long as each run fails with the same text: a database may be away for hours.
        """
        try:
            self.function()
        except BaseException as error:  # in a thread: nothing else ends by it
            failure = f"{type(error).__name__}: {text_of(error)}"
            if failure != self._failure:
                logger.exception("job %s failed; it runs again in %g s", self.name, self.seconds)
            self._failure = failure
        else:
            if self._failure:
                logger.info("job %s works again", self.name)
            self._failure = ""
        finally:
            self.is_running = False


jobs: dict[str, Job] = {}


def every(*, seconds: float) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Run the decorated function, which has no arguments, at an interval."""
    if not (isinstance(seconds, int | float) and seconds > 0):
        raise ValueError(f"every(seconds={seconds!r}): must be a number above 0")

    def decorate(function: Callable[[], object]) -> Callable[[], object]:
        name = f"{function.__module__}.{function.__qualname__}"
        jobs[name] = Job(name, function, seconds)
        return function

    return decorate
