"""Rights: whether a visitor may follow a topic.

Checked in batches: when topics are requested, before something is sent that may have closed a topic
(``shared_topic.py``), and again every few seconds for all subscriptions.
"""

import asyncio
import logging
from collections.abc import Collection, Hashable, Mapping
from typing import Any, NamedTuple, Protocol

from django.db import Error as DatabaseError
from django.db import connections

from ..access.visitors import Visitor, load_users
from ..conf import get_conf
from ..engine.errors import Forbidden, UnknownTopic
from ..engine.position import Position
from ..feeds import registry
from ..publishing.positions import probe
from ..rows.surroundings import pinned_database
from ..runtime.threads import DatabaseThreads
from .subscriber import Subscriber

logger = logging.getLogger("realtime.rights")

MAX_CLAIMS = 500
"""Maximum number of claims that a reader thread judges in one batch."""
REST_SECONDS = 1.0
"""Minimum time between two checks of all subscriptions, however often rights change."""

Claim = tuple[Visitor, str]
"""A visitor, and a topic that one of its connections follows or requests."""


class Verdict(NamedTuple):
    """Whether a claim holds, in every snapshot from ``as_of`` up to the check.

    Shape: ``user`` is the primary key of the visitor's user, None if it is not signed in.
    """

    holds: bool
    user: Hashable = None
    as_of: Position = Position("", 0)


class Rights:
    """Answers the claims of one process; claims that arrive while a feed is being checked form its next batch.

    So a thousand simultaneous reconnects cost a few queries for sessions and users, and a slow feed delays
    only its own subscribers.
    """

    def __init__(self, readers: DatabaseThreads) -> None:
        self._reader_threads = readers
        self._waiting: dict[str, dict[Claim, asyncio.Future[Verdict]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, visitor: Visitor, topic: str) -> Verdict:
        """Return the verdict on a claim that holds.

        Raises: Forbidden, if the visitor may not follow the topic; UnknownTopic; what the feed or the database raises.
        """
        registry.find(topic)
        verdict = await asyncio.shield(self._ask(visitor, topic))
        if not verdict.holds:
            raise Forbidden(topic)
        return verdict

    async def lost(self, topic: str, visitors: Collection[Visitor]) -> set[Visitor]:
        """Return those of a topic's visitors that may not follow it, also because the feed fails to tell.

        Raises: what the database raises; then nothing is known.
        """
        answers = {visitor: self._ask(visitor, topic) for visitor in visitors}
        if answers:
            await asyncio.wait(answers.values())
        claims = {
            (visitor, topic): answer.exception() or answer.result() for visitor, answer in answers.items()
        }
        for verdict in claims.values():
            if isinstance(verdict, DatabaseError):
                raise verdict
        return {visitor for visitor, _ in _lost(claims)}

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
        """Answer the claims that wait for one feed, until none is left."""
        while waiting := self._waiting[feed]:
            batch = {claim: waiting.pop(claim) for claim in list(waiting)[:MAX_CLAIMS]}
            verdicts: dict[Claim, Verdict | Exception]
            try:
                verdicts = await self._reader_threads.run(judge, set(batch))
            except Exception as error:
                verdicts = dict.fromkeys(batch, error)
            for claim, answer in batch.items():
                verdict = verdicts[claim]
                if isinstance(verdict, Exception):
                    answer.set_exception(verdict)
                    answer.exception()  # marks it as retrieved: the request may have been cancelled
                else:
                    answer.set_result(verdict)
        del self._waiting[feed]


class Followed(Protocol):
    """What ``recheck`` needs of the hub."""

    rights_changed: asyncio.Event

    @property
    def connections(self) -> list[Subscriber]: ...


async def recheck(hub: Followed, readers: DatabaseThreads) -> None:
    """Wait for the next check, then end the subscriptions whose rights were lost.

    A check is due at a fixed interval, and when the log announces that rights may have changed.
    """
    timer = asyncio.get_running_loop().call_later(
        get_conf().recheck_seconds - REST_SECONDS, hub.rights_changed.set
    )
    await hub.rights_changed.wait()
    timer.cancel()
    hub.rights_changed.clear()
    try:
        claims = {
            (connection.visitor, topic) for connection in hub.connections for topic in connection.topics
        }
        lost = await readers.run(lost_claims, claims) if claims else set()
    except BaseException:
        hub.rights_changed.set()  # the announcement still needs its check
        raise
    for connection in hub.connections if lost else []:
        for topic in connection.topics:
            if (connection.visitor, topic) in lost:
                connection.revoke(topic)
    await asyncio.sleep(REST_SECONDS)


def lost_claims(claims: set[Claim]) -> set[Claim]:
    """Return the claims that no longer hold.

    A claim is lost if its feed fails, but not if the database does.
    """
    return _lost(judge(claims))


def _lost(verdicts: Mapping[Claim, Verdict | BaseException]) -> set[Claim]:
    lost: set[Claim] = set()
    for claim, verdict in verdicts.items():
        if isinstance(verdict, UnknownTopic):
            lost.add(claim)
        elif isinstance(verdict, BaseException):
            logger.error("the feed of %r failed to check a right", claim[1], exc_info=verdict)
            if not isinstance(verdict, DatabaseError):
                lost.add(claim)
        elif not verdict.holds:
            lost.add(claim)
    return lost


def judge(claims: set[Claim]) -> dict[Claim, Verdict | Exception]:
    """Return for each claim whether it holds, or the error that prevented an answer.

    One query for all sessions and one for all users; then each feed checks each user and topic once.
    """
    moment = probe()  # first: each query below sees this snapshot or a later one
    as_of = Position(moment.epoch, moment.offset)
    verdicts: dict[tuple[Hashable, str], Verdict | Exception] = {}
    with pinned_database():
        users = load_users(visitor for visitor, _ in claims)
        for visitor, topic in claims:
            user = users[visitor]
            if (user.pk, topic) not in verdicts:
                verdicts[user.pk, topic] = _verdict(user, topic, as_of)
    if any(isinstance(verdict, DatabaseError) for verdict in verdicts.values()):
        connections.close_all()  # they may be the cause: the next query opens new ones
    return {(visitor, topic): verdicts[users[visitor].pk, topic] for visitor, topic in claims}


def _verdict(user: Any, topic: str, as_of: Position) -> Verdict | Exception:
    try:
        feed, key = registry.find(topic)
        return Verdict(bool(feed.can_subscribe(user, key)), user.pk, as_of)
    except Exception as error:
        return error
