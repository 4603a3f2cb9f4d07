"""The states of a shared topic, without a hub: what it does with entries, with failures, and when it is at rest."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from realtime.access.visitors import ANONYMOUS
from realtime.delivery.shared_topic import SharedTopic
from realtime.engine.messages import Error, Row, encode_changes
from realtime.engine.position import Position
from realtime.models import LogEntry
from realtime.publishing import log as log_module
from realtime.publishing.log import Heads
from tests.conftest import until
from tests.delivery.conftest import Follower

LIFE = "e"


class Alone(SharedTopic):
    """A topic of two formats that no hub holds, and that counts how often it has fallen behind."""

    def __init__(self) -> None:
        super().__init__("entries.1", None, None, None, self._count)
        self.fallen_behind = 0
        self.is_loaded = True
        self.ask_for("rows")
        self.topic.load(Position(LIFE, 10), self.topic.compared([row("1")], ("rows",)), 10)

    def _count(self) -> None:
        self.fallen_behind += 1


def row(key: str) -> Row:
    return Row(key, key, msgspec.Raw(b"{}"))


def entry(**given: Any) -> LogEntry:
    """Return the entry that follows on the topic."""
    made = LogEntry(
        **{
            "topic": "entries.1", "position": 11, "kind": "changes", "after": 10, "begins": 10, "fingerprint": "",
            "payload": encode_changes([row("2").upsert()]), "format": "", **given,
        }
    )  # fmt: skip
    made.written_at = 0.0
    return made


@pytest.fixture
async def alone() -> Alone:
    return Alone()


async def test_an_entry_that_follows_is_applied(alone):
    alone.receive(LIFE, entry())

    assert [each.key for each in alone.topic.rows] == ["1", "2"]
    assert alone.fallen_behind == 0
    assert not alone.is_stale


@pytest.mark.parametrize(
    ("life", "given"),
    [
        ("other", {}),
        (LIFE, {"after": 11, "begins": 11, "position": 12}),
        (LIFE, {"kind": "reset"}),
        (LIFE, {"kind": "rights"}),
        (LIFE, {"kind": "unfollowed"}),
        (LIFE, {"payload": "no JSON"}),
        (LIFE, {"fingerprint": "another release"}),
        (LIFE, {"format": "html"}),
        (LIFE, {"format": "all"}),
    ],
    ids=["life", "gap", "reset", "rights", "no rows", "malformed", "release", "format", "all formats"],
)
async def test_an_entry_that_cannot_be_applied_has_the_log_read(alone, life, given):
    """Nothing of the entry is shown before that."""
    alone.receive(life, entry(**given))

    assert [each.key for each in alone.topic.rows] == ["1"]
    assert alone.fallen_behind == 1
    assert alone.is_stale


async def test_an_entry_of_a_topic_without_rows_is_ignored(alone):
    """The next subscriber has the rows read."""
    alone.is_loaded = False

    alone.receive(LIFE, entry())

    assert alone.fallen_behind == 0
    assert not alone.is_stale


async def test_an_entry_that_arrives_while_rows_are_read_for_the_first_time_has_the_log_read(alone):
    """The reading may be older."""
    alone.is_loaded = False
    async with alone._reading:
        alone.receive(LIFE, entry())

    assert alone.fallen_behind == 1
    assert [each.key for each in alone.topic.rows] == ["1"]


async def test_an_entry_in_the_one_format_that_is_held_is_applied(alone):
    alone.receive(LIFE, entry(format="rows"))

    assert [each.key for each in alone.topic.rows] == ["1", "2"]


async def test_an_entry_for_holders_of_all_formats_is_not_applied_to_rows_that_lack_one(alone):
    """A row that fails in one format is not in it, and is in the topic."""
    alone.ask_for("html")
    assert alone.format is None

    alone.receive(LIFE, entry(format="all"))

    assert [each.key for each in alone.topic.rows] == ["1"]
    assert alone.is_stale


async def test_entries_are_applied_until_one_does_not_follow(alone):
    good, gap = entry(), entry(after=20, begins=20, position=21)

    assert await alone._apply_all([good])
    assert not await alone._apply_all([gap, entry(after=11, begins=11, position=12)])

    assert alone.topic.position == Position(LIFE, 11)


UNREST: dict[str, Callable[[Alone], Any]] = {
    "no rows": lambda topic: setattr(topic, "is_loaded", False),
    "no subscriber": lambda topic: topic.subscribers.clear(),
    "unreadable": lambda topic: topic.topic.set_readable(False),
    "stale": lambda topic: setattr(topic, "is_stale", True),
    "brought up": lambda topic: setattr(topic, "is_refreshing", True),
    "scrubbed": lambda topic: setattr(topic, "is_scrubbing", True),
}


@pytest.mark.parametrize("kind", UNREST)
async def test_only_a_topic_at_rest_is_scrubbed(alone, kind):
    """A reading would come too late, or be for no subscriber."""
    alone.subscribers.add(Follower(alone.name))
    assert alone.can_be_scrubbed

    UNREST[kind](alone)

    assert not alone.can_be_scrubbed


async def test_a_topic_that_is_being_read_is_not_scrubbed(alone):
    alone.subscribers.add(Follower(alone.name))

    async with alone._reading:
        assert not alone.can_be_scrubbed
    assert alone.can_be_scrubbed


async def test_a_topic_is_idle_when_the_time_is_over(alone):
    """And not while something reads it."""
    assert not alone.is_idle_for(0.0, now=1000.0)  # it has been followed all the time
    alone.idle_since = 100.0

    assert not alone.is_idle_for(10.0, now=110.0)
    assert alone.is_idle_for(10.0, now=111.0)
    alone.is_refreshing = True
    assert not alone.is_idle_for(10.0, now=111.0)


async def test_a_failure_is_logged_once_and_then_told_to_subscribers(alone, caplog):
    """So is its end; the log has the traceback of the first."""
    caplog.set_level(logging.INFO)
    follower = Follower(alone.name)
    alone.subscribers.add(follower)

    alone._note_failure(ValueError("broken"))
    assert follower.received == []
    for _ in range(3):
        alone._note_failure(ValueError("broken"))
    alone._note_success()
    alone._note_success()

    failed, again = [record for record in caplog.records if record.name == "realtime.hub"]
    assert failed.getMessage() == "topic entries.1 cannot be read, tries again: broken"
    assert failed.exc_info is not None
    assert again.getMessage() == "topic entries.1 can be read again"
    assert [type(message) for message in follower.received] == [Error]


async def test_a_time_limit_is_logged_without_a_traceback(alone, caplog):
    """Its message says what to do."""
    alone._note_failure(TimeoutError("split the feed"))

    (record,) = caplog.records
    assert record.getMessage().endswith("split the feed")
    assert record.exc_info is None


# ---------------------------------------------------------------- reaching what rights were checked for


def heads(offset: int, newest: int | None, life: str = LIFE) -> Heads:
    return Heads(Position(life, offset), None if newest is None else {"entries.1": newest})


async def test_rights_are_in_question_until_subscribers_were_asked_or_while_changes_wait(alone):
    """Either is enough: a broadcast waits for both."""
    alone.rights_since = Position(LIFE, 5)
    assert alone.is_in_question

    alone._confirmed = Position(LIFE, 5)
    assert not alone.is_in_question

    alone.is_stale = True
    assert alone.is_in_question


@pytest.mark.parametrize(
    ("known", "is_at"),
    [
        (heads(10, None), True), (heads(11, None), False), (heads(30, 10), True), (heads(30, 11), False),
        (heads(10, 10, "other"), False),
    ],
    ids=["its position", "later", "all its entries", "a newer entry", "another life"],
)  # fmt: skip
async def test_a_topic_is_at_heads_by_its_position_or_its_entries(alone, known, is_at):
    assert alone._is_at(known) is is_at


async def test_what_was_reached_once_is_not_waited_for_again(alone):
    """Although neither the topic's position nor the heads say so."""
    alone._reached = Position(LIFE, 20)

    assert alone._is_at(heads(20, None))
    assert not alone._is_at(heads(21, None))


