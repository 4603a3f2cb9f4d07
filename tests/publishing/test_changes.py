"""Changes of one feed on SQLite; tests/contract/test_units_of_failure.py has what holds on every database."""

from realtime.boards.models import Entry
from realtime.feeds import registry
from realtime.publishing import changes, noted
from realtime.publishing.noted import Noted


def row(number: int, image: noted.Image | None) -> Noted:
    return Noted(number, 1_795_000_000.0, "boards_entry", image)


def test_images_of_a_row_are_one_change(log, quay):
    """In each topic that one of them names."""
    entry = quay.entries.first()
    images = [row(1, {"id": entry.pk, "board_id": quay.pk}), row(2, {"id": entry.pk, "board_id": 10**9})]

    found = changes.of_rows(registry["entries"], {"boards_entry": images})

    assert {topic: [change.op for change in some] for topic, some in found.items()} == {
        f"entries.{quay.pk}": ["upsert"], f"entries.{10**9}": ["delete"],
    }  # fmt: skip


def test_partial_images_that_this_release_has_noted_too_are_ignored(log, quay, lines):
    """Each by its own values: another row's complete image says nothing about it."""
    first, second = quay.entries.all()
    complete = row(1, {"id": first.pk, "board_id": quay.pk})
    feed = registry["entries"]

    covered = changes.of_rows(feed, {"boards_entry": [complete, row(2, {"id": first.pk, "label": "x"})]})
    uncovered = changes.of_rows(feed, {"boards_entry": [complete, row(3, {"id": second.pk, "label": "x"})]})

    assert list(covered) == [f"entries.{quay.pk}"]
    assert uncovered == {"entries": None}
    (line,) = [line for line in lines() if "columns of feed entries are missing" in line]
    assert "the first is 3" in line


def test_rows_are_read_in_groups(log, quay, monkeypatch, django_assert_num_queries):
    """So that the memory of a round is bounded."""
    monkeypatch.setattr(changes, "ROWS_AT_ONCE", 4)
    Entry.objects.bulk_create(Entry(board=quay, label=f"{number}") for number in range(8))
    images = [row(key, {"id": key, "board_id": quay.pk}) for key in quay.entries.values_list("pk", flat=True)]

    with django_assert_num_queries(3):
        found = changes.of_rows(registry["entries"], {"boards_entry": images})

    assert len(found[f"entries.{quay.pk}"]) == 10
