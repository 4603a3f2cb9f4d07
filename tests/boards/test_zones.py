from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError

from realtime.boards.models import Board
from realtime.boards.zones import validate_time_zone


@pytest.mark.parametrize("name", ["Europe/Oslo", "Asia/Tokyo", "UTC"])
def test_a_board_has_the_zone_that_it_names(name):
    assert Board(time_zone=name).zone == ZoneInfo(name)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\0b", "Europe"])
def test_without_a_valid_name_a_board_has_the_servers_zone(name, settings):
    """SQL can write any text into the column; the page must not fail."""
    settings.TIME_ZONE = "America/Lima"

    assert Board(time_zone=name).zone == ZoneInfo("America/Lima")


def test_forms_accept_names_of_zones_only():
    validate_time_zone("Europe/Oslo")

    with pytest.raises(ValidationError, match="Mars/Olympus"):
        validate_time_zone("Mars/Olympus")
