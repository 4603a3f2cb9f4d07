"""The hub: the layer delivers changes quickly, the log delivers them reliably, and each is sent once."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from realtime import notices
from realtime.access.limits import TooMuch
from realtime.access.visitors import Visitor
from realtime.boards.models import Board, Entry
from realtime.delivery import hub as hub_module
from realtime.delivery import rights, rights_check
from realtime.delivery.rights_check import Right, Verdict
from realtime.delivery.shared_topic import SharedTopic
from realtime.engine.errors import Unreadable
from realtime.engine.messages import Heartbeat, Notice, delete, encode_changes
from realtime.engine.position import Position
from realtime.feeds import registry
from realtime.models import LogEntry, OutboxRow, SecondsNow
from realtime.publishing import capture, positions
from realtime.publishing import log as log_module
from realtime.publishing.layer import EVERYONE_GROUP, group, to_message
from realtime.publishing.log import EVERYONE
from realtime.publishing.sequencer import sequence
from realtime.publishing.table_watch import TableWatch
from tests.conftest import until
from tests.delivery.conftest import Broken, FailsOnce, Follower, has_row
from tests.support.positions import position_now

# ---------------------------------------------------------------- the layer


async def test_a_layer_message_is_delivered_without_reading_the_log(slow, quay, topic):
    """This is the purpose of the layer."""
    follower = await Follower(topic).follow(slow.hub)
    batch = await slow.write(quay.entries.create, label="quick")

    await slow.send(batch)
    await until(has_row(follower, "quick"))

    assert follower.replica.position.offset == batch.end
    assert follower.replica.snapshots == 1


async def test_a_lost_layer_message_costs_only_time(quick, quay, topic):
    """The hub finds the change when it reads the log."""
    follower = await Follower(topic).follow(quick.hub)

    await quick.write(quay.entries.create, label="lost on the way")

    await until(has_row(follower, "lost on the way"))
    assert follower.replica.snapshots == 1


async def test_messages_in_the_wrong_order_end_in_the_right_rows(slow, quay, topic):
    """After the later message the log is read; the earlier one is dropped then."""
    follower = await Follower(topic).follow(slow.hub)
    entry = await slow._in_database(quay.entries.first)
    batches = [
        await slow.write(Entry.objects.filter(pk=entry.pk).update, label=label) for label in ("old", "new")
    ]

    for batch in reversed(batches):
        await slow.send(batch)
    await until(has_row(follower, "new"))
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
        {"kind": "unknown"},
        {"kind": None},
        {"after": "x"},
        {"position": None},
        {"topic": ["a", "list"]},
        {"topic": "entries.nonsense"},
        {"type": "websocket.close"},
        {"type": "realtime.unknown"},
        {"type": None},
        {"epoch": ...},
        {"payload": ...},
    ],
    ids=lambda change: " ".join(f"{name}={str(value)[:20]}" for name, value in change.items()),
)  # fmt: skip
async def test_an_invalid_layer_message_changes_nothing(slow, quay, topic, change, lines):
    """Of a later version or another epoch, malformed or foreign: the rows stay right and delivery continues."""
    follower = await Follower(topic).follow(slow.hub)
    message = {"type": "realtime.entry", **GOOD, "epoch": follower.replica.position.epoch, "topic": topic}
    message |= change
    rows = dict(follower.replica.rows)

    await slow.forge(topic, **{name: value for name, value in message.items() if value is not ...})
    batch = await slow.write(quay.entries.create, label="afterwards")
    await slow.send(batch)
    await until(has_row(follower, "afterwards"))

    assert await slow.is_current(follower)
    assert rows.keys() < follower.replica.rows.keys()
    assert not any("Traceback" in line for line in lines())


async def test_what_another_program_publishes_is_not_shown(slow, quay, topic):
    """It has epoch, topic and position from any page, so its message follows exactly on the hub's position."""
    follower = await Follower(topic).follow(slow.hub)
    position = follower.replica.position
    entry = LogEntry(
        topic=topic, kind="changes", position=position.offset, after=position.offset, begins=position.offset,
        payload=encode_changes([delete(next(iter(follower.replica.rows)))]), fingerprint="",
    )  # fmt: skip

    forged = {**to_message(position.epoch, entry), "seal": "0" * 32}
    await slow.layer.group_send(group(topic), {**forged, "position": position.offset + 1})
    await slow.send(await slow.write(quay.entries.create, label="afterwards"))
    await until(has_row(follower, "afterwards"))

    assert len(follower.replica.rows) == 3
    assert await slow.is_current(follower)


