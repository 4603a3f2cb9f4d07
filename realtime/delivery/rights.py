"""Rights: whether a visitor may follow a topic.

Rights are checked in batches: when topics are requested, before a change is sent that may have ended a right
(``shared_topic.py``), and every few seconds for all subscriptions.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from django.db import Error as DatabaseError

from ..access.visitors import Visitor
from ..conf import get_conf
from ..engine.errors import Forbidden, UnknownTopic
from ..feeds import registry
from ..runtime import metrics
from ..runtime.threads import DatabaseThreads
from .rights_check import Right, RightsToCheck, Verdict, judge, judge_some
from .subscriber import Subscriber, for_each

logger = logging.getLogger("realtime.rights")

MAX_BATCH = 500
"""Maximum number of rights that a reader thread judges in one batch."""
REST_SECONDS = 1.0
"""Minimum time between two checks of all subscriptions, however often rights change."""

SLICE_SECONDS = 0.05
"""About how long a check of all subscriptions keeps a reader thread at a time; a single answer of a feed may exceed
it."""
MAX_CHECK_SECONDS = 2.0
"""How long such a check may take as a whole: a lost right ends within five seconds, and the check may begin after
three."""


class Rights:
    """Answers the rights of one process; rights that arrive while a feed is being checked form its next batch.

    So a thousand simultaneous reconnects cost a few queries for sessions and users, and a slow feed delays
    only its own subscribers.
    """

    def __init__(self, readers: DatabaseThreads) -> None:
        self._reader_threads = readers
        self._waiting: dict[str, dict[Right, asyncio.Future[Verdict]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, visitor: Visitor, topic: str) -> Verdict:
        """Return the verdict on a right that holds.

        Raises: Forbidden, if the visitor may not follow the topic; UnknownTopic; what the feed or the database raises.
        """
        registry.find(topic)
        verdict = await asyncio.shield(self._ask(visitor, topic))
        if not verdict.holds:
            raise Forbidden(topic)
        return verdict

    async def lost(self, topic: str, visitors: Collection[Visitor]) -> set[Visitor]:
        """Return the visitors of a topic that may not follow it, including those for whom the feed fails to answer.

        Raises: what the database raises; then no right is known.
        """
        answers = {visitor: self._ask(visitor, topic) for visitor in visitors}
        if answers:
            await asyncio.wait(answers.values())
        rights = {
            (visitor, topic): answer.exception() or answer.result() for visitor, answer in answers.items()
        }
        for verdict in rights.values():
            if isinstance(verdict, DatabaseError):
                raise verdict
        return {visitor for visitor, _ in _lost(rights)}

    def _ask(self, visitor: Visitor, topic: str) -> "asyncio.Future[Verdict]":
        feed = topic.partition(".")[0]
        if feed not in self._waiting:
            self._waiting[feed] = {}
            task = asyncio.create_task(self._answer(feed), name=f"realtime-rights-{feed}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting = self._waiting[feed]
        return waiting.setdefault((visitor, topic), asyncio.get_running_loop().create_future())

    async def _answer(self, feed: str) -> None:
        """Answer the rights that wait for one feed, until none is left."""
        while waiting := self._waiting[feed]:
            batch = {right: waiting.pop(right) for right in list(waiting)[:MAX_BATCH]}
            verdicts: dict[Right, Verdict | Exception]
            try:
                verdicts = await self._reader_threads.run(judge, set(batch))
            except Exception as error:
                verdicts = dict.fromkeys(batch, error)
            for right, answer in batch.items():
                verdict = verdicts[right]
                if isinstance(verdict, Exception):
                    answer.set_exception(verdict)
                    answer.exception()  # marks it as retrieved: the request may have been cancelled
                else:
                    answer.set_result(verdict)
        del self._waiting[feed]


class RightsChanged(asyncio.Event):
    """Set when rights may have changed since they were checked: those of all users, or of some (``set_for``)."""

    def __init__(self) -> None:
        super().__init__()
        self._users: frozenset[str] | None = frozenset()
        self.all_due: float | None = None
        """When all are checked next, by the loop's clock, however often some are meanwhile; None if not decided."""

    def set(self) -> None:
        self.set_for(None)

    def set_for(self, users: Collection[str] | None) -> None:
        """Have the rights of the users with these primary keys checked; None means all users."""
        if self._users is not None:
            self._users = None if users is None else self._users.union(users)
        super().set()

    def take(self) -> frozenset[str] | None:
        """Clear the event, and return the primary keys of the users that are to be checked, None for all."""
        users, self._users = self._users, frozenset()
        self.clear()
        return users


