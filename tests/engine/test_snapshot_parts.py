"""The messages of a snapshot: encoded when they are sent, and kept while the snapshot is the newest."""

from collections.abc import Sequence

import msgspec
import pytest
from msgspec import Raw

from realtime.engine.encodings import Encodings
from realtime.engine.messages import Format, Row, Snapshot, WireFormat
from realtime.engine.position import Position
from realtime.engine.snapshot_parts import SnapshotParts
from tests.engine.test_topic import decode_as, row

POSITION = Position("e", 7)


def parts(encodings: Encodings, rows: Sequence[Row], max_part_bytes: int = 200) -> SnapshotParts:
    return SnapshotParts("letters", POSITION, rows, WireFormat(), max_part_bytes, encodings, "token")


def test_all_rows_are_sent_in_order_in_parts():
    """Any part can be read, and read again; only the last one is marked as the end."""
    rows = [row(letter, "x" * 30) for letter in "abcdefg"]

    snapshot = parts(Encodings(), rows)
    decoded = [decode_as(Snapshot, text) for text in snapshot]

    assert [each.key for part in decoded for each in part.rows] == list("abcdefg")
    assert [part.more for part in decoded] == [True] * (len(snapshot) - 1) + [False]
    assert {part.position for part in decoded} == {str(POSITION)}
    assert snapshot[-1] == snapshot[len(snapshot) - 1]
    with pytest.raises(IndexError):
        snapshot[len(snapshot)]


@pytest.mark.parametrize("size", [1, 30, 80, 150, 400])
def test_rows_of_equal_order_at_the_border_of_a_part_are_each_sent_once(size):
    """Parts are counted in rows, not by a value that the last row of one and the first of the next may share."""
    rows = [msgspec.structs.replace(row(letter, "x" * size), order="same") for letter in "abcdefg"]

    snapshot = parts(Encodings(), rows)

    assert [each.key for text in snapshot for each in decode_as(Snapshot, text).rows] == list("abcdefg")


def test_a_snapshot_without_rows_is_one_message():
    """It replaces what a client has."""
    assert len(parts(Encodings(), [])) == 1
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


class CountedRow(Row, frozen=True):
    """A row that notes when it is made ready for sending."""

    def narrowed(self, format: Format) -> Row:
        counted.append(self.key)
        return super().narrowed(format)


counted: list[str] = []


def test_a_snapshot_is_divided_as_its_parts_are_sent():
    """To divide 50,000 rows takes long: each part costs its own rows alone, and those of another are not looked at."""
    counted.clear()
    rows = [CountedRow(f"{number:03}", f"{number:03}", Raw(b'"contents"')) for number in range(300)]

    costs = []
    number = 0
    snapshot = parts(Encodings(), rows, 1000)
    assert len(snapshot) == 2
    while number < len(snapshot):
        decode_as(Snapshot, snapshot[number])
        costs.append(len(counted))
        counted.clear()
        number += 1
    assert number > 10
    assert max(costs) <= 2 * min(costs[:-1])
    assert sum(costs) == len(rows) + number - 1  # the row that has no room is the first of the next part

    counted.clear()
    assert len(list(snapshot)) == number
    assert counted == []


LETTERS = [row(letter, "x" * 30) for letter in "abcdefghijklmnopqrstuvwxyz"]


@pytest.mark.parametrize("index", [-1, -2, 5])
def test_any_part_can_be_asked_for_first(index):
    """The parts before it are divided then."""
    whole = list(parts(Encodings(), LETTERS))

    snapshot = parts(Encodings(), LETTERS)

    assert snapshot[index] == whole[index]
    assert list(snapshot) == whole


@pytest.mark.parametrize("index", [-300, 300])
def test_a_part_that_does_not_exist_cannot_be_asked_for(index):
    """As of any sequence."""
    with pytest.raises(IndexError):
        parts(Encodings(), LETTERS)[index]
