"""For how long processes were ready to run and got no processor: what a page shows meanwhile is the machine's fault."""

from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


class RunQueue:
    """The event loops of some processes, which run in their main threads, as the scheduler counts their waiting."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._before: dict[int, float] = {}

    def waited(self, processes: Iterable[int]) -> float:
        """Return the seconds since the last call for which the process that waited longest did.

        0 for a process that was not there then, and where the system does not count. A process that is stopped or
        sleeps does not wait.
        """
        now = {process: self._total(process) for process in processes}
        longest = max(
            (total - self._before.get(process, total) for process, total in now.items()), default=0.0
        )
        self._before = now
        return longest

    def _total(self, process: int) -> float:
        try:
            _, waited, _ = (
                (self._proc / str(process) / "task" / str(process) / "schedstat").read_text().split()
            )
        except (OSError, ValueError):
            return 0.0
        return int(waited) / 1e9
