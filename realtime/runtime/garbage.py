"""Short garbage collections: what a process keeps for long is examined seldom.

A collection of the oldest generation examines every object, with thousands of topics and connections for a quarter of a
second in which nothing is delivered, and replacing many rows makes Python begin one each time. What has survived it is
excluded here from the next ones (``gc.freeze``). Objects are freed as before when the last reference to them goes; only
circles of references that become garbage later wait, until the process has several times as much in memory.
"""

import gc
import sys
from typing import Any

__all__ = ["Exclusion"]

GROWTH = 4
"""By what factor the memory in use grows until a collection examines all objects: with a million, for half a second."""


class Exclusion:
    """Excludes what survives collections of the oldest generation, once it is a callback of ``gc``.

    Memory in use is counted in blocks: counting the excluded objects takes 100 ms for a million of them.
    """

    def __init__(self, limit: int | None = None) -> None:
        """``limit`` is the number of blocks above which the next collection examines all objects.

        By default ``GROWTH`` times the number at the first collection.
        """
        self._limit = limit
        self._examines_all = False

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        """Called by ``gc`` before and after each collection."""
        if info["generation"] < 2:
            return
        if phase == "start":
            blocks = sys.getallocatedblocks()
            if self._limit is None:
                self._limit = GROWTH * blocks
            self._examines_all = blocks > self._limit
            if self._examines_all:
                gc.unfreeze()
        else:
            gc.freeze()
            if self._examines_all:
                self._limit = GROWTH * sys.getallocatedblocks()
