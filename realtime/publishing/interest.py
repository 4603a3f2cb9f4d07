"""Interest: the topics that the hubs of all processes hold. A change of another topic has an entry without rows.

A hub notes a topic, and only then reads its rows. The sequencer reads the notes in the snapshot of the changes: if the
note is not in it, the hub's reading is a later snapshot, which has the changes. Nothing else depends on notes: a hub
that receives an entry without rows for a topic that it holds reads the topic, whatever became of its note. If no
process renews its notes (they are of an older release, or none runs), rows are read for all topics.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..models import Interest, Process, SecondsNow

Item = TypeVar("Item")

VALID_SECONDS = 30.0
"""How long the notes of a process are valid after it has renewed them."""
FORGET_SECONDS = 600.0
"""After how long the notes of a process that no longer renews them are deleted."""
AT_ONCE = 500
"""How many topics one statement names: databases limit the parameters of a statement."""


def begin(process: str) -> int:
    """Begin the notes of a process, which has none then, and delete those of processes that ended long ago.

    Returns: the number by which ``note`` knows the process.
    """
    with engine_transaction():
        ended = Process.objects.filter(seen_at__lt=SecondsNow() - FORGET_SECONDS) | Process.objects.filter(
            name=process
        )
        for number in list(ended.values_list("pk", flat=True)):
            Interest.objects.filter(process=number).delete()
            Process.objects.filter(pk=number).delete()
        return Process.objects.create(name=process).pk


def note(number: int, held: Mapping[str, int], dropped: Collection[str] = ()) -> bool:
    """Note topics that a process holds, each with its number of viewers, and delete the notes of those it has dropped.

    Renews all of its notes. Returns whether the process is known; if not, its notes are gone, and none was stored.
    """
    with engine_transaction():
        if not Process.objects.filter(pk=number).update(seen_at=SecondsNow()):
            return False
        for some in _in_parts(dropped):
            Interest.objects.filter(process=number, topic__in=some).delete()
        for part in _in_parts(held.items()):
            Interest.objects.bulk_create(
                [Interest(process_id=number, topic=topic, viewers=viewers) for topic, viewers in part],
                update_conflicts=True,
                unique_fields=["topic", "process"],
                update_fields=["viewers"],
            )
        return True


def followed(topics: Collection[str]) -> set[str]:
    """Return those of the topics that a process holds, as of the snapshot that is read; all if that is unknown."""
    here = database()
    found: set[str] = set()
    for some in _in_parts(topics):
        rows = here.fetch(
            "SELECT topic FROM realtime_process LEFT JOIN realtime_interest ON process_id = realtime_process.id "
            f"AND topic IN ({', '.join(['%s'] * len(some))}) WHERE seen_at > {here.NOW} - %s",
            [*some, VALID_SECONDS],
        )
        if not rows:
            return set(topics)
        found.update(topic for (topic,) in rows if topic is not None)
    return found


def _in_parts(items: Collection[Item]) -> Iterator[list[Item]]:
    """Yield the items in groups, each for one statement."""
    every = list(items)
    for start in range(0, len(every), AT_ONCE):
        yield every[start : start + AT_ONCE]
