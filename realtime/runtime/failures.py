"""Errors of an app's code that would stop more than the call that raised them."""

import threading
from asyncio import CancelledError
from types import TracebackType

ESCAPING = (StopIteration, SystemExit, CancelledError, KeyboardInterrupt, GeneratorExit)
"""Errors that event loops treat specially: the first blocks the future that it is set on, others end the process or the
task that waits."""


class Passing(BaseException):
    """What the engine raises to end work of its own, through code that handles errors of apps."""


def as_exception(error: BaseException) -> Exception:
    """Return an exception that ends only the call that raised the error: itself, or a RuntimeError caused by it."""
    if isinstance(error, Exception) and not isinstance(error, ESCAPING):
        return error
    failure = RuntimeError(f"{type(error).__name__} was raised: {text_of(error)}")
    failure.__cause__ = error
    return failure


def text_of(error: BaseException) -> str:
    """Return the text of an error, whose own code may fail, too."""
    try:
        return str(error)
    except Exception as failure:
        return f"(its text raises {type(failure).__name__})"


class _Contained:
    """A block of an app's code, from which every error comes as an exception; only Ctrl-C ends a program's main thread.

    Handlers of ``Exception`` would not catch the others, such as the time-outs of some libraries.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Passing):
            return
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            return
        failure = as_exception(error)
        if failure is not error:
            raise failure from error


contained = _Contained()
