"""A topic brings every cursor to its position, from whatever it has seen."""

import sys
from statistics import mode
from string import ascii_lowercase
from typing import Any

import msgspec
import pytest

from realtime.engine import messages, replacement
from realtime.engine.cursor import Cursor
from realtime.engine.encodings import Encodings
from realtime.engine.errors import Gap, Unrecoverable
from realtime.engine.messages import Changes, Format, Row, Snapshot, WireFormat, decode_server
from realtime.engine.position import Position
from realtime.engine.topic import MAX_KEPT_CHANGES, Topic
from tests.support.contents import decode_as


def row(key: str, contents: str = "", order: str | None = None) -> Row:
    return Row(
        key, order or key, msgspec.Raw(msgspec.json.encode({"contents": contents})), f"<p>{contents}</p>"
    )


def upsert(key: str, contents: str = "") -> messages.Change:
    return row(key, contents).upsert()


@pytest.fixture
def topic() -> Topic:
    """Rows a and b as of 10; c was created in (10, 12], a deleted in (14, 15], b updated in (16, 19]."""
    topic = Topic("letters")
    topic.load(Position("e", 10), [row("a"), row("b")], unchanged_since=10)
    topic.apply(10, 10, 12, [upsert("c")])
    topic.apply(12, 14, 15, [messages.delete("a")])
    topic.apply(15, 16, 19, [upsert("b", "new")])
    return topic


def advance(topic: Topic, offset: int | None):
    cursor = topic.cursor(None if offset is None else Position("e", offset), WireFormat())
    return [decode_server(text) for text in topic.advance(cursor)], cursor


@pytest.mark.parametrize(
    ("offset", "missed"),
    [(19, None), (25, None), (15, ["b"]), (16, ["b"]), (12, ["a", "b"]), (14, ["a", "b"]), (10, None)],
)
def test_a_cursor_gets_exactly_what_it_missed(topic, offset, missed):
    """From any reachable position the rest is sent once, merged; a snapshot replaces more changes than rows."""
    got, cursor = advance(topic, offset)

    if offset >= 19:
        assert got == []
    elif missed is None:
        assert [type(message) for message in got] == [Snapshot]
    else:
        (changes,) = got
        assert isinstance(changes, Changes)
        assert changes.after <= offset < 19
        assert sorted(change.key for change in changes.changes) == missed
    assert cursor.offset == max(offset, 19)


@pytest.mark.parametrize("position", [None, Position("other", 19), Position("e", 9)], ids=str)
def test_a_position_that_cannot_be_served_gets_a_snapshot(topic, position):
    """No position, one of another epoch, or one before the kept changes: all rows, in order, as of now."""
    (message,) = map(decode_server, topic.advance(topic.cursor(position, WireFormat())))

    assert isinstance(message, Snapshot)
    assert message.position == "e.19"
    assert [row.key for row in message.rows] == ["b", "c"]
    assert not message.more


def test_a_change_is_encoded_once_for_all(topic):
    """Subscribers at the head share one text."""
    one, other = (topic.cursor(Position("e", 15), WireFormat()) for _ in range(2))

    assert topic.advance(one)[0] is topic.advance(other)[0]


def test_a_snapshot_is_encoded_once_for_all(topic):
    """Subscribers without a position share the texts, until something changes."""
    one, other = topic.advance(Cursor(WireFormat("html"))), topic.advance(Cursor(WireFormat("html")))
    topic.apply(19, 19, 20, [messages.delete("b")])

    assert one is other
    assert topic.advance(Cursor(WireFormat("html"))) != one


def test_duplicates_have_no_effect(topic):
    """A change set at or below the position is dropped."""
    assert not topic.apply(12, 12, 15, [upsert("a", "back from the dead")])
    assert [row.key for row in topic.rows] == ["b", "c"]


@pytest.mark.parametrize("offset", [17, 18])
def test_a_page_rendered_while_changes_were_being_sequenced_gets_a_snapshot(topic, offset):
    """It may show a row that was created and deleted in between, which the log does not mention."""
    got, _ = advance(topic, offset)

    assert [type(message) for message in got] == [Snapshot]


def test_a_page_rendered_ahead_of_this_process_is_checked_when_the_process_reaches_its_position(topic):
    """A row that was gone again when its changes were sequenced is removed from the page."""
    cursor = topic.cursor(Position("e", 25), WireFormat())
    assert topic.advance(cursor) == []

    assert topic.apply(19, 21, 28, [messages.delete("flash")])

    assert isinstance(decode_server(topic.advance(cursor)[0]), Snapshot)
    assert topic.advance(cursor) == []