class Followed(Protocol):
    """The part of the hub that ``recheck`` uses."""

    rights_changed: RightsChanged

    @property
    def connections(self) -> list[Subscriber]: ...


async def recheck(hub: Followed, readers: DatabaseThreads) -> None:
    """Wait for the next check, then end the subscriptions whose rights were lost.

    All rights are checked at a fixed interval, and when the log announces that rights may have changed. Where the
    announcement names users, only these are checked, and all visitors without a user: a session that has ended has
    none. A check gives the reader thread back after each ``SLICE_SECONDS``.
    """
    loop, changed = asyncio.get_running_loop(), hub.rights_changed
    if changed.all_due is None:
        changed.all_due = loop.time() + get_conf().recheck_seconds - REST_SECONDS
    due = changed.all_due  # another check of the same hub may end meanwhile
    timer = loop.call_at(due, changed.set)
    await changed.wait()
    timer.cancel()
    users = changed.take()
    if users is None or loop.time() >= due:
        users = changed.all_due = None
    begun = time.monotonic()
    try:
        rights = RightsToCheck(hub.connections, users)
        while rights:
            lost = await readers.run(lost_rights, rights)
            _revoke(hub.connections if lost else [], lost)
    except BaseException:
        changed.set()  # the announcement still needs its check
        raise
    if users is None:
        _pace.note(time.monotonic() - begun)
    await asyncio.sleep(REST_SECONDS)


def _revoke(connections: Iterable[Subscriber], lost: Collection[Right]) -> None:
    def revoke(connection: Subscriber) -> None:
        for topic in connection.topics:
            if (connection.visitor, topic) in lost:
                connection.revoke(topic)

    for_each(connections, revoke)


class Pace:
    """Whether checks of all subscriptions are quick enough for the promise."""

    def __init__(self) -> None:
        self._is_slow = False

    def note(self, seconds: float) -> None:
        """Note how long a check took; log it if the one before it did not take too long."""
        metrics.rights_checked.observe(seconds)
        was_slow, self._is_slow = self._is_slow, seconds > MAX_CHECK_SECONDS
        if self._is_slow and not was_slow:
            logger.warning(
                "a check of the rights of all subscriptions took %.1f s, so a right that is taken away may last longer "
                "than five seconds; declare visible_topics and same_rights in the feeds with the most subscribers, or "
                "run more processes",
                seconds,
            )


_pace = Pace()


def lost_rights(rights: RightsToCheck) -> set[Right]:
    """Judge some of the rights, remove them, and return those that no longer hold.

    A right is lost if its feed fails, but not if the database does.
    """
    return _lost(judge_some(rights, SLICE_SECONDS))


def _lost(verdicts: Mapping[Right, Verdict | BaseException]) -> set[Right]:
    lost: set[Right] = set()
    failed: dict[BaseException, list[str]] = defaultdict(list)
    for right, verdict in verdicts.items():
        if isinstance(verdict, UnknownTopic):
            lost.add(right)
        elif isinstance(verdict, BaseException):
            failed[verdict].append(right[1])
            if not isinstance(verdict, DatabaseError):
                lost.add(right)
        elif not verdict.holds:
            lost.add(right)
    for error, topics in failed.items():
        more = f", and {len(topics) - 1} more" if len(topics) > 1 else ""
        logger.error("the feed of %r failed to check a right%s", topics[0], more, exc_info=error)
    return lost