async def test_a_position_beyond_the_database_is_not_believed(quick, quay, topic):
    """Otherwise a message with such a position would make all later changes look old."""
    follower = await Follower(topic).follow(quick.hub)
    epoch = follower.replica.position.epoch

    await quick.forge(topic, **{"type": "realtime.entry", **GOOD, "epoch": epoch, "topic": topic})
    batch = await quick.write(quay.entries.create, label="afterwards")
    await quick.send(batch)

    await until(has_row(follower, "afterwards"), 3)


async def test_entries_pruned_before_this_process_read_them_are_not_missed(slow, quay, topic, settings):
    """A machine that was suspended for longer than the log is kept: topics are read, rights are checked."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.connect(follower)
    await slow.settle()
    slow.hub.rights_changed.clear()
    await slow.write(quay.entries.create, label="written meanwhile")
    await slow._in_database(log_module.prune)

    await slow.settle()

    await until(has_row(follower, "written meanwhile"))
    assert slow.hub.rights_changed.is_set()


async def test_entries_pruned_after_this_process_read_them_cause_nothing(slow, quay, topic, settings):
    """The log's edge is where this process has read to: no row is read again, and no right is checked."""
    settings.REALTIME = {"LOG_RETENTION_SECONDS": -1}
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.connect(follower)
    await slow.write(quay.entries.create, label="read")
    await slow.settle()
    await until(has_row(follower, "read"))
    slow.hub.rights_changed.clear()
    await slow._in_database(log_module.prune)
    edge = (await slow._in_database(lambda: slow._log.state)).edge
    assert edge == slow.hub._compared.offset

    await slow.settle()

    assert not slow.hub.rights_changed.is_set()
    assert follower.replica.snapshots == 1


# ---------------------------------------------------------------- how far behind


async def test_a_change_that_is_not_sequenced_is_counted_by_its_age(slow, quay, topic):
    """By the database's clock; once it is sequenced and read, nothing is behind."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.connect(follower)
    await slow.settle()
    assert slow.hub.behind_seconds == 0.0

    def write() -> None:
        quay.entries.create(label="waits")
        OutboxRow.objects.update(written_at=SecondsNow() - 300)

    await slow._in_database(write)
    await slow.settle()
    assert 300 <= slow.hub.behind_seconds < 4000

    await slow._in_database(slow._log.sequence)
    await slow.settle()
    assert slow.hub.behind_seconds == 0.0


async def test_a_log_that_cannot_be_read_is_counted_since_the_last_look(quick, quay, topic, monkeypatch):
    """Also where the query hangs instead of failing."""
    quick.hub.connect(await Follower(topic).follow(quick.hub))
    await quick.settle()
    hangs, release = threading.Event(), threading.Event()

    def hang(after):
        hangs.set()
        release.wait(20)

    monkeypatch.setattr(log_module, "tail", hang)
    quick.hub.look_soon()
    await asyncio.to_thread(hangs.wait, 10)

    quick.hub._looked_at -= 100

    assert quick.hub.behind_seconds >= 100
    release.set()


async def test_a_look_counts_from_when_it_was_begun(slow, quay, topic, monkeypatch):
    """On a busy machine its result may be late, and what was committed since is as old."""
    slow.hub.connect(await Follower(topic).follow(slow.hub))
    await slow.settle()
    tail, took = log_module.tail, 0.3

    def late(after):
        found, begun = tail(after), time.monotonic()
        while time.monotonic() < begun + took:
            time.sleep(took / 10)
        return found

    monkeypatch.setattr(log_module, "tail", late)
    await slow._in_database(quay.entries.create, label="waits")
    await slow.hub._look()

    assert slow.hub.behind_seconds >= took


@pytest.mark.parametrize("connects", [True, False], ids=["a connection", "a poll"])
async def test_the_first_subscriber_after_an_idle_time_is_not_behind(quick, topic, connects):
    """The log was not read without one, because nothing needed it."""
    quick.hub._looked_at -= 1000
    follower = Follower(topic)
    if connects:
        quick.hub.connect(follower)

    await follower.follow(quick.hub)

    assert quick.hub.behind_seconds_of(topic) < 500


# ---------------------------------------------------------------- how long topics stay in memory


async def test_a_topic_without_subscribers_is_dropped_after_a_while(quick, quay, topic, settings):
    """Its group is left; the next subscriber causes a new read."""
    settings.REALTIME = {"TOPIC_LINGER_SECONDS": 0.05}
    follower = await Follower(topic).follow(quick.hub)

    quick.hub.disconnect(follower, [topic])
    await until(lambda: topic not in quick.hub._shared)
    await until(lambda: not quick.layer.groups.get(group(topic)))
    again = await Follower(topic).follow(quick.hub)
    await quick.write(quay.entries.create, label="later")

    await until(has_row(again, "later"))


async def test_a_topic_stays_in_memory_for_a_while(slow, topic, readings):
    """Reloading a page causes no read."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.disconnect(follower, [topic])

    await Follower(topic).follow(slow.hub)

    assert readings == [topic]


