"""One connection: what is sent, in which order, and when the session ends."""

import msgspec
import pytest
from msgspec import UNSET

from realtime.engine import messages
from realtime.engine.codes import Code
from realtime.engine.errors import BadMessage, Forbidden
from realtime.engine.messages import (
    Bye,
    Changes,
    Error,
    Heartbeat,
    Notice,
    Row,
    Snapshot,
    Welcome,
    WireFormat,
    decode_server,
)
from realtime.engine.position import Position
from realtime.engine.session import Ending, Limits, Session
from realtime.engine.topic import Topic
from tests.support.contents import json_of
from tests.support.limits import default_limits


def row(key: str, number: int = 0) -> Row:
    return Row(key, key, msgspec.Raw(b'{"n":%d}' % number))


@pytest.fixture
def topic() -> Topic:
    topic = Topic("numbers")
    topic.load(Position("e", 5), [row("a")], unchanged_since=5)
    return topic


@pytest.fixture
def session() -> Session:
    """A session whose welcome has been sent."""
    session = Session(default_limits(max_outgoing=10, max_bad_messages=3, max_message_bytes=100))
    list(iter(session.next, None))
    return session


def taken(session: Session) -> list:
    return [decode_server(text) for text in list(iter(session.next, None))]


def test_the_first_message_is_a_welcome():
    """It names the protocol, the time between heartbeats, and the limits."""
    (welcome,) = taken(Session(default_limits()))

    assert welcome == Welcome("realtime.v1", 15, 16384, 65536, 4096)


def test_every_subscribe_is_answered(session, topic):
    """By a snapshot, by the missed changes, or by an empty change set."""
    session.subscribe(topic, None, "rows")
    (snapshot,) = taken(session)
    session.subscribe(topic, Position("e", 5), "rows")
    (nothing,) = taken(session)

    assert isinstance(snapshot, Snapshot)
    assert nothing == Changes("numbers", 5, "e.5", [], digest=topic.digest("rows"))
    session.notify("numbers")
    assert taken(session) == []


def test_a_client_with_ten_thousand_changes_to_read_is_sent_the_newest_rows(session, topic):
    """Nothing waits for it in memory: what it gets when it reads again is bounded by the rows, not by the changes."""
    session.subscribe(topic, Position("e", 5), "rows")
    list(iter(session.next, None))
    for offset in range(6, 10_006):
        topic.apply(offset - 1, offset - 1, offset, [row(f"{offset % 10}", offset).upsert()])
        session.notify("numbers")

    messages = taken(session)

    assert len(messages) == 1
    assert messages[0].position == "e.10005"
    newest = {f"{offset % 10}": b'{"n":%d}' % offset for offset in range(9_996, 10_006)}
    rows = messages[0].rows if isinstance(messages[0], Snapshot) else messages[0].changes
    assert newest.items() <= {each.key: json_of(each) for each in rows}.items()


def test_changes_are_collected_only_when_they_can_be_sent(session, topic):
    """Ten changes while nothing could be written become one message; none is queued."""
    session.subscribe(topic, Position("e", 5), "rows")
    list(iter(session.next, None))
    for offset in range(6, 16):
        topic.apply(offset - 1, offset - 1, offset, [row("a", offset).upsert()])
        session.notify("numbers")

    (message,) = taken(session)
    assert message.after == 5
    assert message.position == "e.15"
    assert len(message.changes) == 1


def test_an_unsubscribed_topic_is_silent(session, topic):
    """After unsubscribe nothing of the topic is sent, not even what was marked before."""
    session.subscribe(topic, Position("e", 5), "rows")
    list(iter(session.next, None))
    topic.apply(5, 5, 6, [row("b").upsert()])
    session.notify("numbers")
    session.unsubscribe("numbers")
    session.notify("numbers")

    assert list(iter(session.next, None)) == []
    session.beat()
    assert taken(session) == [Heartbeat({})]


def test_a_heartbeat_follows_the_changes_it_counts(session, topic):
    """It sends changes that were never notified, and then the position reached."""
    session.subscribe(topic, Position("e", 5), "rows")
    list(iter(session.next, None))
    topic.apply(5, 5, 6, [row("b").upsert()])

    session.beat()

    changes, heartbeat = taken(session)
    assert changes.position == "e.6"
    assert heartbeat == Heartbeat({"numbers": "e.6"}, {"numbers": topic.digest("rows")})


def test_a_heartbeat_vouches_only_for_rows_that_were_sent(session, topic):
    """It has no digest of a topic of which this client names a position that this process has not reached."""
    session.subscribe(topic, Position("e", 9), "rows")
    (answer,) = taken(session)
    session.beat()
    (ahead,) = taken(session)
    topic.apply(5, 8, 9, [row("b").upsert()])
    session.beat()
    (current,) = taken(session)

    assert answer == Changes("numbers", 9, "e.9", [])
    assert ahead == Heartbeat({"numbers": "e.9"})
    assert current == Heartbeat({"numbers": "e.9"}, {"numbers": topic.digest("rows")})


