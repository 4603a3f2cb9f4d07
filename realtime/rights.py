"""Rights: whether who follows a topic still may. Asked again every few seconds, for all at once."""

import asyncio
import logging

from django.db import Error as DatabaseError

from . import auth
from .conf import get_conf
from .engine.errors import UnknownTopic
from .feeds import registry
from .hub import Hub
from .readers import ReaderThreads

logger = logging.getLogger("realtime.rights")

Claim = tuple[str | None, str]
"""A session key (None: nobody's) and a topic that a connection of that session follows."""


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
    """Return the claims that hold no longer. One look at each session, one question per session and topic."""
    users = {key: auth.load_user(key) for key in {key for key, _ in claims}}
    return {(key, topic) for key, topic in claims if not _may_follow(users[key], topic)}


def _may_follow(user: object, topic: str) -> bool:
    """Ask the feed. One that cannot say is taken to say no; while the database is at fault, nothing is taken away."""
    try:
        feed, key = registry.find(topic)
        return feed.can_subscribe(user, key)
    except UnknownTopic:
        return False
    except Exception as error:
        logger.exception("the feed of %r cannot say who may read it", topic)
        return isinstance(error, DatabaseError)
