"""The audience: how many connections follow each topic in all processes, and their names, where its feed has
``presence``.

Each process notes its own viewers in the database (``held_topics.py``) and reads those of all, for all its topics at
once, about once a second. So a topic costs two short queries and one message to each viewer in that time, however many
join and leave, and a process that dies is no longer counted when its notes expire.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import islice

from django.db import DatabaseError, InterfaceError
from msgspec import UNSET

from ..access.visitors import Visitor, load_users
from ..databases.base import is_storable
from ..engine.messages import Presence
from ..feeds import registry
from ..publishing.interest import MAX_NAMES, Viewers
from ..runtime.threads import DatabaseThreads
from .fan_out import FAN_OUT_AT_ONCE
from .held_topics import HeldTopics
from .shared_topic import SharedTopic
from .subscriber import Subscriber, for_each

logger = logging.getLogger("realtime.hub")

LOOK_SECONDS = 1.0
"""How often viewers are counted; a viewer has left when two counts in a row miss it, so that a page may reload."""
MAX_SHARE = 0.05
"""The share of the time that counting may take; with many topics the viewers are counted less often."""
MAX_PAUSE_SECONDS = 10.0
"""The longest pause between two counts: a database that was away once does not stop the counts for minutes."""
MESSAGES_PER_SECOND = 1000
"""How many messages a second the counts of a topic may cost a process; more viewers are sent them less often."""
NAME_SECONDS = 10.0
"""How long a name is valid: users sign out, and change it."""
MAX_NAME_CHARACTERS = 80

Named = tuple[str, Visitor]
"""A feed, and a visitor whose name it returns."""


NOBODY = Viewers()


@dataclass(slots=True)
class _Audience:
    """The viewers of one topic, and the presence message that its subscribers were sent last."""

    visitors: set[Visitor] = field(default_factory=set)  # of the last count
    number: int = 0  # by the last count
    named: list[Visitor] = field(default_factory=list)  # those that are named, the longest present first
    here: Viewers = NOBODY  # in this process
    told: Viewers | None = None  # the message that its subscribers were sent last
    tell_at: float = 0.0  # when all of them may be sent the next one
    untold: set[Subscriber] = field(default_factory=set)  # those that were sent none since they subscribed


class Audience:
    """The viewers of the topics of one hub."""

    def __init__(
        self,
        shared: Mapping[str, SharedTopic],
        held_topics: HeldTopics,
        readers: DatabaseThreads,
    ) -> None:
        """``shared`` are the topics of the hub, by name."""
        self._shared, self._held_topics, self._reader_threads = shared, held_topics, readers
        self._topics: dict[str, _Audience] = {}
        self._names: dict[Named, tuple[str, float]] = {}  # with the time when it was read

    @property
    def counted(self) -> dict[str, Viewers]:
        """The viewers in this process, of topics whose feeds have ``presence``."""
        return {name: audience.here for name, audience in self._topics.items()}

    def told(self, topic: str) -> Presence | None:
        """Return the last presence message of a topic; None if its subscribers receive none."""
        audience = self._topics.get(topic)
        return None if audience is None or audience.told is None else _message(topic, audience.told)

    def greet(self, shared: SharedTopic, subscriber: Subscriber) -> None:
        """Have a new subscriber sent the next count."""
        if _presence(shared) is not None:
            self._topics.setdefault(shared.name, _Audience()).untold.add(subscriber)

    def forget(self, topic: str, subscriber: Subscriber) -> None:
        if topic in self._topics:
            self._topics[topic].untold.discard(subscriber)

    async def look(self) -> None:
        """Wait for the next count, store it, and send subscribers the changes in any process."""
        begun = time.monotonic()
        await self._look()
        took = time.monotonic() - begun
        await asyncio.sleep(min(max(LOOK_SECONDS, took / MAX_SHARE), MAX_PAUSE_SECONDS))

    async def _look(self) -> None:
        held = {name: self._shared[name] for name in self._topics if name in self._shared}
        shared = {name: each for name, each in held.items() if _presence(each) is not None}
        for name in self._topics.keys() - shared.keys():
            del self._topics[name]
        if not self._topics:
            return
        followed = {name for name, each in shared.items() if each.subscribers}
        for name, audience in self._topics.items():
            self._count(audience, shared[name])
        await self._name(shared)
        try:
            await self._held_topics.count(self.counted)
            viewers = await self._held_topics.viewers(followed)
        except (DatabaseError, InterfaceError) as error:
            logger.debug("viewers are not counted: %r", error)
            return
        for name, found in viewers.items():
            if name in self._topics:
                await self._tell(self._topics[name], shared[name], found)

    def _count(self, audience: _Audience, shared: SharedTopic) -> None:
        """Count the viewers in this process: the present ones, and those of the previous count."""
        visitors = {subscriber.visitor for subscriber in shared.subscribers}
        number = len(shared.subscribers)
        present = visitors | audience.visitors
        kept = [visitor for visitor in audience.named if visitor in present]
        more = present.difference(kept) if _presence(shared) == "names" else ()
        audience.named = [*kept, *islice(more, MAX_NAMES - len(kept))]
        audience.here = Viewers(max(number, audience.number))
        audience.visitors, audience.number = visitors, number

    async def _name(self, shared: Mapping[str, SharedTopic]) -> None:
        """Set the names of the viewers; names that are not known are read, those of all topics in one call."""
        wanted = {
            (each.feed, visitor) for name, each in shared.items() for visitor in self._topics[name].named
        }
        now = time.monotonic()
        self._names = {key: known for key, known in self._names.items() if key in wanted}
        old = {key for key in wanted if key not in self._names or now - self._names[key][1] > NAME_SECONDS}
        if old:
            try:
                found = await self._reader_threads.run(names_of, old)
            except (DatabaseError, InterfaceError) as error:
                logger.debug("viewers are not named: %r", error)
                found = {}
            self._names |= {key: (found.get(key, ""), now) for key in old}
        for name, each in shared.items():
            if name not in self._topics:  # dropped meanwhile
                continue
            audience = self._topics[name]
            names = {self._names.get((each.feed, visitor), ("", 0))[0] for visitor in audience.named}
            audience.here = audience.here._replace(names=tuple(sorted(names - {""})))

    async def _tell(self, audience: _Audience, shared: SharedTopic, viewers: Viewers) -> None:
        now = time.monotonic()
        # The count of this process is no less than the number that it has stored for itself.
        viewers = viewers._replace(number=max(viewers.number, audience.here.number))
        if viewers != audience.told and now >= audience.tell_at:
            audience.told = viewers
            audience.tell_at = now + len(shared.subscribers) / MESSAGES_PER_SECOND
            audience.untold = set(shared.subscribers)
        if audience.untold and audience.told is not None:
            message = _message(shared.name, audience.told)

            def tell(subscriber: Subscriber) -> None:
                if subscriber.offer(message):
                    audience.untold.discard(subscriber)

            waiting = iter(list(audience.untold))
            while some := list(islice(waiting, FAN_OUT_AT_ONCE)):
                for_each(some, tell)
                await asyncio.sleep(0)


def names_of(wanted: Collection[Named]) -> dict[Named, str]:
    """Return the names that feeds give to visitors, empty for those that have none. In a database thread."""
    users = load_users({visitor for _, visitor in wanted})
    return {(feed, visitor): name_of(feed, users[visitor]) for feed, visitor in wanted}


def name_of(feed: str, user: object) -> str:
    """Return the name of a user in a feed; empty if it has none, or if the name cannot be used."""
    try:
        name = registry[feed].viewer_name(user)
    except DatabaseError:
        raise
    except BaseException:
        logger.exception("viewer_name of feed %s failed; the user has no name meanwhile", feed)
        return ""
    return name[:MAX_NAME_CHARACTERS] if isinstance(name, str) and is_storable(name) else ""


def _presence(shared: SharedTopic) -> str | None:
    return registry[shared.feed].presence if shared.feed in registry else None


def _message(topic: str, viewers: Viewers) -> Presence:
    has_names = registry[topic.partition(".")[0]].presence == "names"
    return Presence(topic, viewers.number, viewers.names if has_names else UNSET)
