"""Fixtures for tests of what operators see and do."""

from collections.abc import Iterator

import pytest

from realtime.feeds import registry
from realtime.models import ProcessReport
from realtime.operators import reporter
from realtime.operators.live import ProcessesFeed
from realtime.publishing import capture


@pytest.fixture
def feed(transactional_db: None) -> Iterator[ProcessesFeed]:
    """The feed of the page, which conftest.py has removed, with its triggers."""
    found = ProcessesFeed(ProcessReport)
    registry.add(found)
    capture.install()
    yield found
    registry.remove(found.name)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process look for instructions at once."""
    monkeypatch.setattr(reporter, "LOOK_SECONDS", 0.05)
