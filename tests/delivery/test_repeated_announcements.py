"""Announcements that are sent again: a program that reads the layer can record a sealed message, but not use it."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from realtime import notices
from realtime.access import revocation
from realtime.engine.messages import Notice
from realtime.models import LogEntry
from realtime.publishing import log as log_module
from realtime.publishing import positions
from realtime.publishing.layer import EVERYONE_GROUP
from tests.conftest import until
from tests.delivery.conftest import Follower, Wire


def texts(follower: Follower) -> list[str]:
    """Return the notices that a follower has received."""
    return [one.text for one in follower.received if isinstance(one, Notice)]


async def connected(wire: Wire, topic: str) -> Follower:
    """Return a follower that is connected to a hub which has joined the group of all."""
    await wire.hub._channel.join(EVERYONE_GROUP)
    follower = Follower(topic)
    wire.hub.connect(follower)
    return await follower.follow(wire.hub)


async def handled(wire: Wire, follower: Follower) -> None:
    """Wait until the hub has handled all that was sent to it by the layer: messages keep their order."""
    await wire.send(await wire.write(notices.broadcast, "the last one"))
    await until(lambda: texts(follower).count("the last one") == 1)


def aged(**age: float) -> None:
    """Make all entries of the log older."""
    LogEntry.objects.update(created_at=Now() - timedelta(**age))


class Gate:
    """Lets reads of the log's tail through one by one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, is_before: bool) -> None:
        """``is_before``: a read waits before it has asked the database, else when it has the answer."""
        self.reached, self.opened, self._tail = threading.Event(), threading.Event(), log_module.tail
        self._is_before = is_before
        monkeypatch.setattr(log_module, "tail", self._read)

    def _read(self, after: int) -> log_module.Tail:
        tail = None if self._is_before else self._tail(after)
        self.reached.set()
        assert self.opened.wait(30)
        return tail or self._tail(after)


KINDS: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "to all": lambda topic: (notices.broadcast, "recorded"),
    "to a topic": lambda topic: (notices.broadcast, "recorded", topic),
    "of rights": lambda topic: (revocation.announce,),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_announcement_is_not_repeated_in_a_process_that_starts_later(
    make_wire, topic, kind, in_database
):
    """It has never received it, so only the log says that it is old."""
    first = await make_wire(1000.0)
    recorded = await first.write(*KINDS[kind](topic))
    await in_database(aged, seconds=60)
    later = await make_wire(1000.0)
    follower = await connected(later, topic)
    await later.settle()
    later.hub.rights_changed.take()

    for _ in range(3):
        await later.send(recorded)
    await handled(later, follower)

    assert texts(follower) == ["the last one"]
    assert not later.hub.rights_changed.is_set()


@pytest.mark.parametrize("is_local", [False, True], ids=["to all", "to a topic"])
async def test_a_notice_is_not_repeated_before_the_first_look(
    slow, topic, is_local, in_database, monkeypatch
):
    """Whatever the layer brings then may be old."""
    recorded = await slow.write(notices.broadcast, "recorded", topic if is_local else None)
    await in_database(aged, seconds=60)
    gate = Gate(monkeypatch, is_before=True)
    await slow.hub._channel.join(EVERYONE_GROUP)
    follower = Follower(topic)
    slow.hub.connect(follower)
    await until(gate.reached.is_set)

    for _ in range(3):
        await slow.send(recorded)
    gate.opened.set()
    await follower.follow(slow.hub)
    await slow.settle()
    await handled(slow, follower)

    assert texts(follower) == ["the last one"]


async def test_an_announcement_is_not_repeated_after_a_thousand_others(slow, topic):
    """No number of them makes the hub forget how far it has read."""
    follower = await connected(slow, topic)
    await slow.settle()
    recorded = await slow.write(notices.broadcast, "recorded")
    await slow.send(recorded)

    def many() -> None:
        for number in range(1001):
            notices.broadcast(f"notice {number}")

    await slow.send(await slow.write(many))
    await until(lambda: "notice 1000" in texts(follower))
    await slow.settle()

    await slow.send(recorded)
    await handled(slow, follower)

    assert texts(follower).count("recorded") == 1
    assert len(slow.hub._announced) <= 2


async def test_an_announcement_is_not_repeated_when_it_was_removed_from_the_log(slow, topic, in_database):
    """As by a feed's own retention, which leaves the log's edge where it is."""
    recorded = await slow.write(notices.broadcast, "recorded", topic)
    await in_database(LogEntry.objects.all().delete)
    follower = await connected(slow, topic)
    await slow.settle()

    await slow.send(recorded)
    await handled(slow, follower)

    assert texts(follower) == ["the last one"]


@pytest.mark.parametrize("has_looked", [False, True], ids=["that has just begun", "that is known"])
async def test_an_announcement_of_an_earlier_epoch_is_not_repeated_in_one(
    slow, topic, in_database, has_looked
):
    """Positions of two epochs do not compare: only the log says which announcements of its epoch are new."""
    recorded = await slow.write(notices.broadcast, "recorded")
    await in_database(aged, seconds=60)
    follower = await connected(slow, topic)
    await slow.settle()

    await in_database(positions.begin_epoch)
    if has_looked:
        await slow.settle()
    await slow.send(recorded)
    new = await slow.write(notices.broadcast, "of the new epoch")
    await slow.send(new)
    await slow.settle()
    await slow.send(new)
    await handled(slow, follower)

    assert texts(follower) == ["of the new epoch", "the last one"]


@pytest.mark.parametrize(
    "is_before", [True, False], ids=["then the log is read", "that reads the log too early"]
)
@pytest.mark.parametrize("is_lost", [False, True], ids=["by the layer", "lost by the layer"])
async def test_a_notice_between_the_first_connection_and_the_first_look_arrives_once(
    slow, topic, monkeypatch, is_before, is_lost
):
    """Its connection is open, so the notice is for it too."""
    gate = Gate(monkeypatch, is_before)
    await slow.hub._channel.join(EVERYONE_GROUP)
    follower = Follower(topic)
    slow.hub.connect(follower)
    await until(gate.reached.is_set)

    await slow._in_database(notices.broadcast, "meanwhile")
    batch = await slow._in_database(slow._log.sequence)
    if not is_lost:
        await slow.send(batch)
    gate.opened.set()
    await slow.settle()

    assert texts(follower) == ["meanwhile"]


async def test_a_connection_that_comes_during_a_look_receives_what_is_announced_since(
    slow, topic, monkeypatch, in_database
):
    """The look began for a topic without connections, so that its answer is older than the connection."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    await slow._in_database(notices.broadcast, "before")
    await slow._in_database(slow._log.sequence)
    await in_database(aged, seconds=60)
    gate = Gate(monkeypatch, is_before=False)
    slow.hub.look_soon()
    await until(gate.reached.is_set)

    slow.hub.connect(follower)
    await slow._in_database(notices.broadcast, "meanwhile")
    await slow._in_database(slow._log.sequence)
    gate.opened.set()
    await slow.settle()

    assert texts(follower) == ["meanwhile"]
