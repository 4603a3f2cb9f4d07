"""Interest: the topics that the hubs of all processes hold, and in which formats. The entry of a topic that no process
holds has no rows; that of a topic that all hold in the same format has rows in this format only.

A hub notes a topic, and only then reads its rows. The sequencer reads the notes in the snapshot of the changes: if the
note is not in it, the hub's reading is a later snapshot, which has the changes. Correctness does not depend on notes: a
hub that holds a topic and receives an entry without the rows that it needs reads the topic, whether or not its note was
stored. If no process renews its notes (they are of an older release, or none runs), rows are read for all topics.
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple, TypeVar

import msgspec
from django.db.models import Q

from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..engine.messages import Content
from ..models import Interest, Process, SecondsNow, is_over

Item = TypeVar("Item")

VALID_SECONDS = 30.0
"""How long the notes of a process are valid after it has renewed them."""
FORGET_SECONDS = 600.0
"""After how long the notes of a process that no longer renews them are deleted."""
MAX_NUMBER = 2**53
AT_ONCE = 500
"""How many topics one statement names: databases limit the parameters of a statement."""
MAX_NAMES = 100
"""How many of the viewers of a topic are named at most; the others are only counted."""


class Viewers(NamedTuple):
    """How many connections follow a topic, and the names of those that have one, in order."""

    number: int = 0
    names: tuple[str, ...] = ()


def begin(process: str) -> int:
    """Begin the notes of a process, which has none then, and delete those of processes that ended long ago.

    Returns: the number by which ``note`` knows the process.
    """
    with engine_transaction():
        ended = Process.objects.filter(is_over("seen_at", FORGET_SECONDS) | Q(name=process))
        for number in list(ended.values_list("pk", flat=True)):
            Interest.objects.filter(process=number).delete()
            Process.objects.filter(pk=number).delete()
        # At random: after a restore the number must not be that of another process.
        return Process.objects.create(pk=1 + secrets.randbelow(MAX_NUMBER), name=process).pk


def note(
    number: int,
    held: Mapping[str, int],
    dropped: Collection[str] = (),
    formats: Mapping[str, Content | None] | None = None,
    names: Mapping[str, Collection[str]] | None = None,
) -> bool:
    """Note topics that a process holds, each with its number of viewers, and delete the notes of those it has dropped.

    ``formats`` has the format of topics that are held in one only, ``names`` those of viewers. Renews all notes of the
    process. Returns whether its row exists; if not, its notes were deleted, and none was stored.
    """
    with engine_transaction():
        if not Process.objects.filter(pk=number).update(seen_at=SecondsNow()):
            return False
        for some in _in_parts(dropped):
            Interest.objects.filter(process=number, topic__in=some).delete()
        for part in _in_parts(held.items()):
            Interest.objects.bulk_create(
                [
                    Interest(
                        process_id=number,
                        topic=topic,
                        viewers=viewers,
                        format=(formats or {}).get(topic) or "",
                        names=_encoded((names or {}).get(topic, ())),
                    )
                    for topic, viewers in part
                ],
                update_conflicts=True,
                unique_fields=["topic", "process"],
                update_fields=["viewers", "format", "names"],
            )
        return True


def followed(topics: Collection[str]) -> dict[str, Content | None]:
    """Return which of the topics any process holds, as of the snapshot that is read; all of them if that is unknown.

    Each topic has the format in which all its holders hold it; None for all formats.
    """
    here = database()
    found: dict[str, Content | None] = {}
    for some in _in_parts(topics):
        rows = here.fetch(
            "SELECT topic, format FROM realtime_process LEFT JOIN realtime_interest "
            f"ON process_id = realtime_process.id AND topic IN ({', '.join(['%s'] * len(some))}) "
            f"WHERE abs({here.NOW} - seen_at) < %s",
            [*some, VALID_SECONDS],
        )
        if not rows:
            return dict.fromkeys(topics)
        for topic, format in rows:
            if topic is not None:
                found[topic] = (format or None) if found.get(topic, format) == format else None
    return found


def viewers(topics: Collection[str]) -> dict[str, Viewers]:
    """Return for each topic its viewers in all processes whose notes are valid.

    As of the last ten seconds; of a topic whose feed has ``presence``, as of the last one.
    """
    here = database()
    numbers: dict[str, int] = defaultdict(int)
    names: dict[str, set[str]] = defaultdict(set)
    for some in _in_parts(topics):
        for topic, number, encoded in here.fetch(
            "SELECT topic, viewers, names FROM realtime_interest JOIN realtime_process "
            f"ON process_id = realtime_process.id WHERE abs({here.NOW} - seen_at) < %s AND viewers > 0 "
            f"AND topic IN ({', '.join(['%s'] * len(some))})",
            [VALID_SECONDS, *some],
        ):
            numbers[topic] += number
            names[topic].update(_decoded(encoded))
    return {topic: Viewers(numbers[topic], tuple(sorted(names[topic])[:MAX_NAMES])) for topic in topics}


def end(number: int) -> None:
    """Delete the notes of a process that stops: its viewers follow elsewhere now."""
    with engine_transaction():
        Interest.objects.filter(process=number).delete()
        Process.objects.filter(pk=number).delete()


def _encoded(names: Collection[str]) -> str:
    return msgspec.json.encode(list(names)).decode() if names else ""


def _decoded(names: str) -> list[str]:
    return msgspec.json.decode(names, type=list[str]) if names else []


def _in_parts(items: Collection[Item]) -> Iterator[list[Item]]:
    """Yield the items in groups, each for one statement."""
    every = list(items)
    for start in range(0, len(every), AT_ONCE):
        yield every[start : start + AT_ONCE]