def test_a_gap_is_an_error(topic):
    """A change set that does not follow the position must not be applied."""
    with pytest.raises(Gap, match="read the log from 19"):
        topic.apply(21, 21, 22, [upsert("x")])
    assert topic.position.offset == 19


def test_deletes_of_unknown_rows_are_dropped(topic):
    """An edited hidden row would otherwise disclose its key to every subscriber."""
    assert not topic.apply(19, 19, 23, [messages.delete("hidden")])

    got, _ = advance(topic, 19)
    assert got == []


def test_an_invisible_change_leaves_no_gap(topic):
    """Subscribers stay at the last visible change; the next one follows it."""
    topic.apply(19, 19, 23, [messages.delete("hidden"), upsert("b", "new")])
    topic.apply(23, 23, 30, [upsert("d")])

    (message,), _ = advance(topic, 19)
    assert message.after == 19
    assert message.position == "e.30"


def test_several_changes_of_a_row_are_merged_into_the_last_one(topic):
    """A subscriber that missed them all gets the row once, as it is now."""
    topic.apply(19, 19, 20, [upsert("c", "newer")])
    topic.apply(20, 20, 21, [upsert("c", "newest")])

    (message,), _ = advance(topic, 16)
    assert [(change.key, bytes(change.row)) for change in message.changes] == [
        ("b", b'{"contents":"new"}'),
        ("c", b'{"contents":"newest"}'),
    ]


def test_a_merged_change_set_is_made_anew_after_a_change(topic):
    """It is shared only until the topic changes."""
    (before,), _ = advance(topic, 12)
    topic.apply(19, 19, 20, [upsert("b", "newer")])

    (after,), _ = advance(topic, 12)
    assert (before.position, after.position) == ("e.19", "e.20")
    assert [bytes(change.row) for change in after.changes if change.key == "b"] == [b'{"contents":"newer"}']


def test_a_new_epoch_discards_the_unseen_intervals(topic):
    """A cursor at an offset inside such an interval of the old epoch is served like any other."""
    topic.load(Position("other", 40), [row("a")], unchanged_since=10)

    assert topic.advance(topic.cursor(Position("other", 17), WireFormat())) == []


def test_a_long_snapshot_is_sent_in_parts_below_the_limit():
    """The parts have one position; a row longer than the limit is a part by itself."""
    topic = Topic("letters", max_part_bytes=200)
    rows = [row("a", "x" * 30), row("b", "x" * 30), row("c", "x" * 300), row("d")]
    topic.load(Position("e", 1), rows, unchanged_since=1)

    parts = [decode_as(Snapshot, text) for text in topic.advance(Cursor(WireFormat()))]

    assert [[row.key for row in part.rows] for part in parts] == [["a", "b"], ["c"], ["d"]]
    assert [part.more for part in parts] == [True, True, False]
    assert {part.position for part in parts} == {"e.1"}


def test_a_change_set_over_the_limit_becomes_a_snapshot():
    """No message is longer than a part, and no change set is split."""
    topic = Topic("letters", max_part_bytes=200)
    topic.load(Position("e", 1), [row(key) for key in "abcdef"], unchanged_since=1)
    topic.apply(1, 1, 2, [upsert(key, "x" * 80) for key in "abc"])

    assert all(
        isinstance(decode_server(text), Snapshot)
        for text in topic.advance(topic.cursor(Position("e", 1), WireFormat()))
    )


def test_reading_the_rows_anew_sends_only_what_differs(topic):
    """A second load is a change set: deletes and upserts, without the rows that stayed the same."""
    topic.load(Position("e", 40), [row("c"), row("z")], unchanged_since=40)

    (message,), _ = advance(topic, 19)
    assert [(change.op, change.key) for change in message.changes] == [("delete", "b"), ("upsert", "z")]


@pytest.mark.parametrize(
    "position", [Position("other", 40), Position("e", 3)], ids=["new epoch", "restored backup"]
)
def test_a_new_epoch_or_a_restored_backup_means_a_snapshot(topic, position):
    """Offsets of two lives do not compare, whatever their numbers."""
    _, cursor = advance(topic, 19)

    topic.load(position, [row("q")], unchanged_since=position.offset)

    (message,) = map(decode_server, topic.advance(cursor))
    assert isinstance(message, Snapshot)
    assert topic.position_of(cursor) == position


