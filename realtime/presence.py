"""Presence: how many connections follow a topic now, in all processes, and the names of those that have one."""

from .feeds import registry
from .publishing import interest

__all__ = ["names", "viewers"]


def viewers(topic: str) -> int:
    """Return how many connections follow a topic; as of the last seconds if its feed has ``presence``, else of ten.

    The tabs of a browser share a connection where they can; a page that polls counts while a request of it waits.

    Raises: UnknownTopic.
    """
    registry.find(topic)
    return interest.viewers([topic])[topic].number


def names(topic: str) -> list[str]:
    """Return the names of viewers of a topic, a hundred at most, in order; none unless ``presence`` is "names".

    Raises: UnknownTopic.
    """
    feed, _ = registry.find(topic)
    return list(interest.viewers([topic])[topic].names) if feed.presence == "names" else []
