"""Feeds that fail, are slow or have bad rows stop only themselves: a short run of ``make chaos`` on each database."""

from pathlib import Path

import pytest

from tests.faults.chaos import WORLDS, cause_chaos, markdown

pytestmark = pytest.mark.server

SECONDS = 20


@pytest.mark.parametrize("database", WORLDS)
async def test_healthy_feeds_are_exact_beside_failing_ones(database: str, tmp_path: Path) -> None:
    """Every page of a healthy feed is right after every message, and none is wrong and live for two heartbeats."""
    async with WORLDS[database](tmp_path / "world", seed=1, viewers=15) as world:
        figures, pulse = await cause_chaos(world, SECONDS)

    print(f"{markdown(pulse, world)}\n{figures.markdown()}")
    assert figures.is_clean, figures.findings.violations
    assert pulse.latencies
    assert figures.findings.checked > 0