def test_a_heartbeat_waits_for_the_whole_snapshot(session):
    """No digest is sent while parts of a snapshot are under way."""
    topic = Topic("numbers", max_part_bytes=100)
    topic.load(Position("e", 5), [row(f"{key:03}") for key in range(20)], unchanged_since=5)
    session.subscribe(topic, None, "rows")
    session.beat()

    *parts, heartbeat = taken(session)

    assert {type(part) for part in parts} == {Snapshot}
    assert heartbeat.digests == {"numbers": topic.digest("rows")}


def test_a_topic_that_lacks_something_is_not_vouched_for(session, topic):
    """The client is told at once, and again when nothing is missing any more."""
    session.subscribe(topic, Position("e", 5), "rows")
    list(iter(session.next, None))

    topic.set_current(False)
    session.notify("numbers")
    assert taken(session) == [Heartbeat({})]
    session.beat()
    assert taken(session) == [Heartbeat({})]

    topic.set_current(True)
    session.notify("numbers")
    assert taken(session) == [Heartbeat({"numbers": "e.5"}, {"numbers": topic.digest("rows")})]


def test_messages_of_a_topic_that_lacks_something_are_not_taken_for_current(session, topic):
    """A client takes an answer, and changes, for the newest state: a heartbeat that leaves the topic out follows."""
    topic.set_current(False)

    session.subscribe(topic, Position("e", 5), "rows")
    assert [type(message) for message in taken(session)] == [Changes, Heartbeat]

    topic.apply(5, 5, 6, [row("b").upsert()])
    session.notify("numbers")
    changes, heartbeat = taken(session)

    assert changes.position == "e.6"
    assert heartbeat == Heartbeat({})


def test_a_heartbeat_about_doubts_waits_while_they_are_held(session, topic):
    """The changes do not, nor does a heartbeat for another reason; it contains the doubts."""
    topic.set_current(False)
    session.subscribe(topic, Position("e", 5), "rows")
    taken(session)
    session.holds_doubts = True

    topic.apply(5, 5, 6, [row("b").upsert()])
    session.notify("numbers")
    assert [type(message) for message in taken(session)] == [Changes]
    assert not session.is_waiting

    session.pulse()
    assert taken(session) == [Heartbeat({})]
    session.holds_doubts = False
    assert not session.is_waiting


def test_held_doubts_are_sent_when_they_are_released(session, topic):
    session.subscribe(topic, Position("e", 5), "rows")
    taken(session)
    session.holds_doubts = True
    topic.set_current(False)
    session.notify("numbers")
    assert taken(session) == []

    session.holds_doubts = False

    assert session.is_waiting
    assert taken(session) == [Heartbeat({})]


@pytest.mark.parametrize(("count", "joins"), [(1, True), (64, True), (65, False)])
def test_a_session_with_many_topics_joins_no_cohort(count, joins):
    """Each would have so little room that it dissolves after a change or two, and all are left and joined then."""
    session = Session(
        default_limits(max_unacknowledged_bytes=1024**2, max_silent_bytes=None, max_subscriptions=100)
    )
    topics = [Topic(f"numbers.{number}") for number in range(count)]
    for topic in topics:
        topic.load(Position("e", 5), [row("a")], unchanged_since=5)
        session.subscribe(topic, Position("e", 5), "rows")
    sent = len(taken(session))
    session.acknowledge(sent)
    taken(session)

    session.join("member", lambda message: True)

    assert [topic.members for topic in topics] == [["member"] if joins else []] * count


@pytest.mark.parametrize(("seconds", "sent"), [(0.0, UNSET), (0.94, UNSET), (1.0, 1.0), (12.345, 12.3)])
def test_a_heartbeat_says_how_far_the_log_is_behind(session, seconds, sent):
    """From one second on."""
    session.pulse(seconds)

    assert taken(session) == [Heartbeat({}, behind_seconds=sent)]


@pytest.mark.parametrize(
    "text", [b"x", "x", "x" * 101, "é" * 60], ids=["binary", "no JSON", "long", "long in bytes"]
)
def test_invalid_messages_are_refused(session, text):
    """Binary ones, invalid JSON, and those over the limit in bytes."""
    with pytest.raises(BadMessage):
        session.receive(text, 0.0)


def test_a_message_over_the_limit_ends_the_session(session):
    """A client that sends a megabyte once would send it again."""
    with pytest.raises(BadMessage):
        session.receive("x" * 1_000_000, 0.0)

    assert taken(session) == [Bye(Code.BAD_MESSAGE, "a message may be at most 100 bytes long")]
    assert session.ending == Ending(Code.BAD_MESSAGE, "a message may be at most 100 bytes long")


