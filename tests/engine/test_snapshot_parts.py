"""The messages of a snapshot: encoded when they are sent, and kept while the snapshot is the newest."""

import pytest

from realtime.engine.encodings import Encodings
from realtime.engine.messages import Form, Row, Snapshot
from realtime.engine.position import Position
from realtime.engine.snapshot_parts import SnapshotParts
from tests.engine.test_topic import decode_as, row

POSITION = Position("e", 7)


def parts(encodings: Encodings, rows: list[Row], max_part_bytes: int = 200) -> SnapshotParts:
    return SnapshotParts("letters", POSITION, rows, Form(), max_part_bytes, encodings, "token")


def test_all_rows_are_sent_in_order_in_parts():
    """Any part can be asked for, and again; only the last one is the end."""
    rows = [row(letter, "x" * 30) for letter in "abcdefg"]

    snapshot = parts(Encodings(), rows)
    decoded = [decode_as(Snapshot, text) for text in snapshot]

    assert [each.key for part in decoded for each in part.rows] == list("abcdefg")
    assert [part.more for part in decoded] == [True] * (len(snapshot) - 1) + [False]
    assert {part.position for part in decoded} == {str(POSITION)}
    assert snapshot[-1] == snapshot[len(snapshot) - 1]
    with pytest.raises(IndexError):
        snapshot[len(snapshot)]


def test_a_snapshot_without_rows_is_one_message():
    """It replaces what a client has."""
    (message,) = parts(Encodings(), [])

    assert decode_as(Snapshot, message).rows == []


def test_parts_are_shared_while_the_snapshot_is_the_newest():
    """A client that still reads an older one has each part encoded again, and nothing is kept for it."""
    encodings = Encodings()
    snapshot = parts(encodings, [row(letter, "x" * 30) for letter in "abcdefg"])
    first = snapshot[0]
    assert snapshot[0] is first

    snapshot.is_newest = False
    encodings.forget("token")

    assert snapshot[0] == first
    assert encodings.bytes == 0


def test_parts_that_were_dropped_are_encoded_again():
    """The limits hold for parts as for other messages."""
    encodings = Encodings(max_topic_bytes=1)
    snapshot = parts(encodings, [row(letter, "x" * 30) for letter in "abcdefg"])

    assert list(snapshot) == list(snapshot)
