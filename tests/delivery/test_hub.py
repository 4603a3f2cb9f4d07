"""The hub: the layer carries changes quickly, the log carries them for certain, and subscribers see each once."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection

from realtime import notices
from realtime.access.visitors import NOBODY
from realtime.boards.models import Entry
from realtime.delivery import hub as hub_module
from realtime.delivery import shared_topic as held_module
from realtime.delivery.hub import Hub
from realtime.delivery.shared_topic import SharedTopic
from realtime.engine.messages import Error, Notice, decode_server
from realtime.engine.session import Ending, Session
from realtime.feeds import registry
from realtime.models import OutboxRow
from realtime.publishing import log as the_log
from realtime.publishing import positions
from realtime.publishing.layer import group, to_message
from realtime.publishing.positions import read_topic
from realtime.publishing.sequencer import Batch
from realtime.runtime.threads import DatabaseThreads
from tests.conftest import until
from tests.support.limits import default_limits
from tests.support.replica import Replica


class Follower:
    """A connection without a socket: what its session would send goes into a replica at once."""

    def __init__(self, topic: str) -> None:
        self.visitor = NOBODY
        self.writer = None
        self.session = Session(default_limits())
        list(iter(self.session.next, None))
        self.replica = Replica(topic)
        self.heard: list[Any] = []
        self.ended: Ending | None = None
        self.beats = 0

    @property
    def topics(self) -> list[str]:
        return self.session.topics

    def notify(self, topic: str) -> None:
        self.session.notify(topic)
        self.take()

    def post(self, message: Any) -> None:
        self.session.post(message)
        self.take()

    def pulse(self) -> None:
        self.beats += 1

    def revoke(self, topic: str) -> None:
        self.session.unsubscribe(topic)

    def end(self, ending: Ending) -> None:
        self.ended = ending

    def take(self) -> None:
        for text in list(iter(self.session.next, None)):
            message = decode_server(text)
            self.heard.append(message)
            assert not self.replica.receive(message), f"a gap: {message}"

    async def follow(self, hub: Hub) -> "Follower":
        topic = await hub.subscribe(self.replica.topic, self)
        self.session.subscribe(topic, self.replica.position, "rows")
        self.take()
        return self


class CountingHub(Hub):
    """A hub that counts how often it has looked at the log."""

    looks = 0

    async def _look(self) -> None:
        await super()._look()
        self.looks += 1


class Wire:
    """A hub that only a test's own hand feeds: no publisher runs."""

    def __init__(
        self, hub: CountingHub, readers: DatabaseThreads, layer: Any, in_database: Callable, log: Any
    ) -> None:
        self.hub, self.reader_threads, self.layer, self._in_database, self._log = (
            hub,
            readers,
            layer,
            in_database,
            log,
        )

    async def write(self, function: Callable, *args: Any, **kwargs: Any) -> Batch:
        """Write and sequence; nothing is sent."""
        await self._in_database(function, *args, **kwargs)
        batch = await self._in_database(self._log.sequence)
        assert batch is not None
        return batch

    async def send(self, batch: Batch) -> None:
        for entry in batch.entries:
            await self.layer.group_send(group(entry.topic), to_message(batch.epoch, entry))

    async def forge(self, topic: str, /, **message: Any) -> None:
        """Send what no publisher of ours would."""
        await self.layer.group_send(group(topic), message)

    async def settle(self) -> None:
        """Wait until the hub has looked at the log as it is now."""
        for _ in range(2):  # the first may have been under way already
            before = self.hub.looks
            self.hub.look_soon()
            await until(lambda before=before: self.hub.looks > before)

    async def is_current(self, follower: Follower) -> bool:
        reading = await self._in_database(read_topic, follower.replica.topic)
        return {row.key: bytes(row.row) for row in reading.rows} == {
            key: contents for key, (_, contents) in follower.replica.rows.items()
        }


