"""Failures that an event loop would take for its own become plain exceptions."""

from asyncio import CancelledError

import pytest

from realtime.runtime.failures import ESCAPING, as_exception


@pytest.mark.parametrize("error", [StopIteration("x"), SystemExit(2), CancelledError(), KeyboardInterrupt()])
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