def test_a_cursor_in_the_unchanged_past_needs_nothing():
    """A topic loaded at 50 that has not changed since 20 has no changes for a page rendered at 30."""
    topic = Topic("letters")
    topic.load(Position("e", 50), [row("a")], unchanged_since=20)

    assert advance(topic, 30)[0] == []
    assert isinstance(advance(topic, 19)[0][0], Snapshot)


def test_the_number_of_kept_changes_is_limited():
    """A subscriber that is further behind needs a snapshot."""
    topic = Topic("letters", max_kept_changes=3)
    topic.load(Position("e", 0), [row(key) for key in "abcdefgh"], unchanged_since=0)
    for offset in range(1, 9):
        topic.apply(offset - 1, offset - 1, offset, [upsert("abcdefgh"[offset - 1], "new")])

    assert isinstance(advance(topic, 5)[0][0], Changes)
    with pytest.raises(Unrecoverable, match="the kept changes start at 5"):
        topic.since(topic.cursor(Position("e", 4), WireFormat()))


def test_rows_do_not_refer_to_the_payload_they_were_decoded_from(topic):
    """A topic keeps its own copy: a payload of a megabyte must not stay in memory for one row of it."""
    payload = messages.encode_changes([upsert("big", "x" * 1000), upsert("small")])

    topic.apply(19, 19, 20, messages.decode_changes(payload))

    (small,) = (row for row in topic.rows if row.key == "small")
    assert isinstance(small.row, msgspec.Raw)
    owner: Any = memoryview(small.row).obj
    assert len(owner) < 100


@pytest.mark.parametrize("format", ["rows", "html"])
def test_the_digest_follows_the_rows(topic, format):
    """Kept in step from its first use on: through changes, reads and new epochs; an empty topic has 0."""

    def fresh():
        other = Topic("letters")
        other.load(topic.position, topic.rows, unchanged_since=topic.position.offset)
        return other.digest(format)

    assert topic.digest(format) == fresh()
    topic.apply(19, 19, 20, [upsert("b", "newer"), upsert("x"), messages.delete("c"), messages.delete("c")])
    assert topic.digest(format) == fresh()
    topic.load(Position("e", 25), [row("a"), row("b", "read")], unchanged_since=25)
    assert topic.digest(format) == fresh()
    topic.load(Position("other", 3), [row("q")], unchanged_since=3)
    assert topic.digest(format) == fresh()
    topic.apply(3, 3, 4, [messages.delete("q")])
    assert topic.digest(format) == 0


def test_only_a_cursor_at_the_newest_change_has_a_digest(topic):
    """Others have other rows: behind, of another life, or ahead of this process."""
    ahead, behind, snapshot = (
        topic.cursor(Position("e", 25), WireFormat()),
        topic.cursor(Position("e", 15), WireFormat()),
        topic.cursor(None, WireFormat()),
    )
    topic.advance(ahead)

    assert [topic.digest_at(cursor) for cursor in (ahead, behind, snapshot)] == [None] * 3
    for cursor in (behind, snapshot):
        topic.advance(cursor)
        assert topic.digest_at(cursor) == topic.digest("rows")
    topic.load(Position("other", 19), topic.rows, unchanged_since=19)
    assert topic.digest_at(behind) is None


def test_a_shared_snapshot_leaves_the_cursor_at_its_own_position(topic):
    """Also where the topic has come further since, without a visible change: a heartbeat must not be ahead."""
    topic.advance(Cursor(WireFormat()))
    topic.apply(19, 19, 23, [messages.delete("hidden")])
    cursor = Cursor(WireFormat())

    (snapshot,) = topic.advance(cursor)

    assert decode_as(Snapshot, snapshot).position == str(topic.position_of(cursor)) == "e.19"


def test_other_rows_at_the_same_position_are_a_snapshot(topic):
    """As for a feed that depends on the time: clients drop changes that lead to the position they have."""
    _, cursor = advance(topic, 19)
    assert not topic.load(Position("e", 19), topic.rows, unchanged_since=19)
    assert topic.advance(cursor) == []

    assert topic.load(Position("e", 19), [row("b", "later")], unchanged_since=19)

    (message,) = map(decode_server, topic.advance(cursor))
    assert isinstance(message, Snapshot)
    assert [row.key for row in message.rows] == ["b"]
    assert topic.digest_at(cursor) == row("b", "later").digest_in("rows")


def test_differing_rows_are_named(topic):
    """Changed, new and gone ones."""
    assert topic.differing(topic.rows) == []
    assert sorted(topic.differing([row("b", "other"), row("new")])) == ["b", "c", "new"]


# ---------------------------------------------------------------- edges that mutants have shown to be untested


