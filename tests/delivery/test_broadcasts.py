"""Broadcasts within a process: which connections get them; tests/transports/test_broadcasts.py has the whole path."""

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.access.visitors import ANONYMOUS
from realtime.delivery import broadcasts
from realtime.delivery.broadcasts import Broadcasts, may_be_given, permit
from realtime.engine.errors import UnknownTopic
from realtime.engine.messages import Broadcast
from realtime.rows.visibility import BadAnswer
from tests.conftest import until
from tests.delivery.conftest import Follower


async def test_many_subscribers_are_served_in_steps(sociable, slow, quay, topic, monkeypatch):
    """Each once; the sender, and those that have left, not at all."""
    monkeypatch.setattr(broadcasts, "FAN_OUT_AT_ONCE", 3)
    followers = [await Follower(topic).follow(slow.hub) for _ in range(10)]
    sender, left, *others = followers
    slow.hub.unsubscribe(topic, left)
    left.session.unsubscribe(topic)

    slow.hub.broadcasts.send(Broadcast(topic, "typing"), sender)
    await until(lambda: all(is_told(follower) for follower in others))
    await until(lambda: not slow.hub.broadcasts._tasks)

    assert [len(told(follower)) for follower in followers] == [0, 0, *[1] * 8]


def told(follower: Follower) -> list[Broadcast]:
    return [message for message in follower.received if isinstance(message, Broadcast)]


def is_told(follower: Follower) -> bool:
    return bool(told(follower))


async def test_a_topic_that_is_not_held_has_no_receivers(sociable, slow, quay, topic):
    """It was dropped meanwhile."""
    slow.hub.broadcasts.send(Broadcast("boards", "typing"), await Follower(topic).follow(slow.hub))

    assert not slow.hub.broadcasts._tasks


def test_a_feed_without_the_method_is_not_asked(log, quay, topic, sociable, monkeypatch):
    """No query is made for what no user may do."""
    allowed = may_be_given(topic)
    monkeypatch.delattr(sociable, "can_broadcast")

    assert (allowed, may_be_given(topic)) == (True, False)
    with pytest.raises(UnknownTopic):
        may_be_given("unknown")


@pytest.mark.parametrize("answer", [True, False])
def test_the_permission_is_the_feeds(log, quay, topic, sociable, monkeypatch, answer):
    """An anonymous user has no key, and no name."""
    monkeypatch.setattr(sociable, "can_broadcast", lambda self, user, key: answer and key == quay.pk)

    assert permit(ANONYMOUS, topic) == (answer, None, "")


def test_a_permission_that_is_always_true_grants_nothing(log, topic, sociable, monkeypatch):
    """A method that was not called, for example."""
    monkeypatch.setattr(sociable, "can_broadcast", lambda self, user, key: user.has_perm)

    with pytest.raises(BadAnswer, match="can_broadcast of feed"):
        permit(ANONYMOUS, topic)


# ---------------------------------------------------------------- floods


class Receiver:
    """A subscriber that counts what it is offered."""

    def __init__(self) -> None:
        self.count = 0

    def offer(self, message) -> bool:
        self.count += 1
        return True


class Held:
    """A topic that the hub holds."""

    def __init__(self, name: str, receivers: int) -> None:
        self.name = self.group = name
        self.subscribers = {Receiver() for _ in range(receivers)}
        self.is_in_question = False

    @property
    def delivered(self) -> int:
        return sum(receiver.count for receiver in self.subscribers)


class Layer:
    """A channel layer that answers when it is told to."""

    def __init__(self) -> None:
        self.groups: list[str] = []
        self.answers = asyncio.Event()

    async def send(self, group: str, message) -> None:
        self.groups.append(group)
        await self.answers.wait()


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the test moves; all is delivered in one step."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(broadcasts, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(broadcasts, "FAN_OUT_AT_ONCE", 10_000)
    return clock