async def test_topics_in_memory_are_limited(slow, topic, settings):
    """A feed that accepts any key would let one client fill the memory; the topic that was left first makes room."""
    settings.REALTIME = {**settings.REALTIME, "MAX_TOPICS": 3}
    others = [f"entries.{key}" for key in range(1000, 1006)]
    staying = await Follower(topic).follow(slow.hub)

    for other in others:
        slow.hub.disconnect(await Follower(other).follow(slow.hub), [other])

    assert list(slow.hub._shared) == [topic, *others[-2:]]
    assert not slow.layer.groups.get(group(others[0]))
    assert staying in slow.hub._shared[topic].subscribers


async def test_a_topic_without_room_is_refused(slow, quay, topic, settings):
    """Topics that are followed stay, and a client that leaves one makes room."""
    settings.REALTIME = {**settings.REALTIME, "MAX_TOPICS_PER_ADDRESS": 2}
    ours = [await Follower(name, "192.0.2.1").follow(slow.hub) for name in (topic, "entries.1001")]

    with pytest.raises(TooMuch):
        await Follower("entries.1002", "192.0.2.1").follow(slow.hub)
    await Follower(topic, "192.0.2.1").follow(slow.hub)  # in memory anyway
    await Follower("entries.1002", "198.51.100.1").follow(slow.hub)
    slow.hub.disconnect(ours[1], ["entries.1001"])
    await Follower("entries.1003", "192.0.2.1").follow(slow.hub)

    assert list(slow.hub._shared) == [topic, "entries.1002", "entries.1003"]


async def test_a_disconnected_subscriber_receives_nothing(slow, quay, topic):
    """Neither changes nor heartbeats nor notices."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.connect(follower)
    staying = await Follower(topic).follow(slow.hub)
    slow.hub.disconnect(follower, [topic])
    before = len(follower.received)

    await slow.send(await slow.write(quay.entries.create, label="too late"))
    await until(has_row(staying, "too late"))

    assert len(follower.received) == before
    assert follower not in slow.hub.connections


# ---------------------------------------------------------------- epochs and positions


async def test_after_a_new_epoch_every_subscriber_gets_a_snapshot(quick, quay, topic, in_database):
    """Positions of the old epoch do not compare."""
    pier = await in_database(Board.objects.create, slug="pier", title="The pier")
    others = f"entries.{pier.pk}"
    followers = [await Follower(name).follow(quick.hub) for name in (topic, others)]
    await quick.settle()

    await quick._in_database(positions.begin_epoch)

    epoch = (await quick._in_database(position_now)).epoch
    await until(lambda: all(one.replica.position.epoch == epoch for one in followers))
    assert [one.replica.snapshots for one in followers] == [2, 2]
    await quick.write(quay.entries.create, label="in the new life")
    await until(has_row(followers[0], "in the new life"))


async def test_the_log_is_followed_after_a_restore(quick, quay, topic):
    """Positions start lower than before; changes that the layer loses are still found in the log."""
    for number in range(20):
        await quick.write(quay.entries.create, label=str(number))
    follower = await Follower(topic).follow(quick.hub)
    await quick.settle()

    def restore() -> None:
        OutboxRow.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'realtime_outboxrow'")
        positions.begin_epoch()

    await quick._in_database(restore)
    await until(lambda: follower.replica.snapshots == 2)
    await quick.write(quay.entries.create, label="after the restore")

    await until(has_row(follower, "after the restore"))


async def test_a_new_epoch_whose_positions_are_lower_is_read_from_its_beginning(slow, quay, topic):
    """A topic that was read in the new epoch misses nothing that the place reached in the former one would hide."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.settle()
    batch = await slow.write(quay.entries.create, label="below the former place")
    slow.hub._announced_to = Position("former00", batch.end + 1000)

    await slow.settle()

    await until(has_row(follower, "below the former place"))


