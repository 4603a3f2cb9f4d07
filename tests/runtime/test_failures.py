"""Failures that an event loop would take for its own, or that no handler catches, become plain exceptions."""

import threading
from asyncio import CancelledError

import pytest

from realtime.runtime.failures import ESCAPING, Passing, as_exception, contained, text_of


class Timeout(BaseException):
    """As some libraries have it."""


class Unspeakable(BaseException):
    """An error whose text depends on what is missing."""

    def __str__(self) -> str:
        raise AttributeError("detail")

    __repr__ = __str__


ENDING = [
    StopIteration("x"), SystemExit(2), CancelledError(), KeyboardInterrupt(), GeneratorExit(), Timeout(),
    BaseExceptionGroup("several", [SystemExit(2), ValueError()]),
]  # fmt: skip


@pytest.mark.parametrize("error", ENDING, ids=repr)
def test_what_escapes_is_replaced_and_named(error):
    """Its traceback is kept."""
    failure = as_exception(error)

    assert type(failure) is RuntimeError
    assert type(error).__name__ in str(failure)
    assert failure.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError(), OSError()])
def test_other_errors_stay_what_they_are(error):
    """Callers handle them."""
    assert as_exception(error) is error
    assert not isinstance(error, ESCAPING)


@pytest.mark.parametrize("error", ENDING, ids=repr)
def test_every_error_leaves_a_contained_block_as_an_exception(error):
    """In a thread; in the main thread a KeyboardInterrupt is Ctrl-C."""
    left: list[BaseException] = []

    def run() -> None:
        try:
            with contained:
                raise error
        except Exception as failure:
            left.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)

    assert [(type(failure), failure.__cause__) for failure in left] == [(RuntimeError, error)]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), Passing()], ids=repr)
def test_other_errors_leave_a_contained_block_as_they_are(error):
    """What callers know, Ctrl-C, and what the engine itself raises to end a reading."""
    with pytest.raises(type(error)) as caught, contained:
        raise error

    assert caught.value is error


def test_an_error_without_a_text_is_named_by_its_type():
    """What handles it must not fail in its turn."""
    assert text_of(ValueError("x")) == "x"
    assert text_of(Unspeakable()) == "(its text raises AttributeError)"
    assert str(as_exception(Unspeakable())) == "Unspeakable was raised: (its text raises AttributeError)"
