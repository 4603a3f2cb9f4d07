"""Short garbage collections: what a process keeps for long is examined seldom.

A collection of the oldest generation examines every object, with thousands of topics and connections for a quarter of a
second in which nothing is delivered, and replacing many rows makes Python begin one each time. What has survived it is
excluded here from the next ones (``gc.freeze``). Objects are freed as before when the last reference to them goes; only
circles of references that become garbage later wait, until the number of excluded objects has doubled.
"""

import gc
from typing import Any

__all__ = ["Exclusion"]

LEAST_OBJECTS = 100_000
"""With fewer objects a collection of all of them takes some ten milliseconds."""


class Exclusion:
    """Excludes what survives collections of the oldest generation, once it is a callback of ``gc``."""

    def __init__(self, limit: int | None = None) -> None:
        """``limit`` is the number of excluded objects above which the next collection examines them, too.

        By default twice the number at the first collection, which are those that a process has excluded at its start.
        """
        self._limit = limit
        self._examines_all = False

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        """Called by ``gc`` before and after each collection."""
        if info["generation"] < 2:
            return
        if phase == "start":
            excluded = gc.get_freeze_count()
            if self._limit is None:
                self._limit = _limit_for(excluded)
            self._examines_all = excluded > self._limit
            if self._examines_all:
                gc.unfreeze()
        else:
            gc.freeze()
            if self._examines_all:
                self._limit = _limit_for(gc.get_freeze_count())


def _limit_for(excluded: int) -> int:
    return max(LEAST_OBJECTS, 2 * excluded)
