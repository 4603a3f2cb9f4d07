"""The form of a feed: which declarations are refused, and what the others imply."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.functions import Rank

from realtime.feeds import Feed
from tests.apps.library.models import AudioBook, Book

RANK = models.Window(Rank(), order_by="rank")


def feed(model: type[models.Model], **attributes) -> Feed:
    return type("SomeFeed", (Feed,), attributes)(model)


@pytest.mark.parametrize(
    "model, attributes, words",
    [
        (Book, {"name": "two words"}, "feed name 'two words': use letters, digits"),
        (Book, {"name": "x" * 65}, "up to 64"),
        (Book, {"fields": ["nothing"]}, "Book has no field named 'nothing'"),
        (Book, {"topic_field": "nothing"}, "Book has no field named 'nothing'"),
        (AudioBook, {"topic_field": "shelf"}, "shelf is a column of Book's table"),
        (Book, {"limit": 0}, "limit 0: use a whole number above 0"),
        (Book, {"limit": True}, "limit True"),
        (Book, {"limit": "50"}, "limit '50'"),
        (Book, {"min_interval": -1}, "min_interval -1: use seconds, from 0 to 60"),
        (Book, {"min_interval": "1"}, "min_interval '1'"),
        (Book, {"min_interval": 61}, "min_interval 61"),
        (Book, {"min_interval": None}, "min_interval None"),
        (Book, {"refresh_seconds": 0}, "refresh_seconds 0: use seconds, above 0"),
        (Book, {"refresh_seconds": -1}, "refresh_seconds -1"),
        (Book, {"refresh_seconds": True}, "refresh_seconds True"),
        (Book, {"refresh_seconds": "60"}, "refresh_seconds '60'"),
        (Book, {"refresh_seconds": float("nan")}, "refresh_seconds nan"),
        (Book, {"refresh_seconds": 86401}, "up to 86400"),
        (Book, {"retention_seconds": 0}, "retention_seconds 0: use seconds, above 0"),
        (Book, {"retention_seconds": 31 * 86400}, "up to 2592000"),
        (Book, {"retention_entries": 0}, "retention_entries 0: use a whole number above 0"),
        (Book, {"retention_entries": 1.5}, "retention_entries 1.5"),
    ],
)
def test_an_invalid_declaration_is_refused(model, attributes, words):
    """When Django starts, with an error that names the feed and a solution."""
    with pytest.raises(ImproperlyConfigured) as refused:
        feed(model, **{"name": "refused", **attributes})

    assert "feed " in str(refused.value)
    assert words in str(refused.value)


def test_a_binary_key_is_refused(make_model):
    """It cannot be part of a topic's name or of a message."""
    model = make_model("Sealed", key=models.BinaryField(primary_key=True))

    with pytest.raises(ImproperlyConfigured, match="key is binary and cannot identify a row"):
        feed(model)


@pytest.mark.parametrize(
    "attributes, is_read_whole",
    [
        ({}, False),
        ({"limit": 3}, True),
        ({"filter": models.Q(tags__name="sea"), "depends_on": ["tags"]}, False),
        ({"get_queryset": lambda self: Book.objects.annotate(place=RANK)}, True),
    ],
)
def test_a_feed_whose_rows_depend_on_each_other_is_read_whole(attributes, is_read_whole):
    """Reading the touched rows alone would give other contents."""
    assert feed(Book, **attributes).is_read_whole is is_read_whole


def test_a_feed_without_a_template_has_no_html():
    assert feed(Book).formats == ("rows",)
    assert feed(Book, template_name="book.html").formats == ("rows", "html")


def failing(self: Feed) -> "models.QuerySet[Book]":
    raise LookupError("no queryset")


@pytest.mark.parametrize(
    "attributes, hides_rows",
    [
        ({}, False),
        ({"filter": models.Q(tags__name="sea"), "depends_on": ["tags"]}, True),
        ({"limit": 5}, True),
        ({"get_queryset": lambda self: Book.objects.exclude(title="")}, True),
        ({"get_queryset": lambda self: Book.objects.annotate(place=RANK)}, False),
        ({"get_queryset": failing}, True),
    ],
    ids=["all rows", "a filter", "a limit", "a queryset", "annotations", "a failure"],
)
def test_a_feed_knows_whether_it_hides_rows_of_its_table(attributes, hides_rows):
    """Writes to such rows are no signal."""
    assert feed(Book, **attributes).hides_rows is hides_rows