async def test_a_hub_knows_whether_the_database_has_reached_a_position(slow, quay):
    """A restored database has not; it is queried only if the position is beyond the highest known one."""
    now = await slow._in_database(position_now)

    assert await slow.hub.has_reached(now.offset)
    assert not await slow.hub.has_reached(now.offset + 1)
    await slow.write(quay.entries.create, label="one more")
    assert await slow.hub.has_reached(now.offset + 1)


# ---------------------------------------------------------------- failures


async def test_a_database_error_loses_nothing(slow, quay, safe, topic, monkeypatch):
    """The log is read again, for every topic that was to be brought up to date."""
    others = f"entries.{safe.pk}"
    followers = [await Follower(name).follow(slow.hub) for name in (topic, others)]
    await slow.settle()
    locked = FailsOnce(log_module.missed, OperationalError("database is locked"))
    monkeypatch.setattr(log_module, "missed", locked)

    def write() -> None:
        quay.entries.create(label="both")
        safe.entries.create(label="both")

    await slow.write(write)
    slow.hub.look_soon()
    await until(lambda: locked.has_failed)
    slow.hub.look_soon()

    await until(lambda: all(has_row(one, "both")() for one in followers), 3)


async def test_an_unavailable_database_only_pauses_the_hub(quick, quay, topic, monkeypatch, lines):
    """One line is logged when it fails, and every change arrives in the end."""
    follower = await Follower(topic).follow(quick.hub)
    tail = log_module.tail
    away = Broken(OperationalError("unable to open database file"))
    monkeypatch.setattr(log_module, "tail", away.wrap(tail))
    await until(lambda: any("floor failed" in line for line in lines()))
    await quick.write(quay.entries.create, label="meanwhile")

    away.error = None

    await until(has_row(follower, "meanwhile"))
    assert len([line for line in lines() if "floor failed" in line]) == 1


# ---------------------------------------------------------------- the right of a new subscriber


class ChangingRights:
    """Has the rights to a topic change while they are checked, for the given number of checks."""

    def __init__(self, shared: SharedTopic, changes: int) -> None:
        self.shared, self.changes, self.checks = shared, changes, 0

    async def check(self, visitor: Visitor, topic: str) -> Verdict:
        self.checks += 1
        if self.checks <= self.changes:
            self.shared.rights_since = Position("later", self.checks)
        return Verdict(True)


@pytest.mark.parametrize("changes", range(hub_module.CONFIRM_ATTEMPTS))
async def test_a_right_is_checked_until_it_holds_for_the_rows(slow, topic, monkeypatch, changes):
    """Each change of rights during a check needs another check, and no more than that."""
    follower = await Follower(topic).follow(slow.hub)
    shared = slow.hub._shared[topic]
    rights = ChangingRights(shared, changes)
    monkeypatch.setattr(slow.hub.rights, "check", rights.check)
    shared.rights_since = Position("later", 0)

    await slow.hub.confirm(topic, follower, Verdict(True))

    assert rights.checks == changes + 1


