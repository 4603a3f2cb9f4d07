"""The copy of a topic that a Python client keeps."""

import json
import random

import pytest
from msgspec import UNSET, Raw

from realtime.client import Change, Replica
from realtime.engine import messages
from realtime.engine.messages import Changes, Error, Heartbeat, Row, Snapshot, Subscribe
from realtime.engine.position import Position
from realtime.engine.topic import Topic


def row(key: str, value: str = "", order: str = "") -> Row:
    contents = json.dumps({"name": value}).encode()
    return Row(key, order or key, Raw(contents), digest=messages.digest(key, order or key, contents))


def contents(row: Row) -> object:
    assert isinstance(row.row, Raw)
    return json.loads(bytes(row.row))


def upsert(key: str, value: str = "", order: str = "") -> messages.Change:
    made = row(key, value, order)
    return messages.Change("upsert", key, made.order, made.row, digest=made.digest)


def snapshot(position: str, *rows: Row, more: bool = False) -> Snapshot:
    return Snapshot("t", position, list(rows), more)


@pytest.fixture
def replica() -> Replica:
    """A replica with the rows a and b at e.10."""
    replica = Replica("t")
    replica.receive(snapshot("e.10", row("b", "2"), row("a", "1")))
    return replica


def test_a_snapshot_is_shown_with_its_last_part():
    """All rows are changes then; parts of another position do not count."""
    replica = Replica("t")

    assert replica.receive(snapshot("e.3", row("x"), more=True)) == []
    assert replica.receive(snapshot("e.4", row("b", "2"), more=True)) == []
    changes = replica.receive(snapshot("e.4", row("a", "1")))

    assert changes == [
        Change("upsert", "b", {"name": "2"}, None, "e.4"),
        Change("upsert", "a", {"name": "1"}, None, "e.4"),
    ]
    assert dict(replica.rows) == {"a": {"name": "1"}, "b": {"name": "2"}}
    assert list(replica.rows) == ["a", "b"]
    assert replica.is_vouched_for


def test_a_format_that_does_not_exist_is_refused():
    """At once, and with the names of those that do."""
    with pytest.raises(ValueError, match="format 'hmtl' does not exist; write 'rows' for values or 'html'"):
        Replica("products", "hmtl")  # type: ignore[arg-type]  # what mypy would refuse, too


def test_a_later_snapshot_yields_only_what_differs(replica):
    """Rows that it lacks are deletes; so the changes always add up to the rows."""
    changes = replica.receive(snapshot("f.1", row("b", "2"), row("c", "3")))

    assert [(change.op, change.key) for change in changes] == [("delete", "a"), ("upsert", "c")]
    assert changes[0].before == {"name": "1"}
    assert list(replica.rows) == ["b", "c"]


def test_changes_that_follow_are_applied(replica):
    """A delete of an unknown key is no change, and neither is an upsert that changes nothing."""
    changes = replica.receive(
        Changes("t", 10, "e.12", [upsert("a", "new", "z"), messages.delete("b"), messages.delete("no")])
    )

    assert changes == [
        Change("upsert", "a", {"name": "new"}, {"name": "1"}, "e.12"),
        Change("delete", "b", None, {"name": "2"}, "e.12"),
    ]
    assert replica.position == Position("e", 12)
    assert replica.receive(Changes("t", 12, "e.13", [upsert("a", "new", "z")])) == []


@pytest.mark.parametrize(
    "after, position, must_subscribe",
    [(11, "e.12", True), (10, "f.12", True), (8, "e.10", False), (9, "e.9", False)],
    ids=["gap", "epoch", "seen", "older"],
)
def test_changes_that_do_not_follow_are_not_applied(replica, after, position, must_subscribe):
    """After a gap, or in another epoch, the client resumes with what it has."""
    assert replica.receive(Changes("t", after, position, [upsert("a", "x")])) == []

    assert replica.must_subscribe is must_subscribe
    assert replica.subscription() == Subscribe("t", "e.10", "rows")
    assert not replica.must_subscribe


def test_a_heartbeat_that_is_ahead_means_resume(replica):
    """The position it names may have been reached by a change that this client was not sent."""
    replica.receive(Heartbeat({"t": "e.11"}))

    assert replica.must_subscribe
    assert not replica.is_vouched_for
    assert replica.subscription().position == "e.10"


def test_a_heartbeat_that_does_not_name_the_topic_does_not_vouch_for_it(replica):
    replica.receive(Heartbeat({}))

    assert not replica.is_vouched_for
    assert not replica.must_subscribe


@pytest.mark.parametrize("by", ["heartbeat", "changes"])
def test_another_digest_means_a_snapshot(replica, by):
    """Equal ones do not; the rows stay until the snapshot is there."""
    right = replica.digest
    for digest in (right, right ^ 1):
        if by == "heartbeat":
            replica.receive(Heartbeat({"t": "e.10"}, {"t": digest}))
        else:
            replica.receive(Changes("t", 10, "e.10", [], digest))
        assert replica.must_subscribe is (digest != right)

    assert replica.corrections == 1
    assert replica.subscription().position is None
    assert len(replica.rows) == 2


def test_without_digests_nothing_is_compared():
    """An older server sends none with its rows."""
    replica = Replica("t")
    replica.receive(snapshot("e.1", Row("a", "a", Raw(b"{}"), digest=UNSET)))

    replica.receive(Heartbeat({"t": "e.1"}, {"t": 5}))

    assert not replica.must_subscribe


def test_an_error_keeps_the_rows(replica):
    """A refusal is for the follower to decide on; the others pass by."""
    replica.receive(Error(4500, "later", "t"))

    assert not replica.is_vouched_for
    assert len(replica.rows) == 2


def test_other_topics_do_not_matter(replica):
    assert replica.receive(Snapshot("other", "e.99", [], False)) == []
    assert replica.receive(Changes("other", 0, "e.99", [])) == []
    assert replica.position == Position("e", 10)


@pytest.mark.parametrize("seed", range(30))
def test_changes_add_up_to_the_rows(seed):
    """Whatever is lost or repeated on the way: what was yielded, applied in order, is the rows of the server."""
    dice = random.Random(seed)
    topic, replica = Topic("t"), Replica("t")
    topic.load(Position("e", 1), [row("a", "0")], 1)
    known: dict[str, object] = {}
    cursor = topic.cursor(None, messages.WireFormat())

    def receive(encoded: str | bytes) -> None:
        for change in replica.receive(messages.decode_server(encoded)):
            if change.op == "delete":
                assert known.pop(change.key) == change.before
            else:
                assert known.get(change.key) == change.before
                known[change.key] = change.row

    for step in range(2, 60):
        key, value = dice.choice("abcd"), str(dice.randrange(3))
        change = messages.delete(key) if dice.random() < 0.3 else row(key, value).upsert()
        topic.apply(step - 1, step - 1, step, [change])
        sent = list(topic.advance(cursor))
        for encoded in sent * dice.choice([0, 1, 1, 2]):
            receive(encoded)
        if replica.must_subscribe or dice.random() < 0.1:
            asked = replica.subscription().position
            cursor = topic.cursor(None if asked is None else Position.parse(asked), messages.WireFormat())
    for encoded in topic.advance(topic.cursor(replica.position, messages.WireFormat())):
        receive(encoded)

    assert known == dict(replica.rows) == {each.key: contents(each) for each in topic.rows}
    assert list(replica.rows) == [each.key for each in topic.rows]