def test_a_few_bad_messages_are_forgiven(session):
    """Each is answered; the third ends the session."""
    for _ in range(3):
        session.refuse(BadMessage("nonsense"))

    *errors, bye = taken(session)
    assert [error.code for error in errors] == [Code.BAD_MESSAGE] * 3
    assert bye.code == Code.BAD_MESSAGE


def test_a_refused_topic_is_named(session):
    """The page must learn which of its topics was refused."""
    session.refuse(Forbidden("numbers"), "numbers")

    (error,) = taken(session)
    assert (error.code, error.topic) == (Code.FORBIDDEN, "numbers")
    assert isinstance(error, Error)


def test_a_client_that_asks_faster_than_it_reads_is_disconnected(session):
    """The number of unread answers is limited; beyond it the session ends and drops them."""
    for number in range(20):
        session.post(Notice(text=str(number)))

    (bye,) = taken(session)
    assert bye.code == Code.TOO_SLOW


def test_after_the_ending_nothing_follows(session, topic):
    """The bye is the last message; the first ending stands."""
    session.subscribe(topic, Position("e", 5), "rows")
    session.end(Ending(Code.DRAINING, "stopping", 2.5))
    session.end(Ending(Code.INTERNAL, "too late"))
    topic.apply(5, 5, 6, [row("b").upsert()])
    session.notify("numbers")
    session.post(Notice(text="too late"))

    assert taken(session)[-1] == Bye(Code.DRAINING, "stopping", 2.5)


def test_a_bye_says_whether_the_page_is_to_load_itself_again(session):
    """Only then; clients without support for reloads reconnect."""
    session.end(Ending(Code.CLOSED, "reload", 0.0, reload=True))

    assert taken(session)[-1] == Bye(Code.CLOSED, "reload", 0.0, True)
    assert b"reload" not in msgspec.json.encode(Ending(Code.CLOSED, "closed").bye)


def test_what_is_unread_is_what_is_not_acknowledged(session, topic):
    """In bytes; all of it is read once all messages are acknowledged."""
    welcome = session.unread_bytes
    session.subscribe(topic, None, "rows")
    sizes = [len(text) for text in iter(session.next, None)]

    assert session.unread_bytes == welcome + sum(sizes) > welcome
    session.acknowledge(1 + len(sizes))
    assert session.unread_bytes == 0


def test_messages_encode_to_text():
    """The result of ``next`` can be sent unchanged."""
    assert all(isinstance(text, str) for text in iter(Session(default_limits()).next, None))
    assert messages.encode(messages.Ping()) == '{"type":"ping"}'


# ---------------------------------------------------------------- clients that do not read


LIMITS = default_limits(acknowledge_bytes=64, max_unacknowledged_bytes=1000, max_silent_bytes=5000)


def follower(topic: Topic, limits: Limits = LIMITS) -> Session:
    """A session that follows the topic and has nothing left to send."""
    session = Session(limits)
    session.subscribe(topic, None, "rows")
    taken(session)
    return session


def change(topic: Topic, session: Session, times: int) -> int:
    """Change the topic ``times`` times, each time with a notification; return how many messages were sent."""
    sent = 0
    for _ in range(times):
        offset = topic.position.offset + 1
        topic.apply(offset - 1, offset - 1, offset, [row("a", offset).upsert()])
        session.notify("numbers")
        sent += len(taken(session))
    return sent


def test_a_client_is_sent_a_limited_amount_ahead_of_its_acknowledgements(topic):
    """At the limit nothing is sent; after an acknowledgement one message has all changes since then."""
    session = follower(topic)
    session.acknowledge(2)

    sent = change(topic, session, 50)
    assert 5 < sent < 15
    session.post(Notice(text="waits as well"))
    assert taken(session) == []
    session.acknowledge(2 + sent)
    notice, caught_up = taken(session)

    assert notice == Notice(text="waits as well")
    assert (caught_up.position, len(caught_up.changes)) == (str(topic.position), 1)


def test_an_acknowledgement_of_part_frees_part(topic):
    """Counted in messages; bytes are known from marks in between."""
    limits = default_limits(max_unacknowledged_bytes=100_000)
    session = Session(limits)
    for _ in range(20):
        session.post(Notice(text="x" * 9_000))
    session.acknowledge(0)
    first = len(taken(session))
    session.acknowledge(7)
    second = len(taken(session))

    assert (first, second) == (13, 6)


def test_acknowledging_what_was_not_sent_frees_nothing(topic):
    """It is a bad message; a number lower than before has no effect."""
    session = follower(topic)
    session.acknowledge(2)
    change(topic, session, 50)

    for received in (-5, 10**9):
        with pytest.raises(BadMessage):
            session.acknowledge(received)
    session.acknowledge(0)

    assert change(topic, session, 5) == 0