async def test_a_right_that_changes_during_each_check_is_not_confirmed(slow, topic, monkeypatch):
    """The subscriber is refused, and may ask again."""
    follower = await Follower(topic).follow(slow.hub)
    shared = slow.hub._shared[topic]
    rights = ChangingRights(shared, hub_module.CONFIRM_ATTEMPTS)
    monkeypatch.setattr(slow.hub.rights, "check", rights.check)
    shared.rights_since = Position("later", 0)

    with pytest.raises(Unreadable):
        await slow.hub.confirm(topic, follower, Verdict(True))

    assert rights.checks == hub_module.CONFIRM_ATTEMPTS


@pytest.mark.parametrize("position", [Position("now", 7), Position("now", 8)], ids=["as old", "newer"])
async def test_a_right_that_was_checked_for_the_rows_is_not_checked_again(slow, topic, monkeypatch, position):
    """The check is of the state in which rights last changed, or of a later one."""
    follower = await Follower(topic).follow(slow.hub)
    shared = slow.hub._shared[topic]
    rights = ChangingRights(shared, 0)
    monkeypatch.setattr(slow.hub.rights, "check", rights.check)
    shared.rights_since = Position("now", 7)

    await slow.hub.confirm(topic, follower, Verdict(True, as_of=position))

    assert rights.checks == 0


# ---------------------------------------------------------------- notices and heartbeats


async def test_a_notice_is_sent_once_however_often_it_arrives(slow, topic, in_database):
    """Twice by the layer and once by the log: to every connection, or to the subscribers of its topic."""
    follower, bystander = await Follower(topic).follow(slow.hub), Follower("boards")
    for one in (follower, bystander):
        slow.hub.connect(one)
    await slow.hub._channel.join(EVERYONE_GROUP)
    await slow.settle()
    batch = await slow.write(notices.broadcast, "to all")
    local = await slow.write(notices.broadcast, "to these", topic)

    for _ in range(2):
        await slow.send(batch)
        await slow.send(local)
    await until(lambda: Notice(text="to these", topic=topic) in follower.received)
    await slow.settle()

    assert [one for one in follower.received if isinstance(one, Notice)] == [
        Notice(text="to all"),
        Notice(text="to these", topic=topic),
    ]
    others = [one for one in bystander.received if not isinstance(one, Heartbeat)]
    assert others == [Notice(text="to all")]


async def test_a_recorded_notice_is_not_sent_to_a_later_connection(slow, topic):
    """It was for the pages that were open at that time; until the log is read, its position cannot be compared."""
    former, follower = Follower(topic), Follower(topic)
    slow.hub.connect(former)
    await slow.settle()
    batch = await slow.write(notices.broadcast, "yesterday's")
    await slow._in_database(LogEntry.objects.update, created_at=Now() - timedelta(days=1))
    await slow.settle()
    slow.hub.disconnect(former, [])

    slow.hub.connect(follower)
    slow.hub._handle(to_message(batch.epoch, batch.entries[0]))
    await slow.settle()

    assert Notice(text="yesterday's") in former.received
    assert not [one for one in follower.received if isinstance(one, Notice)]


async def test_a_notice_of_another_log_is_not_sent(slow, topic):
    """A position beyond this log's end is not newer than what was read of it."""
    follower = Follower(topic)
    slow.hub.connect(follower)
    await slow.settle()
    entry = LogEntry(
        topic=EVERYONE, kind="notice", position=10**9, after=0, begins=0, payload="theirs", fingerprint=""
    )

    slow.hub._handle(to_message("another0", entry))
    await slow.settle()

    assert not [one for one in follower.received if isinstance(one, Notice)]


class Unpostable(Follower):
    """A connection that fails at each notice and heartbeat."""

    def post(self, message: Any) -> None:
        raise RuntimeError("broken")

    def pulse(self) -> None:
        raise RuntimeError("broken")


