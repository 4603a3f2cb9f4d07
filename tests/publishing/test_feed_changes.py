"""Changes of one feed on SQLite; tests/contract/test_units_of_failure.py has what holds on every database."""

from collections.abc import Mapping
from unittest.mock import Mock, patch

from realtime.boards.models import Entry
from realtime.engine.messages import Content
from realtime.feeds import registry
from realtime.publishing import feed_changes, interest, outbox_records
from realtime.publishing.outbox_records import OutboxRecord


def row(number: int, image: outbox_records.Image | None) -> OutboxRecord:
    return OutboxRecord(number, 1_795_000_000.0, "boards_entry", image)


def test_images_of_a_row_are_one_change(log, quay):
    """In each topic that one of them names."""
    entry = quay.entries.first()
    images = [row(1, {"id": entry.pk, "board_id": quay.pk}), row(2, {"id": entry.pk, "board_id": 10**9})]

    found = feed_changes.of_rows(registry["entries"], {"boards_entry": images})

    assert {topic: [change.op for change in some] for topic, some in found.items() if isinstance(some, list)} == {
        f"entries.{quay.pk}": ["upsert"], f"entries.{10**9}": ["delete"],
    }  # fmt: skip


def test_partial_images_that_this_release_has_noted_too_are_ignored(log, quay, lines):
    """Each by its own values: another row's complete image says nothing about it."""
    first, second = quay.entries.all()
    complete = row(1, {"id": first.pk, "board_id": quay.pk})
    feed = registry["entries"]

    covered = feed_changes.of_rows(feed, {"boards_entry": [complete, row(2, {"id": first.pk, "label": "x"})]})
    uncovered = feed_changes.of_rows(
        feed, {"boards_entry": [complete, row(3, {"id": second.pk, "label": "x"})]}
    )

    assert list(covered) == [f"entries.{quay.pk}"]
    assert uncovered == {"entries": None}
    (line,) = [line for line in lines() if "columns of feed entries are missing" in line]
    assert "the first is 3" in line


def test_rows_are_read_in_groups(log, quay, monkeypatch, django_assert_num_queries):
    """So that the memory of a round is bounded."""
    monkeypatch.setattr(feed_changes, "ROWS_AT_ONCE", 4)
    Entry.objects.bulk_create(Entry(board=quay, label=f"{number}") for number in range(8))
    images = [row(key, {"id": key, "board_id": quay.pk}) for key in quay.entries.values_list("pk", flat=True)]

    with django_assert_num_queries(3):
        found = feed_changes.of_rows(registry["entries"], {"boards_entry": images})

    assert len(found[f"entries.{quay.pk}"]) == 10


def test_as_many_rows_are_read_at_once_as_their_size_allows(log, quay, monkeypatch):
    """A row has up to 256 KiB: 400 of them are not in memory at the same time."""
    monkeypatch.setattr(feed_changes, "FIRST_ROWS", 2)
    monkeypatch.setattr(feed_changes, "MAX_READ_BYTES", 35_000)
    feed = registry["entries"]
    read = Mock(wraps=feed.read_rows)
    monkeypatch.setattr(feed, "read_rows", read)
    Entry.objects.bulk_create(Entry(board=quay, label="x" * 5000) for _ in range(10))
    images = [row(key, {"id": key, "board_id": quay.pk}) for key in quay.entries.values_list("pk", flat=True)]

    found = feed_changes.of_rows(feed, {"boards_entry": images[2:]})

    assert [len(call.args[0]) for call in read.call_args_list] == [
        2,
        3,
        3,
        2,
    ]  # in both formats a row has some 10,600 bytes
    assert len(found[f"entries.{quay.pk}"]) == 10


def test_rows_of_a_topic_that_has_become_too_large_are_not_read(log, quay, safe, monkeypatch):
    """It is read as a whole anyway; a row that has moved to another topic is read for that."""
    monkeypatch.setattr(feed_changes, "FIRST_ROWS", 2)
    monkeypatch.setattr(feed_changes, "MAX_TOPIC_BYTES", 15_000)
    feed = registry["entries"]
    read = Mock(wraps=feed.read_rows)
    monkeypatch.setattr(feed, "read_rows", read)
    Entry.objects.bulk_create(Entry(board=quay, label="x" * 5000) for _ in range(10))
    large = [entry.pk for entry in quay.entries.filter(label__startswith="xx")]
    moved = large[-1]
    Entry.objects.filter(pk=moved).update(board=safe)
    images = [row(key, {"id": key, "board_id": quay.pk}) for key in large]
    images.append(row(0, {"id": moved, "board_id": safe.pk}))

    found = feed_changes.of_rows(feed, {"boards_entry": images})

    assert [call.args[0] for call in read.call_args_list] == [large[:2], [moved]]
    assert found[f"entries.{quay.pk}"] is None
    others = found[f"entries.{safe.pk}"]
    assert isinstance(others, list)
    assert [change.key for change in others] == [str(moved)]


def test_rows_are_read_for_topics_that_a_process_holds(log, quay, safe):
    """Rows of other topics are not even fetched; a row that has left a held topic is deleted there."""
    process = interest.begin("here")
    interest.note(process, {f"entries.{quay.pk}": 1})
    kept, moved = quay.entries.all()
    other = safe.entries.get()
    Entry.objects.filter(pk=moved.pk).update(board=safe)
    keys_and_boards = [(kept.pk, quay.pk), (moved.pk, quay.pk), (moved.pk, safe.pk), (other.pk, safe.pk)]
    images = [
        row(number, {"id": key, "board_id": board}) for number, (key, board) in enumerate(keys_and_boards)
    ]
    read = Mock(wraps=registry["entries"].read_rows)

    with patch.object(registry["entries"], "read_rows", read):
        found = feed_changes.of_rows(registry["entries"], {"boards_entry": images}, interest.followed)

    read.assert_called_once()
    assert sorted(read.call_args.args[0]) == [kept.pk, moved.pk]
    assert found[f"entries.{safe.pk}"] == feed_changes.UNFOLLOWED
    held = found[f"entries.{quay.pk}"]
    assert isinstance(held, list)
    assert {change.key: change.op for change in held} == {str(kept.pk): "upsert", str(moved.pk): "delete"}


def test_nothing_is_read_for_topics_that_no_process_holds(log, quay, django_assert_num_queries):
    """One question asks which of all of them are held; it does not count as a query of Django."""
    interest.begin("here")
    images = [row(number, {"id": number, "board_id": 1 + number % 100}) for number in range(400)]

    asked: list[set[str]] = []

    def followed(topics: set[str]) -> Mapping[str, Content | None]:
        asked.append(topics)
        return interest.followed(topics)

    with django_assert_num_queries(0):
        found = feed_changes.of_rows(registry["entries"], {"boards_entry": images}, followed)

    assert len(asked) == 1
    assert found == dict.fromkeys((f"entries.{1 + number}" for number in range(100)), feed_changes.UNFOLLOWED)
