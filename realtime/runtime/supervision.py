"""Supervision: an asynchronous task that continues after a failed round."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..databases.remedies import remedy
from . import metrics
from .failures import text_of

MAX_BACKOFF_SECONDS = 1.0


async def supervise(name: str, one_round: Callable[[], Awaitable[None]], logger: logging.Logger) -> None:
    """Run rounds until cancelled. A failed round is logged and followed by a pause, which doubles up to a second.

    Repeated failures with the same text are logged once, with the first traceback, or with a remedy where one is known.
    Every failure is counted.
    """
    pause, logged = 0.0, ""
    while True:
        try:
            await one_round()
            if pause:
                logger.info("%s works again", name)
            pause, logged = 0.0, ""
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # this task is being stopped; otherwise the cancellation was that of another task
            pause = min(MAX_BACKOFF_SECONDS, pause * 2 or 0.1)
            metrics.failed_rounds.labels(name).inc()
            text = f"{type(error).__name__}: {text_of(error)}".strip()
            advice = remedy(error)
            if advice:  # drivers add the statement, which may be another one in each round
                text = f"{text.splitlines()[0]}; {advice}"
            if text != logged:
                trace = None if advice else error
                logger.error("%s failed, will be tried again in %g s: %s", name, pause, text, exc_info=trace)
            logged = text
            await asyncio.sleep(pause)
