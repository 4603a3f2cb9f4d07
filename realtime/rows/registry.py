"""The registry: all feeds of a project by name, and the feed of a topic."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from django.core.exceptions import ImproperlyConfigured

from ..engine.errors import FeedOff, NoSuchFormat, UnknownTopic
from ..engine.messages import Format
from .feed_rows import FeedRows
from .feed_topics import is_legal

AnyFeed = TypeVar("AnyFeed", bound=FeedRows)


class Registry(Generic[AnyFeed]):
    """The feeds of a project by name: ``feeds.registry``. Iterating yields those that are not off."""

    def __init__(self) -> None:
        self._feeds: dict[str, AnyFeed] = {}
        self.refused: dict[str, str] = {}
        """Feeds whose declaration raised an error, by name; they are off, too."""

    def add(self, feed: AnyFeed) -> None:
        present = self._feeds.get(feed.name)
        if present is not None and _declaration(present) != _declaration(feed):
            one, other = type(present), type(feed)
            raise ImproperlyConfigured(
                f"two feeds have the name {feed.name!r}: {one.__name__} and {other.__name__}; rename one of them (the "
                f"first is in {one.__module__}, for {present.model._meta.label}, the other in {other.__module__}, for "
                f"{feed.model._meta.label})"
            )
        self._feeds[feed.name] = feed

    def remove(self, name: str) -> None:
        self._feeds.pop(name, None)
        self.refused.pop(name, None)

    def __iter__(self) -> Iterator[AnyFeed]:
        return iter([feed for feed in self._feeds.values() if feed.error is None])

    def __getitem__(self, name: str) -> AnyFeed:
        return self._feeds[name]

    def __contains__(self, name: str) -> bool:
        return name in self._feeds

    @property
    def off(self) -> list[AnyFeed]:
        """The feeds with a fault in their declaration, which is in ``feed.faults``."""
        return [feed for feed in self._feeds.values() if feed.error is not None]

    def find(self, topic: str) -> tuple[AnyFeed, Any]:
        """Return the feed and the key of a topic.

        Raises: UnknownTopic, also for another spelling of a key: ``entries.07`` is not ``entries.7``.
                FeedOff, if the feed is declared wrongly.
        """
        name = topic.partition(".")[0]
        feed = self._feeds.get(name)
        if name in self.refused if feed is None else feed.error is not None:
            raise FeedOff(name)
        if feed is None or not is_legal(topic):
            raise UnknownTopic(topic)
        return feed, feed.parse_topic(topic)

    def check_format(self, topic: str, format: Format) -> None:
        """Refuse a format that the feed of a topic does not have.

        Raises: NoSuchFormat; and what ``find`` raises.
        """
        if "html" in format and "html" not in self.find(topic)[0].formats:
            raise NoSuchFormat(topic, format)


def _declaration(feed: FeedRows) -> tuple[str, str, str]:
    """Return a value that is the same if the module of a feed is imported twice."""
    return type(feed).__module__, type(feed).__qualname__, feed.model._meta.label
