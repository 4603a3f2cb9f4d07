"""No fault loses a change: a short run with every fault once, always with the same seeds."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.faults import EMBEDDED, FAULTS, Fault
from tests.faults.world import Distributed, Embedded, World

pytestmark = pytest.mark.server

HALVES = 2


@pytest.mark.parametrize("half", range(HALVES))
async def test_viewers_stay_exact_through_every_fault(half: int, tmp_path: Path) -> None:
    """Four writers, fifty viewers and three servers; each half of the faults strikes in a random order."""
    names = random.Random(7).sample(sorted(FAULTS), len(FAULTS))[half::HALVES]

    await assert_exact(Distributed(tmp_path / "world", seed=half), {name: FAULTS[name] for name in names})


async def test_viewers_stay_exact_with_one_server_on_sqlite(tmp_path: Path) -> None:
    """The embedded shape, with the faults that one process can have."""
    await assert_exact(Embedded(tmp_path / "world", seed=1, viewers=15), EMBEDDED)


async def assert_exact(world: World, faults: dict[str, Fault]) -> None:
    """Let the faults strike; assert that every viewer was right at every position and in the end has all rows."""
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
