"""The icons of statuses."""

import re

import pytest

from realtime.boards.icons import ICONS


@pytest.mark.parametrize("name", ICONS)
def test_an_icon_is_a_path_within_its_square(name):
    """Names fit into their column, and absolute numbers into the square."""
    path = ICONS[name].path

    assert len(name) <= 10
    assert re.fullmatch(r"[MmLlHhVvAaCcZz0-9 .,-]+", path)
    for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path):
        assert 0 <= float(x) <= 16
        assert 0 <= float(y) <= 16
