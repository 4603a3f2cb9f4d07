"""Health: whether this process can serve, with the reasons if it cannot.

Load balancers, process managers and Prometheus request it, also while the database hangs: the database is queried in a
thread of its own, and a query is given up after ``ANSWER_SECONDS``.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import Error as DatabaseError

from ..conf import get_conf
from ..publishing import capture, lease, log, progress
from ..runtime.threads import DatabaseThreads
from .hub import Hub

T = TypeVar("T")

ANSWER_SECONDS = 2.0
"""How long a request waits for the database."""


class Health:
    """The health of one process. Simultaneous requests of one kind share an answer."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.threads = DatabaseThreads("realtime-health", 1)
        self._asked: dict[Callable[[], Any], asyncio.Task[Any]] = {}
        self.is_draining = False
        """Whether the process is stopping."""

    async def ask(self, question: Callable[[], T]) -> T:
        """Return the answer of a function that uses the database.

        Raises: TimeoutError, after ``ANSWER_SECONDS``; what the function raises.
        """
        asked = self._asked.get(question)
        if asked is None:
            asked = asyncio.create_task(self.threads.run(question), name="realtime-health")
            self._asked[question] = asked
            asked.add_done_callback(partial(self._answered, question))
        async with asyncio.timeout(ANSWER_SECONDS):
            answer: T = await asyncio.shield(asked)
        return answer

    def _answered(self, question: Callable[[], Any], asked: "asyncio.Task[Any]") -> None:
        del self._asked[question]
        if not asked.cancelled():
            asked.exception()  # marks it as retrieved: the request may have been given up

    async def problems(self) -> list[str]:
        """Return why no clients should be sent to this process now; empty if it is ready."""
        if self.is_draining:
            return ["draining: this process is stopping"]
        try:
            found = await self.ask(publishing_problems)
        except TimeoutError:
            found = [f"database: no answer within {ANSWER_SECONDS:g} s"]
        except DatabaseError as error:
            found = [f"database: {type(error).__name__}: {error}".strip()]
        found += page_problems()
        behind = self._hub.behind_seconds
        if behind > get_conf().max_lag_seconds:
            found.append(f"lag: this process may be {behind:.1f} s behind the database")
        return found


def page_problems() -> list[str]:
    """Return faults by which every page fails: static files that were not collected before the start."""
    if not settings.STATIC_URL:
        return []
    try:
        staticfiles_storage.url("realtime/live.min.js")
    except ValueError as error:  # the manifest, which a process reads once, does not have it
        reason = str(error).splitlines()[0]
        return [
            f"static files: {reason}; run `manage.py collectstatic --no-input`, then start this process again"
        ]
    return []


def publishing_problems() -> list[str]:
    """Return faults by which changes are not captured or sequenced."""
    # The feeds of these tables are off in every process; the others are served.
    refused = capture.uncaptured()
    missing = {found.table for found in capture.missing()} - refused.keys()
    problems = [f"triggers: those on {table} are missing" for table in sorted(missing)]
    limit = get_conf().max_lag_seconds
    if progress.read() is None:
        return [*problems, "publisher: the log has not begun"]
    since = progress.seconds_since_success()
    if since is not None:
        if since > limit:
            problems.append(f"publisher: none has sequenced for {since:.1f} s")
    elif lease.holder() is None:
        problems.append("publisher: none is running")
    waiting = log.waiting_seconds()
    if waiting > limit:
        problems.append(f"lag: a change has waited for {waiting:.1f} s to be sequenced")
    return problems
