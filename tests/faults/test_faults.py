"""Whatever fails, nothing is lost: a quick run with every fault at least once, always the same seeds."""

import asyncio
import random

import pytest

from tests.faults.faults import FAULTS
from tests.faults.world import World

pytestmark = pytest.mark.server

HALVES = 2


@pytest.mark.parametrize("half", range(HALVES))
async def test_every_viewer_is_exact_and_comes_to_select(half, tmp_path):
    """Four writers, fifty viewers, three servers, and half of the faults each in a random order."""
    names = random.Random(7).sample(sorted(FAULTS), len(FAULTS))[half::HALVES]

    async with World(tmp_path / "world", seed=half) as world:
        for name in names:
            await world.strike(name, FAULTS[name])
            await asyncio.sleep(0.3)
        figures = await world.settle()

    assert not figures.findings.violations, f"after {', '.join(names)}: {figures.findings.violations}"
    assert not figures.missing
    assert figures.writes > 0
    assert figures.findings.checked > 0