@pytest.fixture
async def make_wire(log, layer, in_database) -> AsyncIterator[Callable]:
    """Start a hub that looks at the log at a rhythm: ``await make_wire(follow_seconds)``."""
    wires: list[Wire] = []

    async def make(follow_seconds: float) -> Wire:
        readers = DatabaseThreads("test-reader", 4)
        hub = CountingHub(layer, readers, follow_seconds)
        await hub.start()
        wires.append(Wire(hub, readers, layer, in_database, log))
        return wires[-1]

    yield make
    for wire in wires:
        await wire.hub.stop()
        await asyncio.to_thread(wire.reader_threads.close)


@pytest.fixture
async def quick(make_wire) -> Wire:
    """A hub whose floor is one hundredth of a second."""
    return await make_wire(0.01)


@pytest.fixture
async def slow(make_wire) -> Wire:
    """A hub whose floor does not come by itself within a test: what arrives came by the layer or was asked for."""
    return await make_wire(1000.0)


@pytest.fixture
def topic(quay) -> str:
    return f"entries.{quay.pk}"


def follows(follower: Follower, label: str) -> Callable[[], bool]:
    """A condition: the follower holds a row of that label."""
    return lambda: any(f'"label":"{label}"'.encode() in row for _, row in follower.replica.rows.values())


# ---------------------------------------------------------------- the layer


async def test_a_layer_message_is_delivered_without_a_look_into_the_log(slow, quay, topic):
    """That is what the layer is for."""
    follower = await Follower(topic).follow(slow.hub)
    batch = await slow.write(quay.entries.create, label="quick")

    await slow.send(batch)
    await until(follows(follower, "quick"))

    assert follower.replica.position.offset == batch.end
    assert follower.replica.snapshots == 1


async def test_a_lost_layer_message_costs_time_alone(quick, quay, topic):
    """The floor finds it in the log."""
    follower = await Follower(topic).follow(quick.hub)

    await quick.write(quay.entries.create, label="lost on the way")

    await until(follows(follower, "lost on the way"))
    assert follower.replica.snapshots == 1


