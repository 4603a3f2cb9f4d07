"""Rights: whether somebody may follow a topic. Asked in batches: when topics are asked for, and again every
few seconds for all who follow one."""

import asyncio
import logging

from django.db import Error as DatabaseError

from . import auth
from .conf import get_conf
from .engine.errors import Forbidden, UnknownTopic
from .feeds import registry
from .hub import Hub
from .readers import ReaderThreads

logger = logging.getLogger("realtime.rights")

MAX_CLAIMS = 500
"""How many are looked at in one turn of a reader thread."""

Claim = tuple[str | None, str]
"""A session key (None: nobody's) and a topic that a connection of that session follows or asks for."""


class Rights:
    """Answers the claims of one process: those that come while a feed is being asked wait for its next turn.

    So a thousand clients that come back at once cost a few readings of sessions and users, not a thousand;
    and a feed that takes its time holds up nobody but those who ask for it.
    """

    def __init__(self, readers: ReaderThreads) -> None:
        self._readers = readers
        self._waiting: dict[str, dict[Claim, asyncio.Future[bool]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def check(self, session_key: str | None, topic: str) -> None:
        """Return if this session's user may follow the topic now.

        Raises: UnknownTopic, Forbidden, and what the feed or the database raises.
        """
        feed, _ = registry.find(topic)
        if feed.name not in self._waiting:
            self._waiting[feed.name] = {}
            task = asyncio.create_task(self._answer(feed.name), name=f"realtime-rights-{feed.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting = self._waiting[feed.name]
        answer = waiting.setdefault((session_key, topic), asyncio.get_running_loop().create_future())
        if not await asyncio.shield(answer):
            raise Forbidden(topic)

    async def _answer(self, feed: str) -> None:
        """Answer all who wait for one feed, those who come meanwhile too."""
        while waiting := self._waiting[feed]:
            taken = {claim: waiting.pop(claim) for claim in list(waiting)[:MAX_CLAIMS]}
            try:
                verdicts = await self._readers.run(judge, set(taken))
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


async def recheck(hub: Hub, readers: ReaderThreads) -> None:
    """Wait for the next turn, then take from each connection the topics that it may no longer follow."""
    await asyncio.sleep(get_conf().recheck_seconds)
    claims = {
        (connection.session_key, topic) for connection in hub.connections for topic in connection.topics
    }
    if not claims:
        return
    lost = await readers.run(lost_claims, claims)
    for connection in hub.connections if lost else []:
        for topic in connection.topics:
            if (connection.session_key, topic) in lost:
                connection.revoke(topic)


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
        elif not verdict:
            lost.add(claim)
    return lost


def judge(claims: set[Claim]) -> dict[Claim, bool | Exception]:
    """Return for each claim whether it holds, or why that cannot be said. One look at each session, one question
    per session and topic."""
    users = {key: auth.load_user(key) for key in {key for key, _ in claims}}
    return {(key, topic): _may_follow(users[key], topic) for key, topic in claims}


def _may_follow(user: object, topic: str) -> bool | Exception:
    try:
        feed, key = registry.find(topic)
        return bool(feed.can_subscribe(user, key))
    except Exception as error:
        return error
