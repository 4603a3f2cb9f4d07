"""Eager tasks: a coroutine runs at once up to its first wait, and as a task from there.

A message is often sent without a wait, and then a task with its turn of the event loop would cost more than sending.
Python 3.12 can start a task in this way; for 3.11 the first step is run here, within a stand-in for the task.
"""

import asyncio
import sys
import types
from collections.abc import Coroutine, Generator
from typing import Any, cast

if sys.version_info >= (3, 12):

    def start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run a coroutine up to its first wait; return the task that runs the rest, None if there is no rest."""
        task = asyncio.Task(coroutine, loop=asyncio.get_running_loop(), name=name, eager_start=True)
        return None if task.done() else task

else:

    def start(coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run a coroutine up to its first wait; return the task that runs the rest, None if there is no rest."""
        loop, caller, stand_in = asyncio.get_running_loop(), asyncio.current_task(), _StandIn()
        current = cast("asyncio.Task[None]", stand_in)
        # Documented for implementations of tasks: docs.python.org, "Extending asyncio".
        if caller is not None:
            asyncio.tasks._leave_task(loop, caller)
        asyncio.tasks._enter_task(loop, current)
        try:
            waits_for = coroutine.send(None)
        except StopIteration:
            return None
        finally:
            asyncio.tasks._leave_task(loop, current)
            if caller is not None:
                asyncio.tasks._enter_task(loop, caller)
        stand_in.task = loop.create_task(_rest(coroutine, waits_for), name=name)
        return stand_in.task

    class _StandIn:
        """The current task during the first step: ``asyncio.timeout`` keeps it, to cancel it later."""

        __slots__ = ("__weakref__", "task")

        def __init__(self) -> None:
            self.task: asyncio.Task[None] | None = None

        def cancel(self, msg: object = None) -> bool:
            return self.task is not None and self.task.cancel(msg)

        def cancelling(self) -> int:
            return 0 if self.task is None else self.task.cancelling()

        def uncancel(self) -> int:
            return 0 if self.task is None else self.task.uncancel()

    async def _rest(begun: Coroutine[Any, Any, None], waits_for: object) -> None:
        await _resume(begun, waits_for)

    @types.coroutine
    def _resume(begun: Coroutine[Any, Any, None], waits_for: object) -> Generator[Any, Any, None]:
        """Yield the future that a begun coroutine waits for, then all that it yields until its end."""
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as error:
                    waits_for = begun.throw(error)
                else:
                    waits_for = begun.send(sent)
        except StopIteration:
            return
