"""CPU time: how long a thread or a coroutine uses a core, and how long a thread waits for one."""

import os
import time
import types
from collections.abc import Callable, Coroutine, Generator
from time import thread_time
from typing import Any, TypeVar

T = TypeVar("T")

_SCHEDULED = "/proc/thread-self/schedstat"
TRIAL_SECONDS = 0.005
"""How much CPU time a trial of the machine uses: more than a busy machine lets a thread have at a time."""


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


def slowdown() -> float:
    """Return how many times as long as it needs a core this thread takes for work of its own at this moment; 1 or more.

    This includes the time in which other threads have the interpreter, also those that wait for a core meanwhile.
    """
    begun, used = time.monotonic(), thread_time()
    while thread_time() - used < TRIAL_SECONDS:
        pass
    return max(1.0, (time.monotonic() - begun) / (thread_time() - used))


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