async def test_a_gap_is_filled_from_the_log(slow, quay, topic):
    """A message whose predecessor is missing is not applied before it."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.write(quay.entries.create, label="first")
    second = await slow.write(quay.entries.create, label="second")

    await slow.send(second)
    await until(follows(follower, "second"))

    assert follows(follower, "first")()
    assert follower.replica.position.offset == second.end


async def test_what_comes_twice_is_told_once(slow, quay, topic):
    """By the layer, and again by the layer, and by the log."""
    follower = await Follower(topic).follow(slow.hub)
    before = len(follower.heard)
    batch = await slow.write(quay.entries.create, label="once")

    for _ in range(3):
        await slow.send(batch)
    await until(follows(follower, "once"))
    await slow.settle()

    assert len(follower.heard) == before + 1


async def test_messages_in_the_wrong_order_end_in_the_right_rows(slow, quay, topic):
    """The later one brings both; the earlier one is old news then."""
    follower = await Follower(topic).follow(slow.hub)
    entry = await slow._in_database(quay.entries.first)
    batches = [
        await slow.write(Entry.objects.filter(pk=entry.pk).update, label=label) for label in ("old", "new")
    ]

    for batch in reversed(batches):
        await slow.send(batch)
    await until(follows(follower, "new"))
    await slow.settle()

    assert await slow.is_current(follower)


GOOD = {
    "epoch": "", "kind": "changes", "topic": "", "after": 0, "begins": 0, "position": 10**9, "payload": "[]",
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "another0"},
        {"after": 10**9 - 1},
        {"position": 0},
        {"position": -5},
        {"payload": "garbage"},
        {"payload": '[{"op":"explode","key":"1"}]'},
        {"payload": "[" * 100_000},
        {"payload": None},
        {"payload": 5},
        {"kind": "unheard of"},
        {"kind": None},
        {"after": "x"},
        {"position": None},
        {"topic": ["a", "list"]},
        {"topic": "entries.nonsense"},
        {"type": "websocket.close"},
        {"type": "realtime.unheard.of"},
        {"type": None},
        {"epoch": ...},
        {"payload": ...},
    ],
    ids=lambda change: " ".join(f"{name}={str(value)[:20]}" for name, value in change.items()),
)  # fmt: skip
async def test_a_strange_layer_message_changes_nothing(slow, quay, topic, change, lines):
    """From the future, from another life, poisoned or from somebody else: the log is the truth; all goes on."""
    follower = await Follower(topic).follow(slow.hub)
    message = {"type": "realtime.entry", **GOOD, "epoch": follower.replica.position.epoch, "topic": topic}
    message |= change
    rows = dict(follower.replica.rows)

    await slow.forge(topic, **{name: value for name, value in message.items() if value is not ...})
    batch = await slow.write(quay.entries.create, label="afterwards")
    await slow.send(batch)
    await until(follows(follower, "afterwards"))

    assert await slow.is_current(follower)
    assert rows.keys() < follower.replica.rows.keys()
    assert not any("Traceback" in line for line in lines())


async def test_a_position_beyond_the_database_is_not_believed(quick, quay, topic):
    """A message that claims to lead there would make all that follows look old."""
    follower = await Follower(topic).follow(quick.hub)
    epoch = follower.replica.position.epoch

    await quick.forge(topic, **{"type": "realtime.entry", **GOOD, "epoch": epoch, "topic": topic})
    batch = await quick.write(quay.entries.create, label="afterwards")
    await quick.send(batch)

    await until(follows(follower, "afterwards"), 3)


async def test_a_reset_has_the_rows_read_anew(slow, quay, topic):
    """Subscribers get what differs, not a snapshot."""
    follower = await Follower(topic).follow(slow.hub)

    def write() -> None:
        quay.entries.filter(label="Saltmere").update(label="Saltmere Ferry")
        OutboxRow.objects.create(source="boards_entry", image=None)

    await slow.write(write)
    slow.hub.look_soon()
    await until(follows(follower, "Saltmere Ferry"))

    assert await slow.is_current(follower)
    assert len(follower.heard[-1].changes) == 1
    assert follower.replica.snapshots == 1


async def test_a_lost_membership_is_made_up_for(quick, quay, topic, monkeypatch):
    """A layer that was flushed has forgotten us: the log delivers, and the group is joined again."""
    monkeypatch.setattr(hub_module, "REJOIN_SECONDS", 0.05)
    follower = await Follower(topic).follow(quick.hub)
    quick.layer.groups.clear()

    await quick.write(quay.entries.create, label="meanwhile")

    await until(follows(follower, "meanwhile"))
    await until(lambda: quick.layer.groups.get(group(topic)))


async def test_a_layer_that_is_down_costs_time_alone(make_wire, layer, quay, topic, monkeypatch):
    """Joining fails, receiving fails; the log delivers."""

    async def refuse(*args: object) -> None:
        raise ConnectionError("no layer")

    monkeypatch.setattr(layer, "group_add", refuse)
    monkeypatch.setattr(layer, "receive", refuse)
    wire = await make_wire(0.01)
    follower = await Follower(topic).follow(wire.hub)

    await wire.write(quay.entries.create, label="still here")

    await until(follows(follower, "still here"))


# ---------------------------------------------------------------- first load


@pytest.fixture
def readings(monkeypatch) -> list[str]:
    """Which topics were read, in order."""
    read: list[str] = []

    def counted(topic: str):
        read.append(topic)
        return read_topic(topic)

    monkeypatch.setattr(held_module, "read_topic", counted)
    return read


async def test_fifty_who_come_at_once_cost_one_reading(slow, topic, readings):
    """A restarted server must not ask its database once for each page."""
    followers = await asyncio.gather(*(Follower(topic).follow(slow.hub) for _ in range(50)))

    assert readings == [topic]
    assert {len(follower.replica.rows) for follower in followers} == {2}


async def test_who_comes_later_costs_none(slow, topic, readings, quay):
    """The topic is in memory, and current."""
    await Follower(topic).follow(slow.hub)
    await slow.send(await slow.write(quay.entries.create, label="between"))
    await until(lambda: slow.hub._held[topic].topic.position.offset > 0)

    late = await Follower(topic).follow(slow.hub)
    await until(follows(late, "between"))

    assert readings == [topic]


async def test_fifty_who_miss_one_change_cost_one_look(slow, quay, topic, monkeypatch):
    """The floor's price does not grow with the connections."""
    looks: list[str] = []
    missed = the_log.missed
    monkeypatch.setattr(the_log, "missed", lambda *args: looks.append(args[0]) or missed(*args))
    followers = [await Follower(topic).follow(slow.hub) for _ in range(50)]
    await slow.settle()
    looks.clear()

    await slow.write(quay.entries.create, label="lost on the way")
    await slow.settle()

    assert looks == [topic]
    assert all(follows(follower, "lost on the way")() for follower in followers)


