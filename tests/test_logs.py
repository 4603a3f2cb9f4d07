"""The log's filter: what is tried again by itself is said once, in one line."""

import logging

import pytest

from realtime import logs
from realtime.logs import FirstOfARow


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """What time it is; a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(logs.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def heard(clock) -> tuple[logging.Logger, list[logging.LogRecord]]:
    """A logger with the filter, and what passes it."""
    passed: list[logging.LogRecord] = []
    logger = logging.Logger("of.the.layer")
    logger.addFilter(FirstOfARow())
    handler = logging.Handler()
    handler.emit = passed.append
    logger.addHandler(handler)
    return logger, passed


def fail(logger: logging.Logger, error: Exception) -> None:
    try:
        raise error
    except Exception:
        logger.exception("Unexpected exception in %s", "receive task")


def test_a_failure_is_one_line_without_a_traceback(heard):
    """Its error stands in the line."""
    logger, passed = heard

    fail(logger, ConnectionError("refused"))

    line = logging.Formatter("{message}", style="{").format(passed[0])
    assert line == "Unexpected exception in receive task: ConnectionError: refused"


def test_of_a_row_only_the_first_is_said(heard, clock):
    """However long it goes on; after a pause it is another row."""
    logger, passed = heard

    for _ in range(100):
        fail(logger, ConnectionError("refused"))
        clock[0] += 1
    assert len(passed) == 1

    clock[0] += logs.ROW_ENDS_SECONDS
    fail(logger, ConnectionError("refused"))
    assert len(passed) == 2


def test_other_words_and_other_errors_are_rows_of_their_own(heard):
    """The figures in a line make it no other."""
    logger, passed = heard

    fail(logger, ConnectionError("refused"))
    fail(logger, ValueError("never seen"))
    for number in range(3):
        logger.error("%d topics travel by the log", number)

    assert [record.getMessage() for record in passed] == [
        "Unexpected exception in receive task: ConnectionError: refused",
        "Unexpected exception in receive task: ValueError: never seen",
        "0 topics travel by the log",
    ]
