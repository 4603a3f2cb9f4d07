"""Which tests of servers one worker runs: those of a file, because they share servers. The longest begin first."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from xdist.scheduler import LoadScopeScheduling


class Named(Protocol):
    @property
    def nodeid(self) -> str: ...


T = TypeVar("T", bound=Named)

LONGEST = (
    "tests/faults/test_faults.py",
    "tests/deploy/test_page.py",
    "tests/benchmarks/test_scenarios.py",
    "tests/contract/test_frozen_processes.py",
    "tests/faults/test_chaos.py",
    "tests/processes/hostile/test_exhaustion.py",
    "tests/processes/test_make_run.py",
    "tests/browser/test_pages.py",
    "tests/processes/test_random_walk.py",
    "tests/processes/test_revocation.py",
)
"""These take one minute to seven; begun last, one of them would run alone."""

ONE_BY_ONE = "tests/faults/"
"""The folder of tests that keep both cores busy for minutes: two of them at once would only slow each other down."""


class Shares(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return share(nodeid)


def share(nodeid: str) -> str:
    """Return the name of what one worker runs as a whole."""
    return ONE_BY_ONE if nodeid.startswith(ONE_BY_ONE) else nodeid.partition("::")[0]


def longest_first(items: Iterable[T]) -> list[T]:
    """Return the tests with those of the longest files in front, otherwise in their order."""
    places = {file: place for place, file in enumerate(LONGEST)}
    return sorted(items, key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))
