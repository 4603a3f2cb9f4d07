"""Whatever fails, nothing is lost: a quick run with every fault at least once, always the same seeds."""

import asyncio
import random

import pytest

from tests.faults.faults import EMBEDDED, FAULTS
from tests.faults.world import Distributed, Embedded, World

pytestmark = pytest.mark.server

HALVES = 2


@pytest.mark.parametrize("half", range(HALVES))
async def test_every_viewer_is_exact_and_comes_to_select(half, tmp_path):
    """Four writers, fifty viewers, three servers, and half of the faults each in a random order."""
    names = random.Random(7).sample(sorted(FAULTS), len(FAULTS))[half::HALVES]

    await hold(Distributed(tmp_path / "world", seed=half), {name: FAULTS[name] for name in names})


async def test_every_viewer_is_exact_with_one_server_on_sqlite(tmp_path):
    """The embedded shape: what is left when one process is everything."""
    await hold(Embedded(tmp_path / "world", seed=1, viewers=15), EMBEDDED)


async def hold(world: World, faults: dict) -> None:
    async with world:
        for name, fault in faults.items():
            await world.strike(name, fault)
            await asyncio.sleep(0.3)
        figures = await world.settle()

    print(figures.markdown())
    assert not figures.findings.violations, f"after {', '.join(faults)}: {figures.findings.violations}"
    assert not figures.missing
    assert figures.writes > 0
    assert figures.findings.checked > 0
