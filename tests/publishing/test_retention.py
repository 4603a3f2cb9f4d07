"""Retention: the feeds' own; tests/contract/test_retention.py shows that no reader loses a change by it."""

from collections.abc import Iterator

import pytest

from realtime.boards.models import Entry
from realtime.feeds import Feed, registry
from realtime.publishing import retention


@pytest.fixture
def declare() -> Iterator[type]:
    yield lambda seconds: registry.add(
        type("Probe", (Feed,), {"name": "probe", "retention_seconds": seconds})(Entry)
    )  # type: ignore[misc]
    registry.remove("probe")


@pytest.mark.parametrize("seconds, longest", [(None, 100), (50, 100), (200, 200)])
def test_the_log_keeps_what_the_most_patient_feed_keeps(declare, settings, seconds, longest):
    """And for no less time than the setting says."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": 100}
    declare(seconds)

    assert retention.longest_seconds() == longest