async def test_a_look_that_is_older_than_what_is_held_costs_no_reading(
    slow, quay, topic, readings, monkeypatch
):
    """On a busy server changes come by the layer while the tail is being read: none of them is a step back."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    has_read, go_on = threading.Event(), threading.Event()
    tail = the_log.tail

    def read_and_wait(after: int) -> the_log.Tail:
        found = tail(after)
        has_read.set()
        assert go_on.wait(20)
        return found

    monkeypatch.setattr(the_log, "tail", read_and_wait)
    slow.hub.look_soon()
    await asyncio.to_thread(has_read.wait, 10)
    await slow.send(await slow.write(quay.entries.create, label="quicker"))
    await until(follows(follower, "quicker"))

    go_on.set()
    await slow.settle()

    assert readings == [topic]


class Held:
    """Holds a reading in its thread after it has read, until the test lets it go on."""

    def __init__(self) -> None:
        self.has_read, self.go_on = threading.Event(), threading.Event()

    def __call__(self, topic: str):
        reading = read_topic(topic)
        self.has_read.set()
        assert self.go_on.wait(20)
        return reading


@pytest.fixture
def held(monkeypatch):
    held = Held()
    monkeypatch.setattr(held_module, "read_topic", held)
    yield held
    held.go_on.set()


@pytest.mark.parametrize("is_sent", [True, False], ids=["and sent", "and lost by the layer"])
async def test_a_change_during_the_first_reading_is_not_lost(slow, quay, topic, held, is_sent):
    """Committed, sequenced and seen in the log's tail while the rows were under way: it still arrives."""
    slow.hub.connect(Follower("boards"))
    await slow.settle()
    follower = Follower(topic)
    following = asyncio.create_task(follower.follow(slow.hub))
    await asyncio.to_thread(held.has_read.wait, 10)
    batch = await slow.write(quay.entries.create, label="meanwhile")
    if is_sent:
        await slow.send(batch)
    await slow.settle()

    held.go_on.set()
    await following
    slow.hub.look_soon()

    await until(follows(follower, "meanwhile"), 3)


async def test_a_topic_that_cannot_be_read_is_refused(slow, topic, monkeypatch):
    """The first subscriber gets the error, and is not counted as one; the next may try again."""

    def fail(topic: str):
        raise RuntimeError("broken")

    with monkeypatch.context() as broken:
        broken.setattr(held_module, "read_topic", fail)
        with pytest.raises(RuntimeError):
            await Follower(topic).follow(slow.hub)
        assert not slow.hub._held[topic].subscribers

    assert len((await Follower(topic).follow(slow.hub)).replica.rows) == 2


async def test_who_leaves_while_reading_leaves_nothing(slow, topic, held):
    """A cancelled subscribe is no subscriber."""
    following = asyncio.create_task(Follower(topic).follow(slow.hub))
    await asyncio.to_thread(held.has_read.wait, 10)

    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    assert not slow.hub._held[topic].subscribers
    held.go_on.set()


