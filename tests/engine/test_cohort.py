"""Cohorts: a member receives exactly what its session would have sent alone.

Hypothesis chooses changes, stalls, acknowledgements, heartbeats, subscriptions and lost rights. Each client has a twin:
the same session with the same history, which never joins a cohort.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from realtime.engine import cohort as cohort_module
from realtime.engine.codes import Code
from realtime.engine.cohort import Cohort
from realtime.engine.cursor import Cursor
from realtime.engine.errors import BadMessage, Forbidden
from realtime.engine.messages import Change, Encoded, Format, Notice, Row, WireFormat, delete
from realtime.engine.position import Position
from realtime.engine.session import Ending, Session, _Unacknowledged
from realtime.engine.topic import Topic
from tests.support.limits import default_limits
from tests.support.replica import Replica

TOPICS = ("a", "b")
LIMITS = {
    "max_unacknowledged_bytes": 800,
    "max_bad_messages": 1000,
    "max_outgoing": 10,
    "heartbeat_seconds": 15,
}


class Line:
    """One session and the socket it writes to, driven as ``transports/outbound.py`` drives them."""

    def __init__(self, wire_format: WireFormat, silent: int | None, joins: bool) -> None:
        self.wire_format, self._joins = wire_format, joins
        self.session = Session(default_limits(**LIMITS, max_silent_bytes=silent), wire_format.encoding)
        self.received: list[Encoded] = []
        self.in_flight: Encoded | None = None
        self.is_stalled = False
        self.writes = 0

    def write(self, message: Encoded) -> bool:
        if not self.is_stalled:
            self.writes += 1
            self.received.append(message)
        return not self.is_stalled

    def push(self) -> None:
        if self.in_flight is not None:
            return
        message = self.session.next()
        while message is not None and self.write(message):
            message = self.session.next() if self.session.is_waiting else None
        if message is not None:
            self.in_flight = message
        elif self._joins:
            self.session.join(self, self.write)

    def resume(self) -> None:
        """Read again: what waited arrives, then the rest."""
        self.is_stalled = False
        while self.in_flight is not None:
            self.received.append(self.in_flight)
            self.in_flight = self.session.next()
        self.push()

    def notify(self, topic: str) -> None:
        self.session.notify(topic)
        self.push()

    def do(self, name: str, *arguments: Any) -> None:
        """Call a method of the session, then send."""
        try:
            getattr(self.session, name)(*arguments)
        except BadMessage as error:
            self.session.refuse(error)
        self.push()


def row(key: str, number: int) -> Row:
    return Row(key, key, msgspec.Raw(b'{"n":%d}' % number), f"<p>{number}</p>" + "x" * (number % 7 * 20))


def fresh_topic(name: str) -> Topic:
    topic = Topic(name, max_kept_changes=6, max_part_bytes=300)
    # A twin subscribes one later than its session, so it would be told another number of seconds, by their count alone.
    topic.fetches_per_second = 1_000.0
    topic.load(Position("e", 1), [row(key, 1) for key in "pqr"], unchanged_since=1)
    return topic


def deliver(topic: Topic, subscribers: list[Line], at_once: int = 2) -> Iterator[None]:
    """Do what ``SharedTopic`` does in a round."""
    yield from topic.deliver(at_once)
    members = topic.members
    for line in subscribers:
        if line not in members:
            line.notify(topic.name)
            yield


CHANGES = st.dictionaries(st.sampled_from("pqrstu"), st.booleans(), min_size=1, max_size=4)
NUMBERS = st.integers(0, 3)
FORMS = st.builds(
    WireFormat,
    st.sampled_from(["rows", "rows", "html", "signal"]),
    st.sampled_from(["json", "json", "msgpack"]),
)


class Machine(RuleBasedStateMachine):
    """Topics whose rows change; little is kept, so that its bounds are reached."""

    def __init__(self) -> None:
        super().__init__()
        self._patches = ExitStack()
        self._patches.enter_context(patch.object(_Unacknowledged, "MARK_BYTES", 200))
        self._patches.enter_context(patch.object(cohort_module, "MAX_MESSAGES", 20))
        self.topics = {name: fresh_topic(name) for name in TOPICS}
        self.number = 1
        self.lines: list[Any] = []

    def teardown(self) -> None:
        self._patches.close()

    def change_rows(self, topic: Topic, keys: dict[str, bool]) -> None:
        self.number += 1
        changes: list[Change] = [
            delete(key) if is_delete else row(key, self.number).upsert() for key, is_delete in keys.items()
        ]
        here = topic.position.offset
        topic.apply(here, here, here + 1, changes)


class Twins(Machine):
    """Each round ends before something else happens: then the messages are the same, one by one."""

    @initialize(wire_formats=st.lists(FORMS, min_size=2, max_size=4))
    def open_some(self, wire_formats: list[WireFormat]) -> None:
        for wire_format in wire_formats:
            self.open(wire_format, None)

    @rule(wire_format=FORMS, silent=st.sampled_from([None, 3000]), topics=st.sampled_from(["a", "ab"]))
    def open(self, wire_format: WireFormat, silent: int | None, topics: str = "ab") -> None:
        pair = Line(wire_format, silent, joins=True), Line(wire_format, silent, joins=False)
        self.lines = [*self.lines[-3:], pair]
        for line in pair:
            line.push()
            for name in topics:
                line.do("subscribe", self.topics[name], None, wire_format.format)

    def pair(self, number: int) -> tuple[Line, Line]:
        return self.lines[number % len(self.lines)]

    @rule(name=st.sampled_from(TOPICS), sets=st.lists(CHANGES, min_size=1, max_size=3))
    def change(self, name: str, sets: list[dict[str, bool]]) -> None:
        """Each set is delivered by itself, or several are in one round."""
        topic = self.topics[name]
        for keys in sets:
            self.change_rows(topic, keys)
            if self.number % 3:
                self.round(topic)
        self.round(topic)

    def round(self, topic: Topic) -> None:
        list(deliver(topic, [line for line, _ in self.lines]))
        for _, twin in self.lines:
            twin.notify(topic.name)

    @rule(part=st.sampled_from([0, 1, 2, 3, -1]), each=st.sampled_from([1, 1, 2]))
    def acknowledge(self, part: int, each: int) -> None:
        """All messages or part of them; or one more than were sent, which is refused."""
        for line, twin in self.lines[::each]:
            received = max(0, len(line.received) + bool(line.in_flight) - part)
            line.do("acknowledge", received)
            twin.do("acknowledge", received)

    @rule(name=st.sampled_from(TOPICS))
    def pass_by(self, name: str) -> None:
        """The log goes on without a change of the rows: a snapshot is then of a later position than the others have."""
        self.change_rows(self.topics[name], {"unknown": True})

    @rule(what=st.sampled_from(["pulse", "beat"]))
    def heartbeat(self, what: str) -> None:
        for pair in self.lines:
            for each in pair:
                each.do(what)

    @rule(number=NUMBERS)
    def stall(self, number: int) -> None:
        for each in self.pair(number):
            each.is_stalled = True

    @rule(number=NUMBERS)
    def read_again(self, number: int) -> None:
        for each in self.pair(number):
            each.resume()

    @rule(number=NUMBERS, name=st.sampled_from(TOPICS), behind=st.integers(0, 9))
    def subscribe(self, number: int, name: str, behind: int) -> None:
        """Again, or to another topic; from a position, which may be ahead of the topic, or from none."""
        topic = self.topics[name]
        position = (
            None if behind > 6 else Position(topic.position.epoch, max(1, topic.position.offset + 1 - behind))
        )
        for each in self.pair(number):
            each.do("subscribe", topic, position, each.wire_format.format)

    @rule(number=NUMBERS, name=st.sampled_from(TOPICS))
    def revoke(self, number: int, name: str) -> None:
        """Later messages must not contain anything of the topic."""
        for each in self.pair(number):
            each.session.unsubscribe(name)
            each.do("refuse", Forbidden(name), name)

    @rule(number=NUMBERS)
    def post(self, number: int) -> None:
        for each in self.pair(number):
            each.do("post", Notice("words"))

    @rule(number=NUMBERS)
    def end(self, number: int) -> None:
        if number == 3:
            for each in self.pair(number):
                each.do("end", Ending(Code.DRAINING, "stops"))

    @rule(name=st.sampled_from(TOPICS), is_readable=st.booleans(), is_current=st.booleans())
    def doubt(self, name: str, is_readable: bool, is_current: bool) -> None:
        topic = self.topics[name]
        if topic.set_readable(is_readable) | topic.set_current(is_current):
            self.round(topic)

    @rule(name=st.sampled_from(TOPICS), is_same_epoch=st.booleans())
    def read(self, name: str, is_same_epoch: bool) -> None:
        """All rows are read again, in this epoch or another one."""
        topic = self.topics[name]
        self.number += 1
        epoch, offset = topic.position.epoch, topic.position.offset + 1
        position = Position(epoch if is_same_epoch else f"{epoch}e", offset)
        topic.load(position, [row("p", self.number), *topic.rows[:2]][:2], unchanged_since=offset)
        self.round(topic)

    @invariant()
    def each_member_receives_what_its_session_alone_would_have_sent(self) -> None:
        for line, twin in self.lines:
            assert line.received == twin.received
            assert (line.session.ending, line.in_flight) == (twin.session.ending, twin.in_flight)


class Interrupted(Machine):
    """Rounds are interrupted by anything: then clients may get changes merged differently, but never a gap."""

    @initialize(
        wire_formats=st.lists(
            st.sampled_from([WireFormat("rows"), WireFormat("html")]), min_size=3, max_size=6
        )
    )
    def open_some(self, wire_formats: list[WireFormat]) -> None:
        self.topic = self.topics["a"]
        self.rows = {1: self.topic.rows}
        self.round: Iterator[None] = iter(())
        self.is_due = False
        self.lines = [Line(wire_format, None, joins=True) for wire_format in wire_formats]
        self.replicas = [Replica("a", wire_format.format) for wire_format in wire_formats]
        self.seen = [0] * len(wire_formats)  # how many messages each replica has received
        for line in self.lines:
            line.push()
            line.do("subscribe", self.topic, None, line.wire_format.format)

    @rule(keys=CHANGES)
    def change(self, keys: dict[str, bool]) -> None:
        self.change_rows(self.topic, keys)
        self.rows[self.topic.position.offset] = self.topic.rows
        self.is_due = True

    @rule(steps=st.integers(1, 4))
    def deliver(self, steps: int) -> None:
        """As in ``SharedTopic``, a round begins when the previous one is over."""
        for _ in range(steps):
            if next(self.round, self) is self and self.is_due:
                self.is_due, self.round = False, deliver(self.topic, self.lines, at_once=1)

    @rule(number=NUMBERS, what=st.sampled_from(["acknowledge", "pulse", "post", "stall", "resume"]))
    def interrupt(self, number: int, what: str) -> None:
        line = self.lines[number % len(self.lines)]
        if what == "stall":
            line.is_stalled = True
        elif what == "resume":
            line.resume()
        else:
            arguments: dict[str, list[Any]] = {
                "acknowledge": [len(line.received)],
                "pulse": [],
                "post": [Notice("words")],
            }
            line.do(what, *arguments[what])

    @invariant()
    def every_client_has_the_rows_of_its_position(self) -> None:
        for number, (line, replica) in enumerate(zip(self.lines, self.replicas, strict=True)):
            for message in line.received[self.seen[number] :]:
                assert not replica.receive(message), message
            self.seen[number] = len(line.received)
            if replica.position is not None:
                assert replica.rows == contents(self.rows[replica.position.offset], replica.format)

    def teardown(self) -> None:
        """When all read and acknowledge, all have everything, and heartbeats confirm it."""
        if self.lines:
            self.finish()
        super().teardown()

    def finish(self) -> None:
        for line in self.lines:
            line.resume()
            line.do("acknowledge", len(line.received))
        list(self.round)
        list(deliver(self.topic, self.lines))
        for line in self.lines:
            line.do("acknowledge", len(line.received))
            line.do("beat")
        self.every_client_has_the_rows_of_its_position()
        for line, replica in zip(self.lines, self.replicas, strict=True):
            if line.session.ending is None:
                assert replica.rows == contents(self.topic.rows, replica.format)
                assert replica.verified


def contents(rows: list[Row], format: Format) -> dict[str, tuple[str, Any]]:
    return {
        each.key: (each.order, each.html if format == "html" else bytes(each.row or b"")) for each in rows
    }


def two_topics() -> tuple[dict[str, Topic], Line, Line]:
    """Return two topics, a line in step with others in both, and its twin; all that was sent is acknowledged."""
    topics = {name: fresh_topic(name) for name in TOPICS}
    line, twin = Line(WireFormat(), None, joins=True), Line(WireFormat(), None, joins=False)
    for each in (line, twin):
        each.push()
        for topic in topics.values():
            each.do("subscribe", topic, None, "rows")
        each.do("acknowledge", len(each.received))
    return topics, line, twin


def change(topic: Topic, line: Line, twin: Line, length: int) -> None:
    here = topic.position.offset
    big = Row("p", "p", msgspec.Raw(b'{"n":"%s%d"}' % (b"x" * length, here)))
    topic.apply(here, here, here + 1, [big.upsert()])
    list(deliver(topic, [line]))
    twin.notify(topic.name)


def test_messages_of_two_topics_are_counted_in_the_order_in_which_they_were_sent(monkeypatch):
    """An acknowledgement of the first of them frees its bytes, not those of a shorter one."""
    monkeypatch.setattr(_Unacknowledged, "MARK_BYTES", 1)
    topics, line, twin = two_topics()
    change(topics["b"], line, twin, 150)
    change(topics["a"], line, twin, 1)

    for each in (line, twin):
        each.do("acknowledge", len(each.received) - 1)

    assert line.session._room() == twin.session._room()


def test_cohorts_of_two_topics_together_send_no_more_than_may_be_unacknowledged():
    """Each has its part of it."""
    topics, line, twin = two_topics()

    for number in range(20):
        change(topics[TOPICS[number % 2]], line, twin, 50)

    assert len(line.received) < 20
    assert line.received == twin.received


@pytest.mark.parametrize("at_once, turns", [(1, 5), (2, 3), (4, 2), (5, 1), (9, 1)])
def test_a_message_is_written_to_a_few_members_before_each_turn(at_once, turns):
    """Then something else has its turn; in the end no member is left behind that can be written to."""
    cohort = Cohort(Cursor(WireFormat(), 1), 0)
    written: list[Encoded] = []

    def write(message: Encoded) -> bool:
        written.append(message)
        return True

    for member in range(5):
        cohort.join(member, write, math.inf)

    counts = [len(written) for _ in cohort.send(b"news", Cursor(WireFormat(), 2), at_once)]

    assert list(cohort.members) == list(range(5))
    assert counts == [min(5, at_once * turn) for turn in range(1, turns + 1)]


def test_the_list_of_what_a_cohort_has_sent_is_bounded(monkeypatch):
    """Members that need not acknowledge for long leave it, and join another."""
    monkeypatch.setattr(cohort_module, "MAX_MESSAGES", 2)
    cohort = Cohort(Cursor(WireFormat(), 1), 0)
    joined = cohort.join("member", lambda message: True, math.inf)
    rooms = []
    for number in (2, 3):
        rooms.append(cohort.has_room_for(b"news"))
        list(cohort.send(b"news", Cursor(WireFormat(), number), 1))

    assert [*rooms, cohort.has_room_for(b"news")] == [True, True, False]
    assert [sent.size for sent in cohort.leave("member", joined)[1]] == [4, 4]


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=50, stateful_step_count=50)
TestInterrupted = Interrupted.TestCase
TestInterrupted.settings = settings(max_examples=25, stateful_step_count=50)


@pytest.mark.matrix
@pytest.mark.parametrize(("machine", "examples"), [(Twins, 150), (Interrupted, 75)])
def test_cohorts_for_longer(machine: type[RuleBasedStateMachine], examples: int):
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=50))
