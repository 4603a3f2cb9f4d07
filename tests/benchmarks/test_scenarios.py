"""Every scenario runs, with a few clients and changes: its figures mean nothing then, but it can still be run."""

from collections.abc import Iterator

import pytest

from tests.benchmarks.__main__ import run
from tests.benchmarks.bench import Bench
from tests.benchmarks.parts import PARTS, SCENARIOS
from tests.support.databases import PostgreSQL, postgresql  # noqa: F401
from tests.support.projects import Project, prepared  # noqa: F401

IN_A_BROWSER = PARTS["browser"]
SAME_CODE = {"hostile-daphne", "hostile-guarded", "beside-postgresql"}
"""Scenarios that repeat others on another server or database."""


@pytest.fixture(scope="module")
def bench(
    prepared: Project,  # noqa: F811
    postgresql: PostgreSQL,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench"), 0.004, prepared=prepared, postgresql=postgresql)
    yield bench
    bench.close()


def has_run(bench: Bench, name: str) -> bool:
    """Return whether a scenario has measured something in all of its columns, without an error."""
    out = run(bench, name, SCENARIOS[name][1])

    assert out.errors == []
    assert out.tables
    assert all(points for curve in out.curves for points in curve.lines.values())
    return True


@pytest.mark.matrix
@pytest.mark.server
@pytest.mark.parametrize("name", sorted(SCENARIOS.keys() - IN_A_BROWSER - SAME_CODE))
def test_a_scenario_runs(bench, name):
    """A change of what it uses is noticed by its author, not at the next release."""
    assert has_run(bench, name)


@pytest.mark.matrix
@pytest.mark.browser
@pytest.mark.parametrize("name", IN_A_BROWSER)
def test_a_scenario_runs_in_a_browser(bench, name):
    """As above."""
    assert has_run(bench, name)
