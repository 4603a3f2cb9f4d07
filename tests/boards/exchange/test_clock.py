"""Times and days of the week in cells: read as they were written; other texts are refused with an explanation."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.boards.exchange.clock import days_in_words, days_of, time_in_words, time_of

OSLO = ZoneInfo("Europe/Oslo")
TWICE = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["Europe/Oslo", "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
@example(TWICE, "Europe/Oslo")
@example(TWICE + timedelta(hours=1), "Europe/Oslo")
def test_a_time_is_read_as_it_was_written(at, name):
    """To the microsecond, also in the hour that a clock shows twice."""
    zone = ZoneInfo(name)

    assert time_of(time_in_words(at, zone), zone).astimezone(UTC) == at


@pytest.mark.parametrize(
    "text, shown",
    [
        ("2026-11-26 18:45", "2026-11-26 18:45"),
        ("2026-11-26T18:45:30", "2026-11-26 18:45:30"),
        ("2026-11-26 17:45Z", "2026-11-26 18:45"),
        ("2026-11-26T12:45-05:00", "2026-11-26 18:45"),
        ("2026-10-25 02:30+01:00", "2026-10-25 02:30+01:00"),
        ("2026-10-25T00:30Z", "2026-10-25 02:30+02:00"),
    ],
)
def test_a_time_is_by_the_clock_of_the_board_or_has_an_offset(text, shown):
    """As an export writes it."""
    assert time_in_words(time_of(text, OSLO), OSLO) == shown


@pytest.mark.parametrize(
    "text, words",
    [
        ("2026-03-29 02:30", "set forward"),
        ("2026-10-25 02:30", r"02:30\+02:00 or 2026-10-25 02:30\+01:00"),
        ("2026-02-30 08:00", "valid"),
        ("soon", "valid"),
        ("08:40", "valid"),
        ("0001-01-01T00:00+14:00", "too far away"),
    ],
)
def test_a_time_that_does_not_exist_or_exists_twice_is_refused(text, words):
    """The error says what to write."""
    with pytest.raises(ValidationError, match=words):
        time_of(text, OSLO)


@pytest.mark.parametrize(
    "text, days",
    [
        ("", ""),
        ("12345", "12345"),
        ("Mon, Fri", "15"),
        ("Friday monday", "15"),
        ("Mo., So", "17"),
        ("Mittwoch", "3"),
        ("7 1 1", "17"),
    ],
)
def test_days_are_read_by_names_or_numbers(text, days):
    """In any order."""
    assert days_of(text) == days
    assert days_of(days_in_words(days)) == days


@pytest.mark.parametrize("text", ["8", "0", "Mon, Foo", "monkey", "1-5", "²"])
def test_a_text_that_is_not_a_day_is_refused(text):
    """With the words that are known."""
    with pytest.raises(ValidationError, match="not a day of the week"):
        days_of(text)


@pytest.mark.parametrize("at", [datetime.min, datetime.max])
def test_a_time_that_no_clock_can_show_is_written_in_utc(at):
    """Programs may store any; one such entry must not keep its board from being exported."""
    assert time_in_words(at.replace(tzinfo=UTC), OSLO).endswith("+00:00")
