"""Fan-out: the subscribers of a topic are notified in small groups, once for changes that come together."""

import asyncio
import time
from typing import Any

import pytest

from realtime.access.visitors import ANONYMOUS
from realtime.boards.models import Entry
from realtime.delivery.fan_out import FAN_OUT_AT_ONCE, IN_STEP_AT_ONCE
from realtime.delivery.shared_topic import SharedTopic
from realtime.engine.kept_changes import ChangeSet
from realtime.engine.messages import Changes, Format, WireFormat, decode_server
from realtime.publishing.sequencer import Batch
from realtime.runtime import metrics
from tests.conftest import until
from tests.delivery.conftest import Follower, has_row


class Listener:
    """A subscriber that records its notifications."""

    visitor = ANONYMOUS
    writer = None

    def __init__(self, notified: list[Any]) -> None:
        self._notified = notified

    def notify(self, topic: str) -> None:
        self._notified.append(self)


async def test_notifying_many_lets_other_tasks_run_in_between(quick, quay, in_database):
    """A thousand subscribers are notified in small groups; other tasks run after each group."""
    hub = quick.hub
    shared = SharedTopic(f"entries.{quay.pk}", quick.reader_threads, quick.reads, hub.rights, hub.look_soon)
    notified: list[Any] = []
    listeners: set[Any] = {Listener(notified) for _ in range(1000)}
    shared.subscribers |= listeners
    await shared.load()
    await until(lambda: len(notified) == 1000)
    notified.clear()
    seen: list[int] = []

    await in_database(quay.entries.create, label="news")
    reading = asyncio.create_task(shared._read())
    while len(notified) < 1000:
        seen.append(len(notified))
        await asyncio.sleep(0)
    await reading

    assert len(set(seen)) > 15
    assert len(set(notified)) == 1000


async def test_entries_that_arrive_together_are_one_notification(slow, quay, topic, in_database):
    """One per subscriber, however many entries there are."""
    follower = await Follower(topic).follow(slow.hub)
    shared = slow.hub._shared[topic]
    await until(lambda: shared._fan_out.is_at_rest)
    notified: list[Any] = []
    shared.subscribers |= {Listener(notified) for _ in range(3)}
    batches = [await slow.write(quay.entries.create, label=f"n{number}") for number in range(4)]

    for batch in batches:
        for entry in batch.entries:
            if entry.topic == topic:
                shared.receive(batch.epoch, entry)
    assert notified == []
    await until(lambda: has_row(follower, "n3")())

    assert len(notified) == len(set(notified)) == 3
    assert shared.topic.position.offset == batches[-1].entries[0].position


class InStep(Follower):
    """A follower with a socket: what cannot be written at once is sent when it reads again."""

    def __init__(self, topic: str, format: Format = "rows") -> None:
        super().__init__(topic, format=format)
        self.notified = 0
        self.is_stalled = False

    def notify(self, topic: str) -> None:
        self.notified += 1
        super().notify(topic)

    def write(self, message: Any) -> bool:
        if not self.is_stalled:
            self.receive(message)
        return not self.is_stalled

    def receive(self, text: Any) -> None:
        message = decode_server(text)
        self.received.append(message)
        assert not self.replica.receive(message), f"a gap: {message}"

    def flush(self) -> None:
        if not self.is_stalled:
            for text in list(iter(self.session.next, None)):
                self.receive(text)
            self.session.join(self, self.write)


