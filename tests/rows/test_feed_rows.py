"""The rows of a feed as subscribers receive them; tests/contract/test_units_of_failure.py has rows that fail."""

from typing import Any

from django.db import models

from realtime.boards.models import Board, Entry
from realtime.feeds import Feed
from tests.support.contents import json_of


def feed(model: type[models.Model], **attributes) -> Feed:
    return type("SomeFeed", (Feed,), attributes)(model)


def test_a_topic_is_read_in_the_order_of_its_keys(quay):
    """Each row with the fields of the declaration, and no other."""
    entries = feed(Entry, name="labels", topic_field="board_id", fields=["label"], ordering=["-position"])

    rows = entries.read_topic(quay.pk)

    assert [json_of(row) for row in rows] == [b'{"label":"Kelpstone"}', b'{"label":"Saltmere"}']
    assert [row.order for row in rows] == sorted(row.order for row in rows)


def test_rows_are_read_by_their_keys_each_with_its_topic(quay, safe):
    """A key without a live row is not among them."""
    entries = feed(Entry, name="labels", topic_field="board_id", fields=["label"])
    first: Any = Entry.objects.get(label="Saltmere")
    other: Any = Entry.objects.get(label="Combination")

    rows = entries.read_rows([first.pk, other.pk, 0])

    assert {key: topic for key, (topic, _) in rows.items()} == {
        first.pk: f"labels.{quay.pk}",
        other.pk: f"labels.{safe.pk}",
    }


def test_the_rows_of_all_topics_are_live_rows(quay, safe):
    """In one feed without a topic field they are one topic."""
    assert len(feed(Board, name="all").read_topic(None)) == Board.objects.count()
