"""The topics of a feed."""

from django.db import models

from realtime.boards.models import Board, Entry
from realtime.feeds import Feed


def feed(model: type[models.Model], **attributes) -> Feed:
    return type("SomeFeed", (Feed,), attributes)(model)


def test_an_instance_is_in_the_topic_of_its_topic_field():
    """In none while the field is null."""
    entries = feed(Entry, name="entries", topic_field="board_id")

    assert entries.topic_of(Entry(board_id=7)) == "entries.7"
    assert entries.topic_of(Entry()) is None
    assert feed(Board).topic_of(Board()) == "boards"
