"""Charts: lines with gaps, and the same in words."""

import pytest

from realtime.operators.charts import HEIGHT, WIDTH, chart_of, seconds


def test_a_chart_ends_at_the_right_with_the_newest_value():
    """There is room at the left for values that are still to come."""
    chart = chart_of([0.0, 2.0], places=3)

    (line,) = chart.lines
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    assert points == [(WIDTH / 2, HEIGHT - 1), (WIDTH, 1)]
    assert (chart.now, chart.highest) == ("2.0 s", "2.0 s")


def test_a_value_that_is_not_known_is_a_gap():
    """No line says what was not measured; a value between two gaps is still seen."""
    chart = chart_of([0.1, None, 0.2, None, None, 0.3, 0.1], places=7)

    assert [len(line.split()) for line in chart.lines] == [2, 2, 2]
    assert len(set(chart.lines[0].split())) == 1
    assert (chart.now, chart.highest) == ("100 ms", "300 ms")


@pytest.mark.parametrize("values", [[], [None], [None, None]], ids=["no", "one", "two"])
def test_without_a_value_there_is_nothing_to_draw(values):
    chart = chart_of(values, places=5)

    assert (chart.lines, chart.now, chart.highest) == ([], "", "")


def test_milliseconds_look_as_small_as_they_are():
    """The scale does not grow with noise."""
    (line,) = chart_of([0.0, 0.01], places=2).lines

    assert all(float(point.split(",")[1]) > HEIGHT / 2 for point in line.split())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 ms"), (0.0404, "40 ms"), (0.9996, "1.0 s"), (9.9, "9.9 s"), (9.96, "10 s"), (99.4, "99 s"),
        (120, "2 min"), (3 * 3600, "3 h"), (47 * 3600, "47 h"), (72 * 3600, "3 d"),
    ],
)  # fmt: skip
def test_seconds_are_written_as_people_read_them(value, words):
    assert seconds(value) == words