# ---------------------------------------------------------------- how long topics are held


async def test_a_topic_without_subscribers_is_forgotten_after_a_while(quick, quay, topic, settings):
    """And its group is left; who comes then reads it anew."""
    settings.REALTIME = {"TOPIC_LINGER_SECONDS": 0.05}
    follower = await Follower(topic).follow(quick.hub)

    quick.hub.disconnect(follower, [topic])
    await until(lambda: topic not in quick.hub._held)
    await until(lambda: not quick.layer.groups.get(group(topic)))
    again = await Follower(topic).follow(quick.hub)
    await quick.write(quay.entries.create, label="later")

    await until(follows(again, "later"))


async def test_a_topic_lingers_for_who_comes_back(slow, topic, readings):
    """A reload is not a reading."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.disconnect(follower, [topic])

    await Follower(topic).follow(slow.hub)

    assert readings == [topic]


async def test_who_has_left_hears_nothing(slow, quay, topic):
    """Neither changes nor heartbeats nor notices."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.connect(follower)
    staying = await Follower(topic).follow(slow.hub)
    slow.hub.disconnect(follower, [topic])
    before = len(follower.heard)

    await slow.send(await slow.write(quay.entries.create, label="too late"))
    await until(follows(staying, "too late"))

    assert len(follower.heard) == before
    assert follower not in slow.hub.connections


# ---------------------------------------------------------------- the log's life


async def test_a_new_epoch_is_a_snapshot_for_everyone(quick, quay, safe, topic):
    """Nothing of the old life compares."""
    others = f"entries.{safe.pk}"
    followers = [await Follower(name).follow(quick.hub) for name in (topic, others)]
    await quick.settle()

    await quick._in_database(positions.begin_epoch)

    epoch = (await quick._in_database(positions.position_now)).epoch
    await until(lambda: all(one.replica.position.epoch == epoch for one in followers))
    assert [one.replica.snapshots for one in followers] == [2, 2]
    await quick.write(quay.entries.create, label="in the new life")
    await until(follows(followers[0], "in the new life"))


async def test_the_floor_holds_after_the_database_was_put_back(quick, quay, topic):
    """Positions start lower than the hub has seen: what the layer loses is still found in the log."""
    for number in range(20):
        await quick.write(quay.entries.create, label=str(number))
    follower = await Follower(topic).follow(quick.hub)
    await quick.settle()

    def put_back() -> None:
        OutboxRow.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'realtime_outboxrow'")
        positions.begin_epoch()

    await quick._in_database(put_back)
    await until(lambda: follower.replica.snapshots == 2)
    await quick.write(quay.entries.create, label="after the restore")

    await until(follows(follower, "after the restore"), 3)


async def test_a_pruned_log_has_the_rows_read_anew(slow, quay, topic, settings):
    """Who fell behind further than the log reaches still ends where everyone is."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    await slow.write(quay.entries.filter(label="Saltmere").delete)
    await slow._in_database(the_log.prune)

    await slow.send(await slow.write(quay.entries.create, label="after the gap"))
    await until(follows(follower, "after the gap"))
    await slow.settle()

    assert await slow.is_current(follower)


async def test_a_position_is_reached_when_the_database_has_come_to_it(slow, quay):
    """One from a future that was lost is not; the database is asked only when it might be."""
    now = await slow._in_database(positions.position_now)

    assert await slow.hub.has_reached(now.offset)
    assert not await slow.hub.has_reached(now.offset + 1)
    await slow.write(quay.entries.create, label="one more")
    assert await slow.hub.has_reached(now.offset + 1)


# ---------------------------------------------------------------- failures


class Broken:
    """A feed's method that fails while it is told to."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    def of(self, method: Callable) -> Callable:
        def perhaps(*args: Any) -> Any:
            if self.error is not None:
                raise self.error
            return method(*args)

        return perhaps


