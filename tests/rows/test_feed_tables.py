"""The tables of a feed, and the rows that captured changes touch."""

from django.db import models

from realtime.feeds import Feed
from tests.apps.library.models import Book


def feed(model: type[models.Model], **attributes) -> Feed:
    return type("SomeFeed", (Feed,), attributes)(model)


def test_images_that_lack_a_column_are_ignored():
    """Images of another release's triggers: this release's triggers record the same change."""
    shelves = feed(Book, topic_field="shelf")

    images = {"library_book": [{"id": 1}, {"shelf": 2}, {"id": 3, "shelf": 4, "more": 5}]}

    assert shelves.touched(images, 10) == {3: {f"{shelves.name}.4"}}
