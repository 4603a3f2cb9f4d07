"""Readings as text."""

from datetime import UTC, datetime

from realtime.boards.models import Reading


def test_a_reading_has_its_value_and_time():
    assert (
        str(Reading(value=2.5, at=datetime(2026, 11, 26, 12, tzinfo=UTC)))
        == "2.5 at 2026-11-26 12:00:00+00:00"
    )