def test_a_new_topic_has_no_epoch():
    """So that no position of a client compares with it before its rows are read."""
    topic = Topic("letters")

    assert (topic.position, topic.recoveries, topic.rows) == (Position("", 0), 0, [])


def test_before_the_log_has_begun_a_topic_is_served_like_any_other():
    """Its first rows follow on the beginning, and nothing has been counted before them."""
    rows = [row("a"), row("b")]
    size = sum(
        messages.contents_size(change) for change in [*(row.upsert() for row in rows), upsert("a", "new")]
    )
    topic = Topic("letters", max_kept_changes=3, max_kept_bytes=size)
    topic.load(Position("", 5), rows, unchanged_since=5)
    topic.apply(5, 5, 6, [upsert("a", "new")])

    (message,) = topic.advance(topic.cursor(Position("", 0), WireFormat()))

    assert decode_as(Changes, message).after == 0


def test_a_topic_that_is_read_for_the_first_time_and_is_empty_is_no_news():
    """No subscriber was sent anything of the topic."""
    assert not Topic("letters").load(Position("", 5), [], unchanged_since=5)


@pytest.mark.parametrize(
    "wire_format", [WireFormat("html"), WireFormat("html", "msgpack"), WireFormat("rows", "msgpack")], ids=str
)
def test_a_client_is_sent_what_it_asked_for(topic, wire_format):
    """Snapshots and changes have the contents of its format in its encoding."""
    (snapshot,) = topic.advance(Cursor(wire_format))
    (changes,) = topic.advance(topic.cursor(Position("e", 15), wire_format))

    for encoded, rows in ((snapshot, "rows"), (changes, "changes")):
        assert isinstance(encoded, bytes if wire_format.encoding == "msgpack" else str)
        first = getattr(decode_server(encoded), rows)[0]
        assert (first.html is msgspec.UNSET, first.row is msgspec.UNSET) == (
            wire_format.format == "rows",
            wire_format.format == "html",
        )


def test_subscribers_are_told_once_when_a_topic_can_or_cannot_be_read(topic):
    """Each return to readability is counted, because it is answered once more."""
    assert not topic.set_readable(True)
    assert [topic.set_readable(value) for value in (False, False, True, False, True)] == [
        True,
        False,
        True,
        True,
        True,
    ]
    assert topic.recoveries == 2


def test_loading_says_whether_there_are_news(topic):
    """The hub notifies subscribers by that."""
    assert not topic.load(topic.position, topic.rows, unchanged_since=19)
    assert topic.load(Position("other", 40), [row("q")], unchanged_since=40)


def test_a_page_rendered_after_the_last_change_of_a_read_topic_needs_no_snapshot(topic):
    """The topic has had the rows of 40 since 30; a page of 35 has them, one of 25 may have had others."""
    topic.load(Position("e", 40), [row("c"), row("z")], unchanged_since=30)

    assert isinstance(advance(topic, 35)[0][0], Changes)
    assert isinstance(advance(topic, 25)[0][0], Snapshot)


def test_changes_at_the_position_itself_are_dropped(topic):
    """They are in the rows already."""
    assert not topic.apply(16, 16, 19, [upsert("z")])
    assert [row.key for row in topic.rows] == ["b", "c"]


def test_errors_name_the_offsets(topic):
    """The hub reads the log from there."""
    with pytest.raises(Gap) as gap:
        topic.apply(21, 21, 22, [upsert("x")])
    with pytest.raises(Unrecoverable) as old:
        topic.since(topic.cursor(Position("e", 9), WireFormat()))
    with pytest.raises(Unrecoverable) as unseen:
        topic.since(topic.cursor(Position("e", 17), WireFormat()))
    with pytest.raises(Unrecoverable) as many:
        topic.since(topic.cursor(Position("e", 10), WireFormat()))

    assert (gap.value.position, gap.value.after) == (19, 21)
    assert (old.value.asked, old.value.oldest) == (9, 10)
    assert (unseen.value.asked, unseen.value.oldest) == (17, 19)
    assert (many.value.asked, many.value.oldest) == (10, 10)


def test_a_client_that_is_not_ahead_has_no_news_of_an_invisible_change(topic):
    """Only a client that named a later position than this process had is checked again."""
    topic.cursor(Position("e", 19), WireFormat())

    assert not topic.apply(19, 19, 23, [messages.delete("hidden")])
    assert topic.apply(23, 23, 24, [upsert("d")])


