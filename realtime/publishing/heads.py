"""Heads: the newest entries of topics. Each is found by one step in an index, however many entries the topic and the
log have.

The conditions have no parameters: databases use a partial index only for a query that names its condition.
"""

from collections.abc import Collection

from ..databases.registry import database
from ..feeds import registry

_ASKING = "kind IN ('reset', 'rights', 'unfollowed')"
"""The entries after which rights are checked again. They include resets, which do not contain the changes."""
_UNKNOWN = "-"
"""Used as the fingerprint of a feed that this release does not have."""
AT_ONCE = 1000
"""How many topics one statement names: databases limit the parameters of a statement."""


def newest(topics: Collection[str]) -> dict[str, int]:
    """Return the position of each topic's newest entry for this release, for topics that have one."""
    # Notices do not concern the topic's rows; some resets are for other releases only.
    return _positions(topics, "kind <> 'notice' AND NOT (kind = 'reset' AND fingerprint = asked.column2)")


def newest_asking(topics: Collection[str]) -> dict[str, int]:
    """Return the position of each topic's newest entry after which rights are checked again, where there is one."""
    return _positions(topics, _ASKING)


def _positions(topics: Collection[str], condition: str) -> dict[str, int]:
    found: dict[str, int] = {}
    every = list(topics)
    for start in range(0, len(every), AT_ONCE):
        some = every[start : start + AT_ONCE]
        positions = database().fetch(
            "SELECT asked.column1, (SELECT position FROM realtime_logentry "
            f"WHERE topic = asked.column1 AND {condition} ORDER BY position DESC LIMIT 1) "
            f"FROM (VALUES {', '.join(['(%s, %s)'] * len(some))}) AS asked",
            [value for topic in some for value in (topic, _fingerprint(topic.partition(".")[0]))],
        )
        found |= {topic: position for topic, position in positions if position is not None}
    return found


def _fingerprint(feed: str) -> str:
    return registry[feed].fingerprint if feed in registry else _UNKNOWN
