"""Supervision: an asynchronous task that goes on whatever happens in one of its rounds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

MAX_BACKOFF_SECONDS = 5.0


async def supervise(name: str, one_round: Callable[[], Awaitable[None]], logger: logging.Logger) -> None:
    """Run rounds for ever. A failed one is logged and followed by a pause, doubled up to 5 s.

    Of a row of failures with the same words only the first is logged with its traceback.
    """
    pause, said = 0.0, ""
    while True:
        try:
            await one_round()
            if pause:
                logger.info("%s goes on", name)
            pause, said = 0.0, ""
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # we are being stopped; otherwise somebody else's cancellation has leaked
            pause = min(MAX_BACKOFF_SECONDS, pause * 2 or 0.1)
            words = f"{type(error).__name__}: {error}"
            if words != said:
                logger.error("%s failed, tries again in %g s: %s", name, pause, words, exc_info=error)
            said = words
            await asyncio.sleep(pause)