@pytest.mark.parametrize("ends, is_unseen", [(20, False), (21, True)])
def test_a_page_rendered_within_an_interval_is_not_one_at_its_ends(topic, ends, is_unseen):
    """An interval of two offsets has one within it."""
    topic.apply(19, 19, ends, [upsert("b", "newer")])

    assert isinstance(advance(topic, 20)[0][0], Snapshot) if is_unseen else advance(topic, 20)[0] == []
    assert isinstance(advance(topic, 19)[0][0], Changes)


def test_the_number_of_remembered_intervals_is_limited():
    """A page of before the forgotten ones gets a snapshot; one of after them what it missed."""
    topic = Topic("letters")
    topic.load(Position("e", 0), [row("a"), row("b")], unchanged_since=0)
    for number in range(MAX_KEPT_CHANGES + 1):
        topic.apply(10 * number, 10 * number + 5, 10 * number + 10, [upsert("a", str(number))])

    assert len(topic._blind) == MAX_KEPT_CHANGES
    assert isinstance(advance(topic, 12)[0][0], Changes)
    assert isinstance(advance(topic, 10)[0][0], Changes)
    topic.apply(
        topic.position.offset, topic.position.offset + 5, topic.position.offset + 10, [upsert("a", "last")]
    )
    assert isinstance(advance(topic, 15)[0][0], Snapshot)
    assert isinstance(advance(topic, 20)[0][0], Changes)


def test_the_bytes_of_kept_changes_are_limited():
    """Exactly: as many change sets are kept as fit, and always the newest."""
    size = messages.contents_size(upsert("a", "new"))
    topic = Topic("letters", max_kept_bytes=2 * size)
    topic.load(Position("e", 0), [row(key) for key in "abcdefgh"], unchanged_since=0)

    for offset in range(1, 7):
        topic.apply(offset - 1, offset - 1, offset, [upsert("abcdefgh"[offset], "new")])

        oldest = max(0, offset - 2)
        assert isinstance(advance(topic, oldest)[0][0], Changes)
        if oldest:
            assert isinstance(advance(topic, oldest - 1)[0][0], Snapshot)


@pytest.mark.parametrize("bytes_kept", [0, 1], ids=["nothing fits", "one byte fits"])
def test_the_newest_change_is_kept_whatever_its_size(bytes_kept):
    """It is about to be sent to all subscribers."""
    topic = Topic("letters", max_kept_bytes=bytes_kept)
    topic.load(Position("e", 0), [row("a"), row("b")], unchanged_since=0)
    for offset in (1, 2):
        topic.apply(offset - 1, offset - 1, offset, [upsert("a", str(offset))])

    assert isinstance(advance(topic, 1)[0][0], Changes)
    assert isinstance(advance(topic, 0)[0][0], Snapshot)


def test_a_cursor_of_an_earlier_life_has_no_position(topic):
    """Its offset does not compare with the present ones; nor has a cursor that needs a snapshot one."""
    cursor = topic.cursor(Position("e", 19), WireFormat())
    assert topic.position_of(cursor) == Position("e", 19)
    assert topic.position_of(Cursor(WireFormat(), None, cursor.life)) is None

    topic.load(Position("other", 19), [row("q")], unchanged_since=19)

    assert topic.position_of(cursor) is None


def test_cursors_that_missed_the_same_changes_share_one_text(topic):
    """Also those between two positions, and those that get several change sets merged."""
    topic.apply(19, 19, 20, [upsert("c", "newer")])

    def sent(offset: int) -> messages.Encoded:
        return topic.advance(topic.cursor(Position("e", offset), WireFormat()))[0]

    assert sent(19) is sent(19)
    assert sent(16) is sent(15)
    assert sent(15) is not sent(19)


def test_messages_may_be_as_long_as_the_limit(topic):
    """One byte more makes a snapshot of changes, and two parts of a snapshot."""
    (changes,) = topic.advance(topic.cursor(Position("e", 15), WireFormat()))
    rows = sum(messages.encoded_size(row.narrowed("rows")) for row in topic.rows)

    def kinds(limit: int, offset: int | None) -> list[type]:
        topic._max_part_bytes = limit
        topic._forget_encodings()
        return [type(message) for message in advance(topic, offset)[0]]

    assert kinds(len(changes), 15) == [Changes]
    assert kinds(len(changes) - 1, 15)[0] is Snapshot
    assert kinds(rows, None) == [Snapshot]
    assert kinds(rows - 1, None) == [Snapshot, Snapshot]


