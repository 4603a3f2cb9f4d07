"""Interest: the topics that the hubs of all processes hold, and in which formats. A change of another topic has an
entry without rows, one of a topic that all hold in the same format has rows in that format alone.

A hub notes a topic, and only then reads its rows. The sequencer reads the notes in the snapshot of the changes: if the
note is not in it, the hub's reading is a later snapshot, which has the changes. Nothing else depends on notes: a hub
that receives an entry without the rows that it needs for a topic that it holds reads the topic, whatever became of
its note. If no process renews its notes (they are of an older release, or none runs), rows are read for all topics.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..engine.messages import Content
from ..models import Interest, Process, SecondsNow

Item = TypeVar("Item")

VALID_SECONDS = 30.0
"""How long the notes of a process are valid after it has renewed them."""
FORGET_SECONDS = 600.0
"""After how long the notes of a process that no longer renews them are deleted."""
MAX_NUMBER = 2**53
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
        # By chance: a number from before a restore must be that of no other process.
        return Process.objects.create(pk=1 + secrets.randbelow(MAX_NUMBER), name=process).pk


def note(
    number: int,
    held: Mapping[str, int],
    dropped: Collection[str] = (),
    formats: Mapping[str, Content | None] | None = None,
) -> bool:
    """Note topics that a process holds, each with its number of viewers, and delete the notes of those it has dropped.

    ``formats`` has the format of topics that are held in one only. Renews all notes of the process. Returns whether it
    is known; if not, its notes are gone, and none was stored.
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
                    )
                    for topic, viewers in part
                ],
                update_conflicts=True,
                unique_fields=["topic", "process"],
                update_fields=["viewers", "format"],
            )
        return True


def followed(topics: Collection[str]) -> dict[str, Content | None]:
    """Return those of the topics that a process holds, as of the snapshot that is read; all if that is unknown.

    Each with the format in which all processes hold it; None for all formats.
    """
    here = database()
    found: dict[str, Content | None] = {}
    for some in _in_parts(topics):
        rows = here.fetch(
            "SELECT topic, format FROM realtime_process LEFT JOIN realtime_interest "
            f"ON process_id = realtime_process.id AND topic IN ({', '.join(['%s'] * len(some))}) "
            f"WHERE seen_at > {here.NOW} - %s",
            [*some, VALID_SECONDS],
        )
        if not rows:
            return dict.fromkeys(topics)
        for topic, format in rows:
            if topic is not None:
                found[topic] = (format or None) if found.get(topic, format) == format else None
    return found


def _in_parts(items: Collection[Item]) -> Iterator[list[Item]]:
    """Yield the items in groups, each for one statement."""
    every = list(items)
    for start in range(0, len(every), AT_ONCE):
        yield every[start : start + AT_ONCE]
