"""Errors of an app's code that would stop more than the call that raised them."""

from asyncio import CancelledError

ESCAPING = (StopIteration, SystemExit, CancelledError)
"""Errors that event loops treat specially: the first blocks the future that it is set on, the second ends the process,
the third cancels the task that waits."""


def as_exception(error: BaseException) -> Exception:
    """Return an exception that ends only the call that raised the error: itself, or a RuntimeError caused by it."""
    if isinstance(error, Exception) and not isinstance(error, ESCAPING):
        return error
    failure = RuntimeError(f"{type(error).__name__} was raised: {error}")
    failure.__cause__ = error
    return failure