@pytest.mark.parametrize("is_local", [False, True], ids=["to all", "to a topic"])
async def test_a_notice_that_one_connection_fails_at_reaches_the_others(quick, quay, topic, is_local):
    """And no look at the log is lost by it: the changes that follow arrive."""
    bad = [await Unpostable(topic).follow(quick.hub) for _ in range(3)]
    good = [await Follower(topic).follow(quick.hub) for _ in range(3)]
    for one in (*bad, *good):
        quick.hub.connect(one)
    await quick.settle()

    await quick.write(notices.broadcast, "words", topic if is_local else None)
    await quick.write(quay.entries.create, label="after it")

    for one in good:
        await until(has_row(one, "after it"))
        await until(lambda one=one: any(isinstance(message, Notice) for message in one.received))
    assert all(one.ended is not None for one in bad)


async def test_a_notice_that_the_layer_lost_is_found_in_the_log(quick, topic):
    """Notices are as reliable as changes."""
    follower = await Follower(topic).follow(quick.hub)
    quick.hub.connect(follower)
    await quick.settle()

    await quick.write(notices.broadcast, "found")

    await until(lambda: Notice(text="found") in follower.received)


async def test_a_notice_waits_until_the_right_to_its_topic_can_be_checked(slow, topic, monkeypatch):
    """The database was away for a moment: the notice is not lost, and no one receives it unchecked."""
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.connect(follower)
    await slow.settle()
    broken = Broken(OperationalError("the database has gone away"))
    asked = 0

    def judge(rights: set[Right]) -> dict[Right, Verdict | Exception]:
        nonlocal asked
        asked += 1
        return broken.wrap(rights_check.judge)(rights)

    monkeypatch.setattr(rights, "judge", judge)

    await slow.send(await slow.write(notices.broadcast, "Gate closed", topic))
    await until(lambda: asked >= 2)
    assert not [one for one in follower.received if isinstance(one, Notice)]
    broken.error = None

    await until(lambda: Notice(text="Gate closed", topic=topic) in follower.received)


async def test_old_notices_are_not_sent_to_later_connections(quick, topic):
    """They were for the pages that were open at that time."""
    await quick.write(notices.broadcast, "yesterday's")
    await quick._in_database(LogEntry.objects.update, created_at=Now() - timedelta(days=1))
    follower = Follower(topic)
    quick.hub.connect(follower)

    await follower.follow(quick.hub)
    await quick.settle()

    assert not [one for one in follower.received if isinstance(one, Notice)]


async def test_a_topic_whose_table_lacks_a_trigger_is_not_vouched_for(
    quick, quay, topic, in_database, monkeypatch
):
    """Its changes are not noted. Other topics are current meanwhile; so is this one when all is settled."""
    monkeypatch.setattr(hub_module, "TABLE_WATCH_SECONDS", 0.0)
    follower, other = await Follower(topic).follow(quick.hub), await Follower("boards").follow(quick.hub)
    is_vouched_for = vouching(follower)

    await in_database(capture.uninstall, ["boards_entry"])
    await until(lambda: not is_vouched_for())
    late = await Follower(topic).follow(quick.hub)
    await until(lambda: not vouching(late)())
    await until(vouching(other))
    assert quick.hub.behind_seconds_of(topic) > 0

    await in_database(capture.install)
    await in_database(quick._log.sequence)
    await until(lambda: is_vouched_for() and vouching(late)())


async def test_a_topic_whose_table_was_exchanged_is_not_vouched_for_until_it_is_read_again(
    quick, quay, topic, in_database, monkeypatch
):
    """Also in a process that cannot reset it."""
    monkeypatch.setattr(hub_module, "TABLE_WATCH_SECONDS", 0.0)
    follower = await Follower(topic).follow(quick.hub)

    await in_database(alter, "ALTER TABLE boards_entry ADD COLUMN more integer")
    try:
        await until(lambda: not vouching(follower)())
        await in_database(settle)
        await until(vouching(follower))
    finally:
        await in_database(alter, "ALTER TABLE boards_entry DROP COLUMN more")


