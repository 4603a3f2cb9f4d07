"""Rows left out: logged once per reason, counted, forgotten when they return."""

import logging

import pytest

from realtime.rows.rendering import BadRow
from realtime.runtime import left_out as module
from realtime.runtime.left_out import LeftOutRows, reason_of
from realtime.runtime.metrics import text


@pytest.fixture
def rows() -> LeftOutRows:
    return LeftOutRows()


def counted(feed: str) -> float:
    for line in text([]).decode().splitlines():
        if line.startswith(f'realtime_rows_left_out_total{{feed="{feed}"}}'):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_a_row_is_logged_and_counted_once_per_reason(rows, lines):
    """However often it is read; the line names feed, key and reason."""
    for error in (ValueError("a"), ValueError("a"), ValueError("b"), ValueError("b")):
        rows.note("once", "7", "once", error)

    assert [line.partition("\n")[0] for line in lines(logging.ERROR)] == [
        "feed once leaves out row '7': ValueError: a",
        "feed once leaves out row '7': ValueError: b",
    ]
    assert counted("once") == 2
    assert rows.numbers() == {"once": 1}
    assert rows.reasons("once") == {"7": "ValueError: b"}


def test_a_row_that_is_shown_is_forgotten(rows, lines):
    """One that is not is kept."""
    for key in ("1", "2"):
        rows.note("f", key, None, ValueError("a"))
    rows.note("g", "1", None, ValueError("a"))

    rows.shown("f", ["1", "3"])

    assert rows.numbers() == {"f": 1, "g": 1}
    assert lines(logging.INFO) == ["feed f has row '1' again"]


def test_a_topic_that_was_read_has_only_the_rows_left_out_then(rows):
    """Others may have been deleted meanwhile; other topics keep theirs."""
    for key, topic in (("1", "f.1"), ("2", "f.1"), ("3", "f.2")):
        rows.note("f", key, topic, ValueError("a"))

    rows.read("f", "f.1", ["2"])

    assert rows.of_topic("f.1") == {"2": "ValueError: a"}
    assert rows.of_topic("f.2") == {"3": "ValueError: a"}
    rows.clear()
    assert rows.numbers() == {}


def test_what_is_kept_and_logged_is_bounded(rows, lines, monkeypatch):
    """A feed may leave out every row."""
    monkeypatch.setattr(module, "MAX_KEPT", 3)

    for key in range(10):
        rows.note("many", str(key), None, ValueError("a" * 1000))

    assert rows.numbers() == {"many": 3}
    assert len(lines(logging.ERROR)) == 3
    assert counted("many") == 10
    assert max(map(len, rows.reasons("many").values())) < 400


@pytest.mark.parametrize(
    "error, reason",
    [
        (ValueError("a"), "ValueError: a"),
        (ValueError(), "ValueError"),
        (BadRow("it is too large"), "it is too large"),
        (ValueError(f"no {object()}"), "ValueError: no <object object>"),
    ],
)
def test_a_reason_has_the_same_words_each_time(error, reason):
    """Without addresses; our own errors need no type."""
    assert reason_of(error) == reason
