"""A release of an app in a process of its own: ``RELEASE=next python -m tests.contract.release``.

It follows the topic ``parcels.1`` as a page of its hub does. It waits for a line, sequences what there is if the line
is ``work``, and prints as JSON whether its page is right, the page's rows, how often the topic was read, and errors.
"""

import asyncio
import json
import logging
import os
import sys

import django
from channels.layers import InMemoryChannelLayer


def work(chores) -> None:
    """Do all chores of a process, and sequence what has been committed."""
    from realtime.publishing import positions
    from realtime.publishing.sequencer import sequence

    chores._verify_due = chores._claim_due = 0.0
    chores.turn()
    while sequence(positions.probe()) is not None:
        pass


def start(chores) -> None:
    from realtime.publishing import capture, positions, releases

    positions.ensure_epoch()
    capture.install(is_patient=True)
    releases.announce()
    work(chores)


async def main() -> None:
    from realtime.delivery import topic_reads
    from realtime.delivery.topic_reads import TopicReads
    from realtime.publishing.housekeeping import Housekeeping
    from realtime.publishing.positions import Reading, read_topic
    from realtime.runtime.threads import DatabaseThreads, close_all
    from tests.delivery.conftest import CountingHub, Follower, Wire

    faults: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: faults.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("realtime").addHandler(handler)
    readings: list[str] = []

    def read_and_count(topic: str, seconds: float | None = None) -> Reading:
        readings.append(topic)
        return read_topic(topic, seconds)

    vars(topic_reads)["read_topic"] = read_and_count  # imported there by name
    layer = InMemoryChannelLayer()
    publisher, readers, topics = (DatabaseThreads(name, 1) for name in ("publisher", "reader", "topic"))
    chores = Housekeeping(f"release {os.getpid()}")
    chores.stop()  # a turn does not wait
    await publisher.run(start, chores)
    reads = TopicReads(topics, 1)
    hub = CountingHub(layer, readers, reads, 0.01)
    wire = Wire(hub, readers, reads, layer, readers.run, None)
    await hub.start()
    follower = await Follower("parcels.1").follow(hub)
    line = "start"
    while line:
        if line == "work":
            await publisher.run(work, chores)
        await wire.settle()
        is_current = await wire.is_current(follower)
        print(json.dumps([is_current, sorted(follower.replica.rows), len(readings), faults]), flush=True)
        line = (await asyncio.to_thread(sys.stdin.readline)).strip()
    await hub.stop()
    await close_all(publisher, readers, topics)


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
