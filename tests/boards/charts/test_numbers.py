"""Which values are numbers."""

import pytest

from realtime.boards.charts.numbers import number_of


@pytest.mark.parametrize(
    "text, number",
    [
        ("12", 12),
        (" 12.5 ", 12.5),
        ("-3", -3),
        ("−3", -3),  # noqa: RUF001
        ("+0,75", 0.75),
        ("1,234", 1234),
        ("1,234,567.5", 1234567.5),
        ("1 234.5", 1234.5),
        ("1\u202f234,5", 1234.5),
        ("1'234", 1234),
        ("0", 0),
        ("", None),
        ("06:40", None),
        ("12 min", None),
        ("1.2.3", None),
        ("1,2,3", None),
        ("nan", None),
        ("inf", None),
        ("1e5", None),
        ("0x10", None),
        ("٣", None),
        ("²", None),
        ("1" * 40, None),
        ("Not filled", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text, number):
    assert number_of(text) == number
