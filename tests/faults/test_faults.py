"""No fault loses a change: short runs that cause every fault, always with the same seeds.

``make test`` causes each once: on one server with SQLite those that it can have, on PostgreSQL the others.
"""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.faults import EMBEDDED, FAULTS, Fault
from tests.faults.world import Distributed, Embedded, World

pytestmark = pytest.mark.server

HALVES = 2


async def test_viewers_stay_exact_through_the_faults_of_several_servers(tmp_path: Path) -> None:
    """Four writers, fifty viewers and three servers; the faults that one server cannot have, in a random order."""
    kinds = sorted(FAULTS.keys() - EMBEDDED.keys())
    names = random.Random(7).sample(kinds, len(kinds))

    await assert_exact(Distributed(tmp_path / "world", seed=0), {name: FAULTS[name] for name in names})


@pytest.mark.matrix
@pytest.mark.parametrize("half", range(HALVES))
async def test_viewers_stay_exact_through_every_fault(half: int, tmp_path: Path) -> None:
    """The same with every fault, also those that one server can have; each half strikes in a random order."""
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
