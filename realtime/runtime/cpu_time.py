"""CPU time: how long a thread or a coroutine uses a core, and how long a thread waits for one."""

import os
import types
from collections.abc import Callable, Coroutine, Generator
from time import thread_time
from typing import Any, TypeVar

T = TypeVar("T")

_SCHEDULED = "/proc/thread-self/schedstat"


def waited() -> float:
    """Return for how many seconds in total this thread was ready to run and had no core.

    0 where the system does not count. A thread that sleeps, or waits for a query or for the interpreter, is not ready.
    """
    try:
        file = os.open(_SCHEDULED, os.O_RDONLY)
        try:
            return int(os.read(file, 100).split()[1]) / 1e9
        finally:
            os.close(file)
    except (OSError, ValueError, IndexError):
        return 0.0


def measured_call(note: Callable[[float], None], function: Callable[..., T], *args: object) -> T:
    """Return a function's result; call ``note`` with the seconds of CPU time that this thread has used for it."""
    began = thread_time()
    try:
        return function(*args)
    finally:
        note(thread_time() - began)


@types.coroutine
def measured(coroutine: Coroutine[Any, Any, T], note: Callable[[float], None]) -> Generator[Any, Any, T]:
    """Run a coroutine; call ``note`` with the seconds of CPU time that each of its steps has used."""
    step: Callable[[Any], Any] = coroutine.send
    value: Any = None
    while True:
        began = thread_time()
        try:
            waits_for = step(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            note(thread_time() - began)
        try:
            step, value = coroutine.send, (yield waits_for)
        except BaseException as error:  # also GeneratorExit and the cancellation of the task
            step, value = coroutine.throw, error
