"""The vigil reports a page that is wrong and live for too long, and no other."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.engine.position import Position
from tests.faults.oracle import State
from tests.faults.vigil import Sample, Vigil

OLD: State = {"1": ("old",)}
NEW: State = {"1": ("new",)}


@dataclass(eq=False)
class Page:
    """A viewer that a test sets."""

    state: State
    shows: str = "boards"
    is_live: bool = True
    doubts: int = 0
    is_recorded: bool = False
    replica: Any = field(default_factory=lambda: SimpleNamespace(position=Position("e", 1)))

    def recent(self) -> str:
        return ""


def vigil(page: Any) -> Vigil:
    return Vigil(lambda: Sample(Position("e", 1), {}), lambda: [page], list, limit=4)


def judge(vigil: Vigil, expected: State, times: int, position: int = 2) -> None:
    for _ in range(times):
        vigil.judge(Sample(Position("e", position), {"boards": expected}), 1.0)


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_page_that_is_wrong_and_live_for_too_long_is_reported_once(is_recorded):
    """With the topic and the rows."""
    page = Page(OLD, is_recorded=is_recorded)
    watch = vigil(page)
    judge(watch, OLD, 2, position=1)

    judge(watch, NEW, 20)

    (violation,) = watch.violations
    assert "boards at e.1: row 1: ('new',) / ('old',)" in violation
    assert watch.longest["boards"].seconds > 4


def test_a_page_that_says_that_it_is_not_current_is_not_reported():
    """Its time counts again from when it says that it is live."""
    page = Page(OLD, is_live=False)
    watch = vigil(page)
    judge(watch, OLD, 2, position=1)

    judge(watch, NEW, 20)
    page.is_live = True
    judge(watch, NEW, 4)

    assert watch.violations == []


def test_a_page_that_becomes_right_in_time_is_not_reported():
    """Again and again."""
    page = Page(OLD)
    watch = vigil(page)
    for number in range(1, 6):
        page.state = OLD if number % 2 else NEW
        judge(watch, page.state, 2, position=number)
        judge(watch, NEW if number % 2 else OLD, 4, position=number + 1)

    assert watch.violations == []
