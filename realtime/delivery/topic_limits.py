"""Limits of topics: how many a process keeps in memory, in total and per address, and which are dropped for others."""

from collections import Counter
from collections.abc import Collection

from ..access.limits import TooMuch
from ..conf import get_conf


class TopicLimits:
    """The subscriptions of one process to topics, by address. An idle topic counts for the address that left it last.

    Only a topic that is not in memory needs room. Room is made by dropping idle topics, the longest idle first.
    """

    def __init__(self) -> None:
        self._followed: dict[str, Counter[str]] = {}  # by address: its subscriptions to each topic
        self._idle: dict[str, str | None] = {}  # the address that was last to leave, longest idle first
        self._idle_of: dict[str | None, dict[str, None]] = {}  # the same by address

    @property
    def idle(self) -> Collection[str]:
        """The topics without subscribers, longest idle first."""
        return self._idle.keys()

    def make_room(self, topics: int, address: str | None) -> list[str]:
        """Return the idle topics to be dropped so that an address may have one that is not among ``topics`` in memory.

        Raises: TooMuch, if the address, or the process, has as many topics as it may, and all have subscribers.
        """
        conf = get_conf()
        own = self._idle_of.get(address, {})
        if address is not None:
            has = len(self._followed.get(address, ())) + len(own)
            if has >= conf.max_topics_per_address:
                if not own:
                    raise TooMuch(conf.max_topics_per_address, "topics of one address")
                return [self._forget(next(iter(own)))]
        if topics < conf.max_topics:
            return []
        if not self._idle:
            raise TooMuch(conf.max_topics, "topics of this server")
        return [self._forget(next(iter(self._idle)))]

    def begin(self, topic: str, address: str | None) -> None:
        """Count a subscription."""
        self.drop(topic)
        if address is not None:
            self._followed.setdefault(address, Counter())[topic] += 1

    def end(self, topic: str, address: str | None, *, is_last: bool) -> None:
        """End the count of a subscription; ``is_last`` if the topic has no other."""
        if address is not None:
            followed = self._followed[address]
            followed[topic] -= 1
            if not followed[topic]:
                del followed[topic]
            if not followed:
                del self._followed[address]
        if is_last:
            self._idle[topic] = address
            self._idle_of.setdefault(address, {})[topic] = None

    def drop(self, topic: str) -> None:
        """Note that a topic is no longer idle: it is followed again, or was removed."""
        if topic in self._idle:
            self._forget(topic)

    def _forget(self, topic: str) -> str:
        address = self._idle.pop(topic)
        of_address = self._idle_of[address]
        del of_address[topic]
        if not of_address:
            del self._idle_of[address]
        return topic