async def test_subscribers_in_step_are_written_to_without_asking_their_sessions(slow, quay, topic):
    """One that cannot be written to, or has something else to send, goes on alone, and is in step again afterwards."""
    members = [await InStep(topic).follow(slow.hub) for _ in range(5)]
    await slow.send(await slow.write(quay.entries.create, label="first"))
    await until(lambda: all(has_row(each, "first")() for each in members))
    stalled, busy, *others = members
    for each in members:
        each.notified = 0

    stalled.is_stalled = True
    await slow.send(await slow.write(quay.entries.create, label="second"))
    await until(lambda: all(has_row(each, "second")() for each in [busy, *others]))
    busy.pulse()
    await slow.send(await slow.write(quay.entries.create, label="third"))
    await until(lambda: all(has_row(each, "third")() for each in [busy, *others]))
    await until(lambda: stalled.notified == 2)
    stalled.is_stalled = False
    stalled.flush()
    await slow.send(await slow.write(quay.entries.create, label="fourth"))
    await until(lambda: all(has_row(each, "fourth")() for each in members))

    assert [each.notified for each in members] == [2, 0, 0, 0, 0]
    assert all(each.replica.rows == members[0].replica.rows for each in members)
    assert [type(message) for message in stalled.received[-2:]] == [Changes, Changes]


class Unnotifiable(Follower):
    """A connection that fails when it is notified; it is in no cohort."""

    def notify(self, topic: str) -> None:
        raise RuntimeError("a broken connection")


class Unwritable(InStep):
    """A connection that fails when it is written to as the member of a cohort."""

    def write(self, message: Any) -> bool:
        raise OSError("a broken transport")


@pytest.mark.parametrize("kind", [Unnotifiable, Unwritable])
@pytest.mark.parametrize("amount", [1, FAN_OUT_AT_ONCE + 1])
async def test_a_connection_that_fails_delays_no_other(slow, quay, topic, kind, amount):
    """Connections in step, and those that are notified one by one, are sent this change and the next ones."""
    members = [await InStep(topic).follow(slow.hub) for _ in range(3)]
    alone = [await Follower(topic).follow(slow.hub) for _ in range(3)]
    bad = [await kind(topic).follow(slow.hub) for _ in range(amount)]

    for label in ("first", "second", "third"):
        await slow.send(await slow.write(quay.entries.create, label=label))
        for each in (*members, *alone):
            await until(has_row(each, label))

    assert all(each.replica.rows == members[0].replica.rows for each in (*members, *alone))
    await until(lambda: all(each.ended is not None or has_row(each, "third")() for each in bad))


async def test_a_form_that_cannot_be_encoded_delays_no_other(slow, quay, topic, monkeypatch):
    """Connections in step in another wire format are sent this change and the next ones."""
    encoded = ChangeSet.encoded

    def fail_for_html(self: ChangeSet, topic: str, epoch: str, wire_format: WireFormat, *further: Any) -> Any:
        if wire_format.format == "html":
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
        return encoded(self, topic, epoch, wire_format, *further)

    bad = [await InStep(topic, "html").follow(slow.hub) for _ in range(2)]
    good = [await InStep(topic).follow(slow.hub) for _ in range(2)]
    monkeypatch.setattr(ChangeSet, "encoded", fail_for_html)

    for label in ("first", "second"):
        await slow.send(await slow.write(quay.entries.create, label=label))
        for each in good:
            await until(has_row(each, label))

    assert all(each.ended is not None for each in bad)


async def test_a_member_whose_right_is_lost_in_the_middle_of_a_round_is_sent_nothing_more(slow, quay, topic):
    """Half of the members have the change by then."""
    members = [await InStep(topic).follow(slow.hub) for _ in range(2 * IN_STEP_AT_ONCE)]
    await slow.send(await slow.write(quay.entries.create, label="first"))
    await until(lambda: all(has_row(each, "first")() for each in members))
    shared = slow.hub._shared[topic]
    await until(lambda: shared._fan_out.is_at_rest)
    batch = await slow.write(quay.entries.create, label="second")

    for entry in batch.entries:
        if entry.topic == topic:
            shared.receive(batch.epoch, entry)
    while not shared._fan_out.is_in_round:
        await asyncio.sleep(0)
    late = [each for each in members if not has_row(each, "second")()]
    for each in late:
        slow.hub.unsubscribe(topic, each)
        each.revoke(topic)
    await until(lambda: not shared._fan_out.is_in_round)

    assert len(late) == IN_STEP_AT_ONCE
    assert not any(has_row(each, "second")() for each in late)


