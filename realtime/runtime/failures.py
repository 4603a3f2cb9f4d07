"""Failures of an app's code that would end more than what it was called for."""

from asyncio import CancelledError

ESCAPING = (StopIteration, SystemExit, CancelledError)
"""What event loops take for their own: the first hangs the future that it is given to, the second ends the process,
the third the task that waits."""


def as_exception(error: BaseException) -> Exception:
    """Return an error as the fault of what has raised it, and of nothing else."""
    if isinstance(error, Exception) and not isinstance(error, ESCAPING):
        return error
    failure = RuntimeError(f"{type(error).__name__} was raised: {error}")
    failure.__cause__ = error
    return failure