def test_every_part_of_a_snapshot_may_be_as_long_as_the_limit():
    """The size begins anew with each part."""
    sizes = {key: messages.encoded_size(row(key).narrowed("rows")) for key in ascii_lowercase}
    row_bytes = mode(sizes.values())  # digests have more or fewer digits
    topic = Topic("letters", max_part_bytes=2 * row_bytes)
    keys = [key for key, size in sizes.items() if size == row_bytes][:6]
    topic.load(Position("e", 1), map(row, keys), unchanged_since=1)

    parts = [decode_as(Snapshot, text) for text in topic.advance(Cursor(WireFormat()))]

    assert [[row.key for row in part.rows] for part in parts] == [keys[:2], keys[2:4], keys[4:]]


def test_what_clients_ask_for_is_not_all_kept():
    """From each of many positions, in each wire format, of several topics: the limits are in bytes."""
    encodings = Encodings(max_bytes=100_000, max_topic_bytes=50_000)
    topics = [Topic(name, encodings=encodings) for name in ("one", "two", "three")]
    for topic in topics:
        topic.load(Position("e", 1), [row(str(number), "x" * 50) for number in range(150)], unchanged_since=1)
        for offset in range(2, 102):
            topic.apply(offset - 1, offset - 1, offset, [upsert(str(offset), "y" * 50)])

    for topic in topics:
        for offset in range(1, 102, 3):
            for wire_format in (
                WireFormat("rows"),
                WireFormat("html"),
                WireFormat("rows", "msgpack"),
                WireFormat("html", "msgpack"),
            ):
                cursor = topic.cursor(Position("e", offset), wire_format)
                topic.advance(cursor)
                assert cursor.offset == 101
                assert encodings.bytes <= 100_000

    assert encodings.bytes > 50_000


def test_looking_for_news_makes_no_messages(topic):
    """A poll that waits is sent nothing; what it would be sent is the same as ``advance`` says."""
    for position in (None, Position("other", 19), *(Position("e", offset) for offset in range(20))):
        has_news = topic.has_news(topic.cursor(position, WireFormat()))
        assert topic._encodings.bytes == 0
        assert not any(kept._encoded for kept in topic._kept)

        assert has_news == bool(topic.advance(topic.cursor(position, WireFormat())))
        topic._forget_encodings()
        topic._kept.newest.forget_encodings()


def test_a_snapshot_that_is_being_sent_outlives_its_topics_changes(topic):
    """A client that reads slowly gets the rest of it as of its position, and then what has changed since."""
    topic._max_part_bytes = 1
    topic._forget_encodings()
    cursor = Cursor(WireFormat())
    parts = topic.advance(cursor)
    first = decode_as(Snapshot, parts[0])

    topic.apply(19, 19, 20, [messages.delete("c")])

    rest = [decode_as(Snapshot, text) for text in list(parts)[1:]]
    assert [each.key for part in (first, *rest) for each in part.rows] == ["b", "c"]
    assert {part.position for part in rest} == {first.position}
    assert topic._encodings.bytes == 0
    assert cursor.offset == 19
    assert topic.has_news(cursor)


def test_rows_that_another_thread_reads_belong_to_their_position():
    """Before each line that applies a change or replaces all rows, a read returns one whole state or nothing."""
    topic = Topic("letters")
    topic.load(Position("e", 1), [row("a", "1"), row("b", "1")], unchanged_since=1)
    seen: set[tuple[int, tuple[str, ...]]] = set()
    refused = 0

    def look(frame: Any, event: str, arg: object) -> Any:
        nonlocal refused
        if event == "call" and frame.f_code.co_name in ("frozen", "rows", "<lambda>"):
            return None
        sys.settrace(None)
        frozen = topic.frozen()
        if frozen is None:
            refused += 1
        else:
            position, rows = frozen
            seen.add((position.offset, tuple(f"{each.key} {each.html}" for each in rows)))
        sys.settrace(look)
        return look

    former = sys.gettrace()
    sys.settrace(look)
    try:
        topic.apply(1, 1, 2, [upsert("a", "2"), upsert("c", "2"), messages.delete("b")])
        topic.load(Position("e", 3), [row("a", "3"), row("d", "3")], unchanged_since=3)
        topic.load(Position("f", 1), [row("z")], unchanged_since=1)
    finally:
        sys.settrace(former)

    assert seen == {
        (1, ("a <p>1</p>", "b <p>1</p>")),
        (2, ("a <p>2</p>", "c <p>2</p>")),
        (3, ("a <p>3</p>", "d <p>3</p>")),
        (1, ("z <p></p>",)),
    }
    assert refused


