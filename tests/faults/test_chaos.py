"""Feeds that fail, are slow or have bad rows stop only themselves: a short run of ``make chaos`` on each database."""

from pathlib import Path

import pytest

from tests.faults.chaos import WORLDS, cause_chaos, faults_in, markdown
from tests.faults.oracle import Findings
from tests.faults.pulse import Pulse
from tests.faults.world import Figures

SECONDS = 20


def figures(**changes: object) -> Figures:
    return Figures(Findings(**{"checked": 9, **changes}), samples=9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "figures, latencies, words",
    [
        (figures(), [0.01] * 99, []),
        (figures(violations=["rows differ"]), [0.01] * 99, ["1 pages were wrong"]),
        (Figures(Findings(checked=9), samples=9, missing=2), [0.01] * 99, ["2 pages never had"]),
        (figures(checked=0), [0.01] * 99, ["nothing was compared"]),
        (figures(), [], ["nothing was compared"]),
        (figures(), [0.01, 0.6] * 9, ["p99, is 600 ms"]),
    ],
    ids=["as promised", "wrong", "incomplete", "not compared", "no change", "late"],
)
def test_a_run_fails_if_anything_was_not_as_promised(figures, latencies, words):
    """Also if it shows nothing."""
    pulse = Pulse(object)
    pulse.latencies = latencies

    found = faults_in(figures, pulse)

    assert len(found) == len(words)
    assert all(some in sentence for some, sentence in zip(words, found, strict=True))


@pytest.mark.server
@pytest.mark.parametrize(
    "database",
    # The faults of feeds strike on SQLite in test_faults.py.
    [pytest.param(name, marks=pytest.mark.matrix if name == "sqlite" else ()) for name in WORLDS],
)
async def test_healthy_feeds_are_exact_beside_failing_ones(database: str, tmp_path: Path) -> None:
    """Every page of a healthy feed is right after every message, and none is wrong and live for two heartbeats."""
    async with WORLDS[database](tmp_path / "world", seed=1, viewers=15) as world:
        figures, pulse = await cause_chaos(world, SECONDS)

    print(f"{markdown(pulse, world)}\n{figures.markdown()}")
    assert figures.is_clean, figures.findings.violations
    assert pulse.latencies
    assert figures.findings.checked > 0
