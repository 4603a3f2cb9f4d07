"""Rights: whether somebody may follow a topic. Asked in batches: when topics are asked for, and again every
few seconds for all who follow one."""

import asyncio
import logging
from typing import Any, NamedTuple

from django.db import Error as DatabaseError
from django.db import connections

from ..access.visitors import Visitor, load_users
from ..conf import get_conf
from ..engine.errors import Forbidden, UnknownTopic
from ..feeds import registry
from ..runtime.threads import DatabaseThreads
from .hub import Hub

logger = logging.getLogger("realtime.rights")

MAX_CLAIMS = 500
"""How many are looked at in one turn of a reader thread."""
REST_SECONDS = 1.0
"""Between two turns, however much changes."""

Claim = tuple[Visitor, str]
"""A visitor, and a topic that a connection of its follows or asks for."""


class Verdict(NamedTuple):
    """Whether a claim holds; ``user`` is the primary key of the visitor's user, None for nobody."""

    holds: bool
    user: Any = None


class Rights:
    """Answers the claims of one process: those that come while a feed is being asked wait for its next turn.

    So a thousand clients that come back at once cost a few readings of sessions and users, not a thousand;
    and a feed that takes its time holds up nobody but those who ask for it.
    """

    def __init__(self, readers: DatabaseThreads) -> None:
        self._reader_threads = readers
        self._waiting: dict[str, dict[Claim, asyncio.Future[Verdict]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, visitor: Visitor, topic: str) -> Any:
        """Return the key of the visitor's user, None for nobody, if it may follow the topic now.

        Raises: UnknownTopic, Forbidden, and what the feed or the database raises.
        """
        feed, _ = registry.find(topic)
        if feed.name not in self._waiting:
            self._waiting[feed.name] = {}
            task = asyncio.create_task(self._answer(feed.name), name=f"realtime-rights-{feed.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting = self._waiting[feed.name]
        answer = waiting.setdefault((visitor, topic), asyncio.get_running_loop().create_future())
        verdict = await asyncio.shield(answer)
        if not verdict.holds:
            raise Forbidden(topic)
        return verdict.user

    async def _answer(self, feed: str) -> None:
        """Answer all who wait for one feed, those who come meanwhile too."""
        while waiting := self._waiting[feed]:
            taken = {claim: waiting.pop(claim) for claim in list(waiting)[:MAX_CLAIMS]}
            try:
                verdicts = await self._reader_threads.run(judge, set(taken))
            except Exception as error:
                verdicts = dict.fromkeys(taken, error)
            for claim, answer in taken.items():
                verdict = verdicts[claim]
                if isinstance(verdict, Exception):
                    answer.set_exception(verdict)
                    answer.exception()  # whoever asked may have gone
                else:
                    answer.set_result(verdict)
        del self._waiting[feed]


rest = asyncio.sleep
"""What turns do between each other; a name of its own, so that a test can end it."""


async def recheck(hub: Hub, readers: DatabaseThreads) -> None:
    """Wait for the next turn, then take from each connection the topics that it may no longer follow.

    A turn comes at a fixed rhythm, and when the log says that rights may have changed.
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
        hub.rights_changed.set()  # what was announced is still to be looked at
        raise
    for connection in hub.connections if lost else []:
        for topic in connection.topics:
            if (connection.visitor, topic) in lost:
                connection.revoke(topic)
    await rest(REST_SECONDS)


def lost_claims(claims: set[Claim]) -> set[Claim]:
    """Return the claims that hold no longer. A feed that cannot say is taken to say no; while the database is
    at fault, nothing is taken away."""
    lost = set()
    for claim, verdict in judge(claims).items():
        if isinstance(verdict, UnknownTopic):
            lost.add(claim)
        elif isinstance(verdict, Exception):
            logger.error("the feed of %r cannot say who may read it", claim[1], exc_info=verdict)
            lost.update([] if isinstance(verdict, DatabaseError) else [claim])
        elif not verdict.holds:
            lost.add(claim)
    return lost


def judge(claims: set[Claim]) -> dict[Claim, Verdict | Exception]:
    """Return for each claim whether it holds, or why that cannot be said.

    One query for all sessions and one for all users; then each feed is asked once for each user and topic.
    """
    users = load_users(visitor for visitor, _ in claims)
    asked: dict[tuple[Any, str], Verdict | Exception] = {}
    for visitor, topic in claims:
        user = users[visitor]
        if (user.pk, topic) not in asked:
            asked[user.pk, topic] = _verdict(user, topic)
    if any(isinstance(verdict, DatabaseError) for verdict in asked.values()):
        connections.close_all()  # they may be the fault: the next question makes new ones
    return {(visitor, topic): asked[users[visitor].pk, topic] for visitor, topic in claims}


def _verdict(user: Any, topic: str) -> Verdict | Exception:
    try:
        feed, key = registry.find(topic)
        return Verdict(bool(feed.can_subscribe(user, key)), user.pk)
    except Exception as error:
        return error
