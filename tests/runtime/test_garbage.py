"""Garbage collections of a process that keeps much: what survives is examined seldom, and no garbage is kept."""

import gc
import sys
import weakref
from collections.abc import Callable, Iterator

import pytest

from realtime.runtime import garbage
from realtime.runtime.garbage import Exclusion


class Circle:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def exclude() -> Iterator[Callable[..., Exclusion]]:
    """A function that has ``gc`` call an exclusion until the test ends."""
    added = []

    def add(limit: int | None = None) -> Exclusion:
        added.append(Exclusion(limit))
        gc.callbacks.append(added[-1])
        return added[-1]

    yield add
    for each in added:
        gc.callbacks.remove(each)
    gc.freeze()  # what the other tests do not need examined


NEVER = 10**9


def test_what_survives_a_collection_is_not_examined_again(exclude):
    """It would be by each collection of the oldest generation."""
    kept = Circle()
    exclude(NEVER)

    gc.collect()

    assert not any(each is kept for each in gc.get_objects())


def test_the_first_collection_leaves_out_what_was_excluded_at_the_start(exclude):
    """However much code a project has: it would be examined while pages are open."""
    freed = weakref.ref(Circle())
    gc.freeze()
    exclusion = exclude()

    gc.collect()

    assert freed() is not None
    assert exclusion._limit == pytest.approx(garbage.GROWTH * sys.getallocatedblocks(), rel=0.05)


def test_no_collection_counts_what_is_excluded(exclude, monkeypatch):
    """With a million objects that takes longer than the collection."""
    monkeypatch.setattr(gc, "get_freeze_count", None)
    exclude()

    assert gc.collect() >= 0


def test_an_excluded_object_is_freed_with_its_last_reference(exclude):
    exclude(NEVER)
    kept = Circle()
    gc.collect()
    freed = weakref.ref(kept)

    kept.itself = None
    del kept

    assert freed() is None


def test_garbage_that_was_never_excluded_is_freed_at_once(exclude):
    exclude(NEVER)
    gc.collect()
    freed = weakref.ref(Circle())

    gc.collect()

    assert freed() is None


def test_an_excluded_circle_is_freed_when_more_is_in_use_than_the_limit(exclude):
    """The limit is then a multiple of what is still in use."""
    exclusion = exclude(NEVER)
    kept = Circle()
    gc.collect()
    freed = weakref.ref(kept)
    del kept
    gc.collect()
    assert freed() is not None

    exclusion._limit = 0
    gc.collect()

    assert freed() is None
    assert exclusion._limit == pytest.approx(garbage.GROWTH * sys.getallocatedblocks(), rel=0.05)


def test_collections_of_younger_generations_exclude_nothing(exclude):
    """Most of what they find is needed for a moment only."""
    exclude(NEVER)
    gc.collect()
    before = gc.get_freeze_count()
    young = [Circle() for _ in range(100)]

    gc.collect(1)

    assert gc.get_freeze_count() <= before
    assert len(young) == 100