async def test_rows_are_reached_without_reading_them_when_the_change_is_sequenced(
    slow, quay, topic, readings, in_database
):
    """The heads were read before the change was sequenced; several subscribers that wait for it share one query."""
    follower = await Follower(topic).follow(slow.hub)
    shared = slow.hub._shared[topic]
    await until(lambda: not slow.hub.is_looking and not slow.hub._must_look.is_set())
    await in_database(quay.entries.create, label="new")
    now = await in_database(log_module.heads, [topic])
    assert now.newest is None
    waiting = [asyncio.create_task(shared.reach(now)) for _ in range(2)]

    await in_database(slow._log.sequence)
    await asyncio.gather(*waiting)

    assert shared._is_at(now)
    assert len(readings) <= 2
    assert await slow.is_current(follower)


async def test_a_topic_that_is_at_heads_is_not_read(slow, topic, readings, in_database):
    """Nor is one that cannot be read: it sends nothing."""
    await Follower(topic).follow(slow.hub)
    shared = slow.hub._shared[topic]

    await shared.reach(None)
    await shared.reach(await in_database(log_module.heads, [topic]))
    shared.topic.set_readable(False)
    await shared.reach(Heads(Position("another life", 10), None))

    assert readings == [topic]


# ---------------------------------------------------------------- notices


class Refusing:
    """Rights whose check fails a number of times."""

    def __init__(self, times: int) -> None:
        self.left, self.asked = times, 0

    async def lost(self, topic: str, visitors: set[Any]) -> set[Any]:
        assert visitors == {ANONYMOUS}
        self.asked += 1
        if self.asked <= self.left:
            raise OSError("away")
        return set()


@pytest.mark.parametrize(("failures", "asked", "received"), [(0, 1, 1), (2, 3, 1), (99, 7, 0)])
async def test_a_notice_waits_until_rights_can_be_asked(
    alone, monkeypatch, caplog, failures, asked, received
):
    """After the last attempt it is given up, with a line in the log."""
    pauses = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", pause)
    rights = alone._rights = Refusing(failures)
    follower = Follower(alone.name)
    alone.subscribers.add(follower)

    await alone.announce(Position(LIFE, 12), "Platform 4")

    assert rights.asked == asked
    assert pauses == [0.25 * 2**attempt for attempt in range(asked - 1)]
    assert [message.text for message in follower.received] == ["Platform 4"] * received
    given_up = ["a notice for entries.1 is not sent: rights to it cannot be checked: OSError('away')"]
    assert [record.getMessage() for record in caplog.records] == given_up * (1 - received)