def errors_of(follower: Follower) -> list[Error]:
    return [message for message in follower.heard if isinstance(message, Error)]


@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), OperationalError("no such column: x")], ids=["Python", "SQL"]
)
async def test_a_failing_feed_stops_itself_alone(quick, quay, topic, live, in_database, monkeypatch, error):
    """Its subscribers hear of it once; the other topics go on; when it works again, so does it."""
    feed = await in_database(live, Entry, name="aaa_broken", fields=["label"])
    broken = await Follower("aaa_broken").follow(quick.hub)
    sound = await Follower(topic).follow(quick.hub)
    await quick.settle()
    broken_for_now = Broken(error)
    monkeypatch.setattr(feed, "get_queryset", broken_for_now.of(feed.get_queryset))

    await quick.write(quay.entries.create, label="during it")
    await until(follows(sound, "during it"), 3)
    await quick.write(quay.entries.create, label="still during it")
    await until(follows(sound, "still during it"), 3)
    await until(lambda: errors_of(broken))

    broken_for_now.error = None
    await until(follows(broken, "still during it"))
    assert [(told.code, told.topic) for told in errors_of(broken)] == [(4500, "aaa_broken")]


class FailsOnce:
    """A function that fails the first time it is called."""

    def __init__(self, function: Callable, error: Exception) -> None:
        self.function, self.error, self.has_failed = function, error, False

    def __call__(self, *args: Any) -> Any:
        if not self.has_failed:
            self.has_failed = True
            raise self.error
        return self.function(*args)


async def test_a_database_that_fails_once_loses_nothing(slow, quay, safe, topic, monkeypatch):
    """The look into the log is taken again, for every topic that it was to bring on."""
    others = f"entries.{safe.pk}"
    followers = [await Follower(name).follow(slow.hub) for name in (topic, others)]
    await slow.settle()
    locked = FailsOnce(the_log.missed, OperationalError("database is locked"))
    monkeypatch.setattr(the_log, "missed", locked)

    def write() -> None:
        quay.entries.create(label="both")
        safe.entries.create(label="both")

    await slow.write(write)
    slow.hub.look_soon()
    await until(lambda: locked.has_failed)
    slow.hub.look_soon()

    await until(lambda: all(follows(one, "both")() for one in followers), 3)