async def test_a_feed_may_set_a_minimum_interval(quick, live, quay, in_database):
    """One message per interval, with the latest state; the final state is always sent."""
    await in_database(live, Entry, name="slow", topic_field="board_id", fields=["value"], min_interval=0.3)
    entry = await in_database(quay.entries.first)
    follower = await Follower(f"slow.{quay.pk}").follow(quick.hub)
    follower.received.clear()
    began = time.monotonic()

    for value in range(10):
        await quick.send(await quick.write(Entry.objects.filter(pk=entry.pk).update, value=str(value)))
    await until(lambda: b'"9"' in follower.replica.rows[str(entry.pk)][1])

    assert len(follower.received) <= 2 + (time.monotonic() - began) / 0.3


# ---------------------------------------------------------------- how late changes arrive


def delivered() -> tuple[float, float]:
    """Return how many times were observed until a topic's connections were notified, and their sum."""
    (family,) = metrics.delivered.collect()
    values = {sample.name: sample.value for sample in family.samples}
    return values["realtime_delivered_seconds_count"], values["realtime_delivered_seconds_sum"]


def dated(batch: Batch, seconds: float) -> Batch:
    """Let the changes of a batch have been written some time ago."""
    for entry in batch.entries:
        entry.written_at = time.time() - seconds
    return batch


async def test_the_time_since_the_write_is_observed_once_for_all_connections(slow, quay, topic):
    """When all of them were notified, however many there are."""
    followers = [await Follower(topic).follow(slow.hub) for _ in range(3)]
    await slow.settle()  # the look at the log that a first subscription causes would find the change too
    count, total = delivered()

    await slow.send(dated(await slow.write(quay.entries.create, label="new"), 1500))

    await until(lambda: delivered()[0] == count + 1)
    assert all(has_row(follower, "new")() for follower in followers)
    assert 999 < delivered()[1] - total < 2000

    await slow.send(dated(await slow.write(quay.entries.create, label="newer"), 0))

    await until(lambda: delivered()[0] == count + 2)
    assert delivered()[1] - total < 2000  # the earlier one does not count again


async def test_a_change_that_the_layer_has_lost_is_observed_too(slow, quay, topic):
    """With the time since its log entry was made; those are the late ones."""
    follower = await Follower(topic).follow(slow.hub)
    await slow.write(quay.entries.create, label="lost")
    count, _ = delivered()

    await slow.settle()

    await until(has_row(follower, "lost"))
    await until(lambda: delivered()[0] == count + 1)


async def test_a_reset_that_the_layer_has_sent_is_observed_too(slow, quay, topic, in_database, settings):
    """Once the rows have been read again."""
    settings.REALTIME = {"MAX_BATCH_ROWS": 1}
    follower = await Follower(topic).follow(slow.hub)
    count, _ = delivered()

    await slow.send(await slow.write(quay.entries.update, label="flood"))
    await slow.settle()

    await until(has_row(follower, "flood"))
    await until(lambda: delivered()[0] == count + 1)


async def test_what_a_minimum_interval_collects_counts_from_its_oldest_change(slow, live, quay, in_database):
    """The later ones are not late."""
    await in_database(live, Entry, name="calm", topic_field="board_id", fields=["label"], min_interval=0.2)
    follower = await Follower(f"calm.{quay.pk}").follow(slow.hub)
    await slow.send(dated(await slow.write(quay.entries.create, label="first"), 0))
    await until(has_row(follower, "first"))
    count, total = delivered()

    for label, seconds in (("second", 1000), ("third", 0)):
        await slow.send(dated(await slow.write(quay.entries.create, label=label), seconds))

    await until(has_row(follower, "third"))
    await until(lambda: 999 < delivered()[1] - total < 2000)
    assert delivered()[0] > count
