"""Times as rows show them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.template import engines
from django.utils import timezone, translation
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.boards.clock_times import ClockTime
from realtime.boards.models import AT_FORMAT, UPDATED_FORMAT, Entry, Status

OSLO = ZoneInfo("Europe/Oslo")
ZONES = [OSLO, *map(ZoneInfo, ["UTC", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe"])]
FORMATS = [AT_FORMAT, UPDATED_FORMAT, "j M H:i T"]
AT = datetime(2026, 12, 9, 11, 0, 0, 120, tzinfo=UTC)
TWICE = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(
    at=st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.sampled_from([UTC, *ZONES])),
    zone=st.sampled_from(ZONES),
    language=st.sampled_from(["en-gb", "de"]),
    words=st.sampled_from(FORMATS),
)
@example(at=TWICE, zone=OSLO, language="de", words="j M H:i T")
@example(at=TWICE + timedelta(hours=1), zone=OSLO, language="de", words="j M H:i T")
def test_a_time_is_shown_as_djangos_filter_shows_it(at, zone, language, words):
    """In the hour that comes twice as well, and before there were time zones."""
    template = engines["django"].from_string(
        r"{{ at|date:'c' }} {{ at|date:'Y-m-d\TH:i:s' }} {{ at|date:words }}"
    )

    shown = ClockTime.of(at, zone, language, words)

    with translation.override(language), timezone.override(zone):
        expected = template.render({"at": at, "words": translation.gettext(words)})
    assert f"{shown.iso} {shown.iso_second[:-5]} {shown.words}" == expected
    assert shown.iso_second[-5:] == f"{at.astimezone(zone):%z}"[:5]


def test_the_two_hours_of_one_name_have_offsets():
    """Without them, as Django's filter writes these hours, browsers read them by their own clocks."""
    shown = [ClockTime.of(TWICE + timedelta(hours=hours), OSLO, "de", UPDATED_FORMAT) for hours in (0, 1)]

    assert [each.iso_second for each in shown] == ["2026-10-25T02:30:00+0200", "2026-10-25T02:30:00+0100"]


def test_the_same_second_is_shown_in_each_zone_and_language():
    """Its words are kept for the next row, which may be of another board."""
    shown = [
        ClockTime.of(AT, zone, language, UPDATED_FORMAT).words
        for zone in (ZoneInfo("UTC"), ZoneInfo("Asia/Tokyo"))
        for language in ("en-gb", "de", "en-gb")
    ]

    assert shown == [
        "9 Dec 11:00:00", "9. Dez 11:00:00", "9 Dec 11:00:00",
        "9 Dec 20:00:00", "9. Dez 20:00:00", "9 Dec 20:00:00",
    ]  # fmt: skip


@pytest.mark.parametrize("language", ["en-gb", "de"])
@pytest.mark.parametrize("status", [*Status.values, "unknown"])
def test_a_standard_status_has_djangos_word(status, language):
    entry = Entry(status=status)

    with translation.override(language):
        assert entry.status_word == entry.get_status_display()