async def test_a_database_that_fails_at_a_new_epoch_loses_nothing(slow, quay, topic, monkeypatch):
    """Reading the rows anew is tried again until it succeeds."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    unreadable = FailsOnce(read_topic, OperationalError("disk I/O error"))
    monkeypatch.setattr(held_module, "read_topic", unreadable)
    await slow._in_database(positions.begin_epoch)
    slow.hub.look_soon()
    await until(lambda: unreadable.has_failed)
    slow.hub.look_soon()

    await until(lambda: follower.replica.snapshots == 2, 3)


async def test_a_database_that_is_away_pauses_the_hub_and_no_more(quick, quay, topic, monkeypatch, lines):
    """One line when it goes, one when it is back, and every change."""
    follower = await Follower(topic).follow(quick.hub)
    tail = the_log.tail
    away = Broken(OperationalError("unable to open database file"))
    monkeypatch.setattr(the_log, "tail", away.of(tail))
    await until(lambda: any("floor failed" in line for line in lines()))
    await quick.write(quay.entries.create, label="meanwhile")

    away.error = None

    await until(follows(follower, "meanwhile"))
    assert len([line for line in lines() if "floor failed" in line]) == 1


# ---------------------------------------------------------------- notices and heartbeats


async def test_a_notice_is_shown_once_however_often_it_comes(slow, topic, in_database):
    """By the layer, twice, and by the log: to everyone who is connected, or who follows its topic."""
    follower, bystander = await Follower(topic).follow(slow.hub), Follower("boards")
    for one in (follower, bystander):
        slow.hub.connect(one)
    await slow.hub._join("realtime.everyone")
    await slow.settle()
    batch = await slow.write(notices.broadcast, "to all")
    local = await slow.write(notices.broadcast, "to these", topic)

    for _ in range(2):
        await slow.send(batch)
        await slow.send(local)
    await until(lambda: Notice(text="to these", topic=topic) in follower.heard)
    await slow.settle()

    assert [one for one in follower.heard if isinstance(one, Notice)] == [
        Notice(text="to all"),
        Notice(text="to these", topic=topic),
    ]
    assert bystander.heard == [Notice(text="to all")]


async def test_a_notice_that_the_layer_lost_is_found_in_the_log(quick, topic):
    """Words are as safe as changes."""
    follower = await Follower(topic).follow(quick.hub)
    quick.hub.connect(follower)
    await quick.settle()

    await quick.write(notices.broadcast, "found")

    await until(lambda: Notice(text="found") in follower.heard)


async def test_old_notices_are_not_shown_to_who_comes_later(quick, topic):
    """They were for the pages that were open then."""
    await quick.write(notices.broadcast, "yesterday's")
    follower = Follower(topic)
    quick.hub.connect(follower)

    await follower.follow(quick.hub)
    await quick.settle()

    assert not [one for one in follower.heard if isinstance(one, Notice)]


async def test_every_connection_hears_a_heartbeat(make_wire, settings):
    """Within one period, whenever it came."""
    settings.REALTIME = {"HEARTBEAT_SECONDS": 0.15}
    wire = await make_wire(1000.0)
    followers = [Follower("boards") for _ in range(40)]

    for follower in followers:
        wire.hub.connect(follower)

    await until(lambda: all(follower.beats >= 2 for follower in followers))
    assert len(wire.hub.connections) == 40


def test_all_feeds_of_the_demo_are_registered():
    """The names these tests rely on."""
    assert {"entries", "board", "boards", "staffboards"} <= {feed.name for feed in registry}


# ---------------------------------------------------------------- telling many


class Listener:
    """A subscriber that notes when it was told."""

    visitor = NOBODY
    writer = None

    def __init__(self, told: list[Any]) -> None:
        self._told = told

    def notify(self, topic: str) -> None:
        self._told.append(self)


async def test_telling_many_lets_others_in_between(quick, quay, in_database):
    """A thousand subscribers are told in small groups; whoever else waits has a turn after each."""
    held = SharedTopic(f"entries.{quay.pk}", quick.reader_threads, quick.hub.look_soon)
    told: list[Any] = []
    held.subscribers = {Listener(told) for _ in range(1000)}
    await held.load()
    await until(lambda: len(told) == 1000)
    told.clear()
    seen: list[int] = []

    await in_database(quay.entries.create, label="news")
    reading = asyncio.create_task(held._read())
    while len(told) < 1000:
        seen.append(len(told))
        await asyncio.sleep(0)
    await reading

    assert len(set(seen)) > 15
    assert len(set(told)) == 1000


async def test_a_feed_may_ask_for_a_slower_rhythm(quick, live, quay, in_database):
    """One message in the interval, the last state in it; nothing final is skipped."""
    await in_database(live, Entry, name="slow", topic_field="board_id", fields=["value"], min_interval=0.3)
    entry = await in_database(quay.entries.first)
    follower = await Follower(f"slow.{quay.pk}").follow(quick.hub)
    follower.heard.clear()

    for value in range(10):
        await quick.send(await quick.write(Entry.objects.filter(pk=entry.pk).update, value=str(value)))
    await until(lambda: b'"9"' in follower.replica.rows[str(entry.pk)][1])

    assert len(follower.heard) <= 3


@pytest.mark.parametrize("interval", [-1, "1", 61, None])
def test_an_interval_that_is_none_is_refused(live, interval):
    """When the feed is registered, with words."""
    with pytest.raises(ImproperlyConfigured, match="min_interval"):
        live(Entry, min_interval=interval)