def test_two_unacknowledged_heartbeats_end_the_session(topic):
    """Any acknowledgement in between shows that the client is alive."""
    session = follower(topic)
    for _ in range(5):
        session.pulse()
        session.acknowledge(2)
    session.pulse()
    session.pulse()
    assert session.ending is None

    session.pulse()

    assert session.ending is not None
    assert session.ending.code == Code.TOO_SLOW
    assert isinstance(taken(session)[-1], Bye)


def test_a_client_that_never_acknowledges_has_a_larger_limit(topic):
    """For example wscat. At that limit the session ends; the client may reconnect and resume."""
    session = follower(topic)

    sent = change(topic, session, 200)

    assert sent > 30
    assert session.ending is not None
    assert session.ending.code == Code.TOO_SLOW
    assert "acknowledge" in session.ending.reason


def test_a_server_that_waits_for_slow_clients_needs_no_such_limit(topic):
    """There the connection itself signals when more can be sent."""
    session = follower(topic, default_limits(max_unacknowledged_bytes=1000, max_silent_bytes=None))

    assert change(topic, session, 200) == 200


def test_a_snapshot_of_many_parts_waits_part_by_part(topic):
    """Nothing is copied for the connection; after an unsubscribe the rest is dropped."""
    topic = Topic("numbers", max_part_bytes=400)
    topic.load(Position("e", 5), [row(f"{key:03}") for key in range(300)], unchanged_since=5)
    session = Session(LIMITS)
    session.acknowledge(0)
    session.subscribe(topic, None, "rows")

    first = taken(session)
    assert 3 <= len(first) <= 5
    assert not session.is_whole
    session.acknowledge(len(first))
    assert len(taken(session)) >= 2
    session.unsubscribe("numbers")
    session.acknowledge(len(first) + 2)

    assert taken(session) == []
    assert session.is_whole


# ---------------------------------------------------------------- topics that cannot be read


def test_a_topic_that_cannot_be_read_is_not_vouched_for(session, topic):
    """Heartbeats leave it out and nothing of it is sent; when it can be read again, each subscriber is answered."""
    session.subscribe(topic, Position("e", 5), "rows")
    taken(session)
    topic.set_readable(False)
    topic.apply(5, 5, 6, [row("b").upsert()])
    session.notify("numbers")
    session.beat()

    assert taken(session) == [Heartbeat({})]

    topic.set_readable(True)
    session.notify("numbers")
    (changes,) = taken(session)
    session.notify("numbers")

    assert changes.position == "e.6"
    assert taken(session) == []


def test_a_topic_that_can_be_read_again_and_has_not_changed_is_confirmed(session, topic):
    """By an empty change set, once, so that a page need not wait for the next heartbeat."""
    session.subscribe(topic, Position("e", 5), "rows")
    taken(session)
    topic.set_readable(False)
    topic.set_readable(True)
    session.notify("numbers")

    assert taken(session) == [Changes("numbers", 5, "e.5", [], digest=topic.digest("rows"))]
    session.notify("numbers")
    assert taken(session) == []


def test_a_subscribe_to_a_topic_that_cannot_be_read_is_answered_later(session, topic):
    """With the snapshot that it asks for."""
    topic.set_readable(False)
    session.subscribe(topic, None, "rows")
    assert taken(session) == []

    topic.set_readable(True)
    session.notify("numbers")

    assert [type(message) for message in taken(session)] == [Snapshot]


@pytest.mark.parametrize("rate", [0.09, 0.001, 1e-9])
def test_a_rate_of_less_than_a_message_in_ten_seconds_allows_one(rate):
    """After that the session ends, as with any rate."""
    session = Session(default_limits(max_messages_per_second=rate))

    assert isinstance(session.receive('{"type":"ping"}', 0.0), messages.Ping)
    with pytest.raises(BadMessage):
        session.receive('{"type":"ping"}', 0.0)


def test_each_connection_delays_the_fetches_of_live_blocks_once(topic):
    """However often it subscribes, and only while it is open: a client could delay those of all others without end."""
    topic.fetches_per_second = 50.0
    signals = WireFormat("signal")
    sessions = [Session(default_limits()) for _ in range(10)]

    for each in sessions:
        for _ in range(20):
            each.subscribe(topic, None, "signal")
    assert topic.spread_of(signals) == 0.2
    for each in sessions[:5]:
        each.subscribe(topic, None, "rows")
    assert topic.spread_of(signals) == 0.1
    for each in sessions:
        each.unsubscribe(topic.name)

    assert topic.spread_of(signals) is UNSET
    assert topic.signalled == 0