def alter(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def settle() -> None:
    """Read tables again that were exchanged, as housekeeping does."""
    table_watch = TableWatch()
    table_watch.look()
    table_watch.read_again()
    assert sequence(positions.probe())


def vouching(follower: Follower) -> Callable[[], bool]:
    """Return the condition that the last heartbeat of a follower names its topic."""

    def is_vouched_for() -> bool:
        beats = [message for message in follower.received if isinstance(message, Heartbeat)]
        return not beats or follower.replica.topic in beats[-1].positions

    return is_vouched_for


async def test_every_connection_gets_a_heartbeat(make_wire, settings):
    """Within one period, whenever it connected."""
    settings.REALTIME = {"HEARTBEAT_SECONDS": 0.15}
    wire = await make_wire(1000.0)
    followers = [Follower("boards") for _ in range(40)]

    for follower in followers:
        wire.hub.connect(follower)

    await until(lambda: all(follower.beats >= 2 for follower in followers))
    assert len(wire.hub.connections) == 40


async def test_a_connection_that_fails_at_heartbeats_keeps_them_from_no_other(make_wire, settings):
    """The other connections of its group get their heartbeats: all connections of these fifteen."""
    settings.REALTIME = {"HEARTBEAT_SECONDS": 0.15}
    wire = await make_wire(1000.0)
    bad, good = ([kind("boards") for _ in range(45)] for kind in (Unpostable, Follower))

    for pair in zip(bad, good, strict=True):
        for follower in pair:
            wire.hub.connect(follower)

    await until(lambda: all(follower.beats >= 2 for follower in good))
    assert all(follower.ended is not None for follower in bad)


async def test_a_task_that_does_not_end_keeps_no_hub_from_stopping(slow, monkeypatch):
    """A layer that hangs may keep the receiver from ending, and the process must end in time."""
    monkeypatch.setattr(hub_module, "STOP_SECONDS", 0.05)
    may_end = asyncio.Event()

    async def hang() -> None:
        while not may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await may_end.wait()

    hanging = asyncio.create_task(hang())
    slow.hub._tasks.append(hanging)
    await asyncio.sleep(0)

    await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(slow.hub.stop())), 30)

    assert not hanging.done()
    may_end.set()
    await hanging


async def test_a_layer_that_hangs_keeps_no_hub_from_stopping(slow, topic, monkeypatch):
    """The memberships that are left expire."""
    monkeypatch.setattr(hub_module, "LEAVE_SECONDS", 0.05)
    await Follower(topic).follow(slow.hub)
    hangs = asyncio.Event()

    async def leave(*groups: str) -> None:
        await hangs.wait()

    monkeypatch.setattr(slow.hub._channel, "leave", leave)

    await asyncio.wait_for(slow.hub.stop(), 30)

    assert not hangs.is_set()


async def test_a_hub_counts_what_it_holds(slow, safe, topic):
    """For health and metrics."""
    followers = [await Follower(name).follow(slow.hub) for name in (topic, topic, f"entries.{safe.pk}")]
    for one in followers[:2]:
        slow.hub.connect(one)
    assert slow.hub.unreadable_topics == 0

    slow.hub._shared[topic].topic.set_readable(False)

    assert (slow.hub.size, slow.hub.topics, slow.hub.subscriptions) == (2, 2, 3)
    assert slow.hub.unreadable_topics == 1
    assert slow.hub.followers == {topic: 2, f"entries.{safe.pk}": 1}


def test_all_feeds_of_the_demo_are_registered():
    """These tests rely on the names."""
    assert {"entries", "board", "boards", "staffboards"} <= {feed.name for feed in registry}


async def test_a_topic_that_is_read_while_the_tail_waits_misses_nothing(slow, quay, safe, topic, monkeypatch):
    """Its rows are from before the tail, which then counts as read: what came between is noticed with it."""
    slow.hub.connect(Follower(f"entries.{safe.pk}"))
    await slow.settle()
    is_waiting, go_on = threading.Event(), threading.Event()
    tail = log_module.tail

    def read_late(after: int) -> log_module.Tail:
        is_waiting.set()
        assert go_on.wait(60)
        return tail(after)

    monkeypatch.setattr(log_module, "tail", read_late)
    slow.hub.look_soon()
    assert await asyncio.to_thread(is_waiting.wait, 60)
    follower = await Follower(topic).follow(slow.hub)
    slow.hub.is_looking = False  # the write is not to wait for this look
    await slow.write(quay.entries.create, label="between")

    go_on.set()
    await slow.settle()

    await until(has_row(follower, "between"))
