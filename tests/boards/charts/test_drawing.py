"""The line of a chart."""

from datetime import UTC, datetime, timedelta

import pytest

from realtime.boards.charts.drawing import chart, extent, line

BEGINS = datetime(2026, 11, 26, 12, tzinfo=UTC)
ENDS = BEGINS + timedelta(hours=10)


def at(hour, value):
    return (BEGINS + timedelta(hours=hour), value)


def test_a_value_stays_until_the_next_one():
    """And the last one until now: the line is made of steps."""
    points = [at(0, 0.0), at(5, 10.0)]

    assert line(points, extent(points, BEGINS, ENDS), 100, 40) == "0.0,40.0 50.0,40.0 50.0,0.0 100,0.0"


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e15])
def test_a_level_line_lies_in_the_middle(value):
    points = [at(0, value)]

    assert line(points, extent(points, BEGINS, ENDS), 100, 40) == "0.0,20.0 100,20.0"


def test_points_beyond_the_edge_are_drawn_at_it():
    points = [at(-3, 0.0), at(20, 10.0)]

    corners = line(points, extent(points, BEGINS, ENDS), 100, 40).split()

    assert all(0 <= float(corner.split(",")[0]) <= 100 for corner in corners)


def test_without_points_there_is_no_line():
    assert line([], extent([], BEGINS, ENDS), 100, 40) == ""


def test_a_chart_says_what_it_shows_and_has_no_styles():
    svg = chart([at(0, 1.0)], extent([at(0, 1.0)], BEGINS, ENDS), 'Load: "now" <1>', 100, 40)

    assert 'aria-label="Load: &quot;now&quot; &lt;1&gt;"' in svg
    assert "style" not in svg