@pytest.fixture
async def make():
    """A function that returns topics of the given sizes, and what broadcasts to them."""
    made = []

    def make(*sizes):
        held: Any = [Held(f"entries.{number}", size) for number, size in enumerate(sizes)]
        layer: Any = Layer()
        made.append(Broadcasts({each.name: each for each in held}, layer))
        return held, made[-1], layer

    yield make
    for each in made:
        each.stop()


def flood(sent_by, topics, number):
    for _ in range(number):
        for topic in topics:
            sent_by.send(Broadcast(topic.name, "flood"), Receiver())


@pytest.mark.parametrize(
    "sizes", [[40], [40] * 5, [1] * 10, [3000], [500] * 3], ids=lambda sizes: f"{len(sizes)} of {sizes[0]}"
)
async def test_floods_leave_other_topics_their_share(clock, make, sizes):
    """However large they are: five messages a second for ten readers arrive, all of them."""
    (quiet, *flooded), sent_by, _ = make(10, *sizes)

    for step in range(150):
        clock.now = step / 10
        flood(sent_by, flooded, 15)
        if step % 2:
            sent_by.send(Broadcast(quiet.name, "typing"), Receiver())

    assert quiet.delivered == 75 * 10


@pytest.mark.parametrize("size", [1, 40, 3000, 9000])
async def test_a_topic_may_use_what_others_do_not(clock, make, size):
    """The limit of the process is that of the only busy topic too, over any length of time."""
    (busy,), sent_by, _ = make(size)

    for step in range(200):
        clock.now = step / 10
        flood(sent_by, [busy], 2 + 400 // size)

    limit = broadcasts.DELIVERIES_PER_SECOND * 20
    cost = busy.delivered * (1 + 1 / size)
    assert 0.8 * limit <= cost <= limit + broadcasts.MAX_DELIVERIES + 2 * (1 + size)


async def test_a_large_topic_is_not_silenced_by_small_ones(clock, make):
    """One message of it may cost more than what floods leave in store."""
    (large, *flooded), sent_by, _ = make(9000, 40, 40)

    for step in range(150):
        clock.now = step / 10
        flood(sent_by, flooded, 15)
        sent_by.send(Broadcast(large.name, "typing"), Receiver())

    assert large.delivered >= 3 * 9000


async def test_a_flood_that_waits_for_the_layer_leaves_room_for_other_topics(clock, make):
    """A slow layer is given broadcasts of all topics, also with one that has very many."""
    (quiet, flooded), sent_by, layer = make(1, 1)

    flood(sent_by, [flooded], 500)
    flood(sent_by, [quiet], 1)

    await until(lambda: quiet.group in layer.groups)
    assert layer.groups.count(flooded.group) == broadcasts.MAX_SENDING_OF_TOPIC


async def test_a_flood_that_waits_for_rights_leaves_room_for_other_topics(clock, make, monkeypatch):
    """Waiting broadcasts are delivered when the rights are known."""
    monkeypatch.setattr(broadcasts, "QUESTION_SECONDS", 900.0)
    monkeypatch.setattr(broadcasts, "QUESTION_LOOKS", 90_000)
    (quiet, flooded), sent_by, layer = make(1, 1)
    layer.answers.set()
    quiet.is_in_question = flooded.is_in_question = True

    flood(sent_by, [flooded], 500)
    flood(sent_by, [quiet], 1)
    quiet.is_in_question = False

    await until(lambda: quiet.delivered == 1)
    assert flooded.delivered == 0


async def test_what_is_kept_of_a_topic_ends_with_it(clock, make):
    """Topics come and go as long as a process runs."""
    held, sent_by, layer = make(1)
    layer.answers.set()
    flood(sent_by, held, 1)
    await until(lambda: not sent_by._tasks)
    known = len(sent_by._shares)

    sent_by._topics.clear()
    held.clear()

    await until(lambda: gc.collect() >= 0 and not sent_by._shares)
    assert known == 1