def test_each_state_of_a_topic_is_another_object():
    """Also where rows are replaced at the same position: what was made of the former ones is not used any more."""
    topic, position = Topic("letters"), Position("e", 1)
    states = []
    for contents in ("one", "two", "three"):
        topic.load(position, [row("a", contents)], unchanged_since=1)
        states.append(topic.state)

    assert states == [position] * 3
    assert len({id(state) for state in states}) == 3


@pytest.mark.parametrize("many", [1, 10**6], ids=["digests at once", "digests when asked for"])
@pytest.mark.parametrize("asked", [(), ("rows",), ("html", "rows")], ids=["none asked", "rows", "both"])
@pytest.mark.parametrize(
    "position", [Position("e", 40), Position("e", 19), Position("e", 3), Position("f", 1)], ids=str
)
@pytest.mark.parametrize("keys", ["bc", "", "c", "abcxyz", "xyz"])
def test_rows_may_be_compared_before_they_are_loaded(keys, position, asked, many, monkeypatch):
    """In a thread, for there may be 50,000: the result is the same, digests and unchanged rows included."""
    monkeypatch.setattr(replacement, "MANY_ROWS", many)
    topics = []
    for _ in range(2):
        topic = Topic("letters")
        topic.load(Position("e", 1), [row("b"), row("c"), row("d")], unchanged_since=1)
        topic.apply(1, 1, 19, [upsert("b", "new"), messages.delete("d")])
        topics.append(topic)
    at_once, before = topics
    digests = {format: before.digest(format) for format in asked}
    assert digests.keys() == set(asked)
    new = [row(key, "new" if key == "b" else "") for key in keys]
    kept = before._rows.get("b")

    compared = before.compared(new)
    assert [each.key for each in compared.changes] == before.differing(new)
    results = [at_once.load(position, new, 2), before.load(position, compared, 2)]

    assert results[0] == results[1]
    assert at_once.rows == before.rows == new
    assert "b" not in keys or before._rows["b"] is kept
    for format in ("rows", "html"):
        plain = Topic("letters")
        plain.load(position, new, 2)
        assert at_once.digest(format) == before.digest(format) == plain.digest(format)
    for offset in (None, 1, 5, 19, 40):
        assert advance(at_once, offset)[0] == advance(before, offset)[0]


@pytest.mark.parametrize("behind", [1, 3], ids=["one set", "merged"])
@pytest.mark.parametrize("wire_format", [WireFormat("rows"), WireFormat("html", "msgpack")], ids=str)
def test_changes_that_are_longer_than_a_part_of_a_snapshot_are_not_encoded(behind, wire_format, monkeypatch):
    """Thousands of them take long, only to be dropped: the snapshot is shorter, or sent in parts."""
    topic = Topic("letters", max_part_bytes=2000)
    topic.load(Position("e", 1), map(row, ascii_lowercase), unchanged_since=1)
    cursor = topic.cursor(Position("e", 1), wire_format)
    topic.advance(cursor)
    for number in range(behind):
        changes = [upsert(key, f"{number}" * 200) for key in ascii_lowercase]
        topic.apply(1 + number, 1 + number, 2 + number, changes)
    encoded: list[object] = []
    encode = messages.encode

    def noted(message: Any, *arguments: Any) -> Any:
        encoded.append(message)
        return encode(message, *arguments)

    monkeypatch.setattr(messages, "encode", noted)

    first = topic.advance(cursor)[0]

    assert [type(message) for message in encoded] == [Snapshot]
    assert first
    assert cursor.offset == 1 + behind


SIGNALS: list[Format] = ["signal", "rows+signal", "html+signal", "rows+html+signal"]


def signalled(topic: Topic, cursor: Cursor) -> list[int]:
    """Return the signals of what a cursor is sent."""
    got = rows_sent(topic, cursor)
    return [
        each.signal if isinstance(each.signal, int) else Position.parse(each.position).offset for each in got
    ]


def rows_sent(topic: Topic, cursor: Cursor) -> list[Snapshot | Changes]:
    got = [decode_server(text) for text in topic.advance(cursor)]
    return [message for message in got if isinstance(message, Snapshot | Changes)]


@pytest.mark.parametrize("format", SIGNALS)
def test_a_first_signal_says_since_when_the_topic_is_the_same(format: Format) -> None:
    """A page that was rendered after that offset is current, wherever the topic's position is."""
    topic = Topic("letters")
    topic.load(Position("e", 10), [row("a")], unchanged_since=7)

    cursor = topic.cursor(None, WireFormat(format))

    assert topic.has_news(cursor)
    assert signalled(topic, cursor) == [7]
    assert not topic.has_news(cursor)


