"""``make test`` runs each value of each parameter; the other combinations are of the matrix."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.matrix import mark_repetitions


class Item:
    """A test as pytest has collected it."""

    def __init__(self, name: str, *combined: str, **params: int) -> None:
        self.nodeid = f"tests/test_one.py::{name}[{params}]"
        self.callspec = SimpleNamespace(params=params)
        self.marks: list[str] = []
        self._combined = combined

    def get_closest_marker(self, name: str) -> Any:
        return SimpleNamespace(args=self._combined) if self._combined else None

    def add_marker(self, mark: Any) -> None:
        self.marks.append(mark.name)


@pytest.mark.parametrize("sizes", [(3, 2), (2, 3), (4, 4), (1, 5)], ids=str)
def test_each_value_is_in_a_test_that_is_not_marked(sizes):
    """In as few of them as its parameter with most values has; the rest is marked."""
    items = [Item("test", "a", "b", a=a, b=b) for a in range(sizes[0]) for b in range(sizes[1])]

    mark_repetitions(items)  # type: ignore[arg-type]

    kept = [item.callspec.params for item in items if not item.marks]
    assert {params["a"] for params in kept} == {*range(sizes[0])}
    assert {params["b"] for params in kept} == {*range(sizes[1])}
    assert len(kept) == max(sizes)
    assert {mark for item in items for mark in item.marks} <= {"matrix"}


def test_parameters_that_are_not_named_keep_all_their_values():
    items = [Item("test", "a", "b", a=n % 2, b=n // 2 % 2, other=n // 4) for n in range(8)]

    mark_repetitions(items)  # type: ignore[arg-type]

    assert [item.callspec.params for item in items if not item.marks] == [
        {"a": n, "b": n, "other": other} for other in (0, 1) for n in (0, 1)
    ]


def test_each_test_is_counted_by_itself():
    items = [Item(name, "a", "b", a=a, b=b) for name in ("one", "two") for a in (0, 1) for b in (0, 1)]

    mark_repetitions(items)  # type: ignore[arg-type]

    assert [bool(item.marks) for item in items] == [False, True, True, False] * 2


def test_other_tests_stay_as_they_are():
    items = [Item("test", a=0), Item("test", a=1)]

    mark_repetitions(items)  # type: ignore[arg-type]

    assert [item.marks for item in items] == [[], []]
