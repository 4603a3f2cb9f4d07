"""Encoded messages that are kept because further subscribers may be sent them.

Clients choose positions and wire formats, and so which messages are needed: their size in bytes is limited.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable

from .messages import Encoded

MAX_BYTES = 64 * 1024 * 1024
MAX_TOPIC_BYTES = 16 * 1024 * 1024


class Encodings:
    """The encoded messages of all topics of a process; ``bytes`` is their size in memory.

    The least recently used are dropped: in a topic single messages, in the process all messages of a topic.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_topic_bytes: int = MAX_TOPIC_BYTES) -> None:
        self.bytes = 0
        self._max_bytes, self._max_topic_bytes = max_bytes, max_topic_bytes
        self._topics: OrderedDict[object, _OfTopic] = OrderedDict()

    def get(self, topic: object, key: Hashable) -> Encoded | None:
        """Return a message of a topic; None if it is not kept. ``topic`` is any object that identifies the topic."""
        kept = self._topics.get(topic)
        if kept is None or key not in kept.messages:
            return None
        self._topics.move_to_end(topic)
        kept.messages.move_to_end(key)
        return kept.messages[key]

    def keep(self, topic: object, key: Hashable, message: Encoded) -> None:
        """Keep a message that ``get`` did not return; however long it is, it stays at least until the next one."""
        kept = self._topics.setdefault(topic, _OfTopic())
        self._topics.move_to_end(topic)
        kept.messages[key] = message
        self._grow(kept, sys.getsizeof(message))
        while kept.bytes > self._max_topic_bytes and len(kept.messages) > 1:
            self._grow(kept, -sys.getsizeof(kept.messages.popitem(last=False)[1]))
        while self.bytes > self._max_bytes and len(self._topics) > 1:
            self.forget(next(iter(self._topics)))

    def forget(self, topic: object) -> None:
        """Drop the messages of a topic: it has changed."""
        kept = self._topics.pop(topic, None)
        if kept is not None:
            self.bytes -= kept.bytes

    def _grow(self, kept: _OfTopic, size: int) -> None:
        kept.bytes += size
        self.bytes += size


class _OfTopic:
    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.bytes = 0
        self.messages: OrderedDict[Hashable, Encoded] = OrderedDict()