@pytest.mark.parametrize("format", SIGNALS)
def test_every_entry_of_the_log_is_a_signal(topic: Topic, format: Format) -> None:
    """A row that came and went in between may be in what a page shows."""
    topic.hides_rows = False
    cursor, plain = (
        topic.cursor(Position("e", 19), WireFormat(format)),
        topic.cursor(Position("e", 19), WireFormat("html")),
    )

    assert topic.apply(19, 20, 22, [messages.delete("never seen")])
    assert signalled(topic, cursor) == [22]
    assert topic.advance(plain) == []
    assert topic.apply(22, 22, 25, [upsert("d")])
    assert topic.apply(25, 25, 27, [messages.delete("never seen")])
    assert signalled(topic, cursor) == [25, 27]
    assert signalled(topic, topic.cursor(None, WireFormat(format))) == [27]
    assert not topic.has_news(cursor)


@pytest.mark.parametrize("format", SIGNALS)
def test_a_page_that_is_ahead_gets_the_signal_of_its_own_position(topic: Topic, format: Format) -> None:
    """Other parts of it may be older than its rows, and nothing up to there is told to it later."""
    topic.hides_rows = False
    cursor = topic.cursor(Position("e", 22), WireFormat(format))

    assert topic.signal_of(cursor) == 22
    assert topic.apply(19, 20, 22, [upsert("d")])
    assert signalled(topic, cursor) == []


@pytest.mark.parametrize("format", SIGNALS)
def test_what_is_written_to_rows_that_subscribers_may_not_see_is_no_signal(
    topic: Topic, format: Format
) -> None:
    """Not even its time: the topic's table has such rows."""
    cursor = topic.cursor(Position("e", 19), WireFormat(format))

    assert not topic.apply(19, 20, 22, [messages.delete("never seen")])
    assert topic.advance(cursor) == []
    assert signalled(topic, topic.cursor(None, WireFormat(format))) == [19]
    assert topic.apply(22, 22, 25, [upsert("d")])
    assert signalled(topic, cursor) == [25]


def test_without_subscribers_to_signals_an_entry_that_changes_nothing_is_no_news(topic: Topic) -> None:
    topic.hides_rows = False

    assert not topic.apply(19, 20, 22, [messages.delete("never seen")])


def test_signals_alone_carry_no_rows(topic: Topic) -> None:
    cursor = topic.cursor(None, WireFormat("signal"))

    (snapshot,) = rows_sent(topic, cursor)
    topic.apply(19, 19, 22, [upsert("d")])
    (changes,) = rows_sent(topic, cursor)

    assert isinstance(snapshot, Snapshot)
    assert snapshot.rows == []
    assert isinstance(changes, Changes)
    assert changes.changes == []
    assert topic.digest_at(cursor) is None


def test_rows_and_html_of_a_topic_come_in_one_message_with_one_digest(topic: Topic) -> None:
    """The digest covers both, so that a difference in either is noticed."""
    cursor = topic.cursor(None, WireFormat("rows+html"))

    (snapshot,) = rows_sent(topic, cursor)

    assert isinstance(snapshot, Snapshot)
    assert all(isinstance(each.html, str) and isinstance(each.row, msgspec.Raw) for each in snapshot.rows)
    assert topic.digest_at(cursor) not in (topic.digest("rows"), topic.digest("html"))
    assert topic.digest("rows+signal") == topic.digest("rows")
    assert topic.digest("html+signal") == topic.digest("html")


@pytest.mark.parametrize("format", SIGNALS)
@pytest.mark.parametrize(
    "unchanged_since, signal", [(19, None), (30, msgspec.UNSET)], ids=["found", "logged"]
)
def test_changes_that_the_log_lacks_have_no_position_to_compare(
    topic: Topic, format: Format, unchanged_since: int, signal: object
) -> None:
    """Such as those of the time, or of a write that no trigger saw: a page rendered later may lack them."""
    cursor = topic.cursor(Position("e", 19), WireFormat(format))

    topic.load(Position("e", 30), [row("b", "new"), row("z")], unchanged_since)
    (changes,) = rows_sent(topic, cursor)

    assert changes.signal == signal
    assert not topic.has_news(cursor)


def test_rows_found_to_differ_at_the_same_position_are_a_snapshot_for_signals_too(topic: Topic) -> None:
    cursor = topic.cursor(Position("e", 19), WireFormat("signal"))

    topic.load(Position("e", 19), [row("b", "other")], unchanged_since=19)

    assert [type(message) for message in rows_sent(topic, cursor)] == [Snapshot]
