"""When something is shown, in zones whose clocks are set forward and back."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from realtime.boards.times import LAST, Times, first_moment, in_zone, moved

OSLO, SANTIAGO, KATHMANDU = ZoneInfo("Europe/Oslo"), ZoneInfo("America/Santiago"), ZoneInfo("Asia/Kathmandu")
ZONES = [
    OSLO,
    SANTIAGO,
    KATHMANDU,
    ZoneInfo("Pacific/Apia"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("UTC"),
]
MINUTE = timedelta(minutes=1)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "now, is_due", [("07:59", False), ("08:00", True), ("09:59", True), ("10:00", False)]
)
def test_a_row_is_shown_from_one_time_until_another(now, is_due):
    """From is included, until is not, so that one row may follow on another."""
    times = Times.of(OSLO, utc("2026-11-26T08:00"), [utc("2026-11-26T10:00"), None], "")

    assert times.is_due(utc(f"2026-11-26T{now}")) == is_due


def test_the_next_change_is_named():
    """So that a job looks at a row when it is due, and at no other time."""
    begins, ends = utc("2026-11-26T08:00"), utc("2026-11-26T10:00")
    times = Times.of(OSLO, begins, [ends], "")

    assert times.next_change(begins - MINUTE) == begins
    assert times.next_change(begins) == ends
    assert times.next_change(ends) is None
    assert Times.of(OSLO, ends, [begins], "").next_change(begins - MINUTE) is None


@pytest.mark.parametrize(
    "zone, day, length",
    [
        (OSLO, date(2026, 3, 29), 23),
        (OSLO, date(2026, 10, 25), 25),
        (OSLO, date(2026, 11, 26), 24),
        (SANTIAGO, date(2026, 9, 6), 23),  # it begins at one o'clock
        (SANTIAGO, date(2026, 4, 4), 25),  # its last hour comes twice
    ],
)
def test_a_day_of_the_week_is_as_long_as_it_is_on_the_clock(zone, day, length):
    times = Times.of(zone, None, [], str(day.isoweekday()))
    begins = first_moment(day, zone)
    ends = begins + timedelta(hours=length)

    assert times.next_change(begins - MINUTE) == begins
    assert [times.is_due(each) for each in [begins - MINUTE, begins, ends - MINUTE, ends]] == [
        False,
        True,
        True,
        False,
    ]
    assert times.next_change(begins) == ends


def test_days_wait_for_the_beginning():
    """Mondays, from a Wednesday on: the next Monday."""
    times = Times.of(KATHMANDU, utc("2026-11-25T08:00"), [], "1")

    assert times.next_change(utc("2026-11-01T00:00")) == first_moment(date(2026, 11, 30), KATHMANDU)


@pytest.mark.parametrize("days", ["", "1234567", "7654321x", "abc", "089"])
def test_all_days_or_none_set_no_limit(days):
    """SQL may write any text."""
    times = Times.of(OSLO, None, [], days)

    assert times.is_due(utc("2026-11-26T08:00"))
    assert times.next_change(utc("2026-11-26T08:00")) is None


def test_the_hour_that_comes_twice_is_two_hours():
    """Two times of one zone compare as their clocks show them; what is shown must not end an hour early."""
    first = datetime(2026, 10, 25, 2, 30, tzinfo=OSLO)
    second = first.replace(fold=1)

    times = Times.of(OSLO, first, [second], "")

    assert times.is_due(first)
    assert times.next_change(first) == first.astimezone(UTC) + timedelta(hours=1)
    assert moved(first, timedelta(minutes=60)) == second.astimezone(UTC)


TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


@given(
    st.sampled_from(ZONES),
    st.none() | TIMES,
    st.lists(TIMES, max_size=2),
    st.text("1234567", max_size=4),
    TIMES,
)
def test_between_now_and_the_next_change_nothing_changes(zone, begins, ends, days, now):
    """The job relies on this: rows that it does not read are right."""
    times = Times.of(zone, begins, ends, days)
    next_change = times.next_change(now)
    until = next_change or now + timedelta(days=800)

    moments = [now + (until - now) * part / 97 for part in range(97)]
    assert {times.is_due(moment) for moment in moments} == {times.is_due(now)}
    if next_change:
        assert next_change > now
        assert times.is_due(next_change) != times.is_due(now)


@pytest.mark.parametrize(
    "zone, clock, found",
    [
        (OSLO, "2026-11-26T08:40", "2026-11-26T07:40"),
        (OSLO, "2026-07-26T08:40", "2026-07-26T06:40"),
        (OSLO, "2026-10-25T02:30", "2026-10-25T00:30"),  # the first of two
        (OSLO, "2026-10-25T03:00", "2026-10-25T02:00"),
        (OSLO, "2026-03-29T03:00", "2026-03-29T01:00"),
        (SANTIAGO, "2026-09-06T01:00", "2026-09-06T04:00"),
        (KATHMANDU, "2026-11-26T08:40", "2026-11-26T02:55"),
    ],
)
def test_a_time_is_read_by_the_clock_of_its_board(zone, clock, found):
    assert in_zone(datetime.fromisoformat(clock), zone) == utc(found)


@pytest.mark.parametrize(
    "zone, clock, other",
    [
        (OSLO, "2026-03-29T02:30", "03:30"),
        (OSLO, "2026-03-29T02:00", "03:00"),
        (SANTIAGO, "2026-09-06T00:00", "01:00"),
    ],
)
def test_a_time_that_no_clock_shows_is_refused_with_words(zone, clock, other):
    """It is named, with the reason, and one that can be entered."""
    with pytest.raises(ValidationError, match=f"There is no {clock[11:]} on .* set forward.*Enter {other}"):
        in_zone(datetime.fromisoformat(clock), zone)


@pytest.mark.parametrize("zone", ZONES, ids=str)
@pytest.mark.parametrize("far", [datetime.min, datetime(1969, 12, 31), datetime(3000, 1, 2), datetime.max])
def test_a_time_that_is_too_far_away_is_as_the_first_or_the_last(zone, far):
    """Programs write any time the database takes, such as the last of all for “for ever”."""
    far = far.replace(tzinfo=UTC)
    now = utc("2026-11-26T08:00")
    begins = Times.of(zone, far, [], "1")
    ends = Times.of(zone, None, [far, moved(far, MINUTE)], "1234")

    assert begins.is_due(utc("2026-11-30T08:00")) == (far < now)
    assert ends.is_due(now) == (far > now)
    assert (begins.next_change(now) or LAST) <= LAST + timedelta(days=8)
    assert (ends.next_change(now) or LAST) <= LAST


@pytest.mark.parametrize("clock", [datetime.min, datetime.max])
def test_a_year_at_the_end_of_the_calendar_is_refused(clock):
    zone = KATHMANDU if clock == datetime.min else SANTIAGO

    with pytest.raises(ValidationError, match="too far away"):
        in_zone(clock, zone)
