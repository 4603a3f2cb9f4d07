"""Notes of the topics that a process holds: stored before rows are read, in few writes, and not waited for long."""

import asyncio
import threading

import pytest
from django.db import OperationalError

from realtime.boards.models import Entry
from realtime.delivery import held_topics
from realtime.delivery.held_topics import HeldTopics
from realtime.models import Interest, Process
from realtime.publishing import commit_watch, interest
from tests.conftest import until
from tests.delivery.conftest import Follower, has_row


@pytest.fixture
async def held(transactional_db):
    held = HeldTopics()
    yield held
    await held.stop()


@pytest.fixture
def writes(monkeypatch) -> list[dict[str, int]]:
    """The topics of each write."""
    found: list[dict[str, int]] = []
    note = interest.note

    def counted(number, topics, *others):
        found.append(dict(topics))
        return note(number, topics, *others)

    monkeypatch.setattr(interest, "note", counted)
    return found


def noted() -> dict[str, int]:
    return dict(Interest.objects.values_list("topic", "viewers"))


async def test_notes_of_simultaneous_subscriptions_are_few_writes(held, writes, in_database, monkeypatch):
    """The first is stored at once, those that arrive meanwhile together."""
    monkeypatch.setattr(held_topics, "WAIT_SECONDS", 60.0)  # the database may be slow
    topics = [f"t{number}" for number in range(100)]

    await asyncio.gather(*map(held.note, topics))
    again = len(writes)
    await asyncio.gather(*map(held.note, topics))

    assert (await in_database(noted)).keys() == set(topics)
    assert again == len(writes) <= 3


async def test_a_renewal_stores_what_has_changed(held, writes, in_database):
    """Viewers, topics that were dropped, and topics whose note was not stored."""
    for topic in ("kept", "dropped"):
        await held.note(topic)
    before = len(writes)

    await held.renew({"kept": 3, "late": 1})
    await held.renew({"kept": 3, "late": 1})

    assert await in_database(noted) == {"kept": 3, "late": 1}
    assert writes[before:] == [{"kept": 3, "late": 1}, {}]


async def test_a_renewal_of_many_topics_lets_others_work(held, monkeypatch):
    """Comparing twenty thousand notes at once would hold up every connection."""
    many = {f"t{number}": 1 for number in range(10 * held_topics.COMPARED_AT_ONCE)}
    turns = 0
    stored: list[tuple[set[str], int]] = []

    async def work() -> None:
        nonlocal turns
        while not stored:
            turns += 1
            await asyncio.sleep(0)

    async def store(notes, dropped) -> None:
        stored.append((set(notes), turns))
        held._noted |= notes

    monkeypatch.setattr(held, "_store", store)
    await asyncio.gather(held.renew(many), work())

    ((topics, before),) = stored
    assert topics == set(many)
    assert before >= 10


async def test_a_dropped_topic_is_noted_when_it_is_held_again(held, in_database):
    """Whatever the renewal has deleted meanwhile."""
    await held.note("topic")

    _, _ = await asyncio.gather(held.renew({}), held.note("topic"))
    await held.note("topic")

    assert "topic" in await in_database(noted)


async def test_a_process_whose_notes_are_gone_stores_all_of_them_again(held, in_database):
    """As after a crash of PostgreSQL, whose table is empty then."""
    for topic in ("topic", "another"):
        await held.note(topic)
    await in_database(Process.objects.all().delete)

    await held.renew({"topic": 1, "another": 0})

    assert await in_database(noted) == {"topic": 1, "another": 0}


async def test_a_note_that_could_not_be_deleted_is_deleted_later(held, monkeypatch, in_database):
    """Otherwise its topic's rows would be rendered as long as the process runs."""
    for topic in ("kept", "dropped"):
        await held.note(topic)

    def note(*args):
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(interest, "note", note)
        await held.renew({"kept": 0})
    await held.renew({"kept": 0})

    assert await in_database(noted) == {"kept": 0}


@pytest.mark.parametrize("is_away", [True, False], ids=["an error", "a database that is locked"])
async def test_a_subscription_does_not_wait_for_a_database_that_stores_nothing(
    held, monkeypatch, in_database, lines, is_away
):
    """The topic is read after each change until it is noted."""
    monkeypatch.setattr(held_topics, "WAIT_SECONDS", 0.01)
    free = threading.Event()

    def begin(process: str) -> int:
        if is_away:
            raise OperationalError("away")
        assert free.wait(60)
        return original(process)

    original = interest.begin
    monkeypatch.setattr(interest, "begin", begin)

    await held.note("topic")
    await held.note("another")
    assert await in_database(noted) == {}
    monkeypatch.setattr(interest, "begin", original)
    free.set()
    await held.renew({"topic": 1, "another": 1})
    await held.renew({"topic": 1, "another": 1})

    assert (await in_database(noted)).keys() == {"topic", "another"}
    assert len([line for line in lines() if "cannot be noted" in line]) == is_away


async def test_notes_do_not_wake_the_publisher(held):
    """They are the engine's own writes."""
    woken = threading.Event()
    commit_watch.subscribe(woken.set)
    try:
        await held.note("topic")
        await held.renew({"topic": 1})
    finally:
        commit_watch.unsubscribe(woken.set)

    assert not woken.is_set()


@pytest.fixture
async def hub(slow):
    """A hub that notes what it holds."""
    slow.hub._held_topics = HeldTopics()
    return slow.hub


async def test_a_hub_that_notes_what_it_holds_gets_rows(slow, hub, quay, safe, topic, readings):
    """Changes of other topics have none, and a topic is noted before it is read."""
    follower = await Follower(topic).follow(hub)

    batch = await slow.write(Entry.objects.update, label="changed")
    await slow.send(batch)
    await until(has_row(follower, "changed"))

    assert {entry.topic: str(entry.kind) for entry in batch.entries} == {
        topic: "changes", f"entries.{safe.pk}": "unfollowed",
    }  # fmt: skip
    assert readings == [topic]


async def test_a_hub_without_a_valid_note_reads_the_topic(slow, hub, quay, topic, in_database, readings):
    """The note is only a means to have rows without reading them."""
    follower = await Follower(topic).follow(hub)
    await in_database(Interest.objects.all().delete)

    batch = await slow.write(Entry.objects.update, label="changed")
    await slow.send(batch)
    await until(has_row(follower, "changed"))

    assert [str(entry.kind) for entry in batch.entries] == ["unfollowed"]
    assert readings == [topic, topic]
