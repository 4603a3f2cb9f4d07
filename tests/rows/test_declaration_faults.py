"""Declarations: which ones are off, with words and a hint."""

import pytest
from django.contrib.contenttypes.fields import GenericRelation
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models import F

from realtime.boards.models import Board
from realtime.feeds import Feed
from tests.apps.library.models import AudioBook, Author, Book, Cover


class Sent:
    """A router that sends every model to another database."""

    def db_for_write(self, model, **hints):
        return "elsewhere"


class Reading:
    """A router that reads from a replica, and writes where Django does."""

    def db_for_read(self, model, **hints):
        return "replica"


def feed(model, **attributes) -> Feed:
    return type("SomeFeed", (Feed,), {"name": "some", **attributes})(model)


@pytest.mark.parametrize(
    "model, attributes, words",
    [
        (
            Book,
            {"ordering": ["titel"]},
            "ordering has 'titel', but Book has no column 'titel'; It has: author, ",
        ),
        (Book, {"ordering": ["author__nam"]}, "'author__nam', but Author has no column 'nam'"),
        (Book, {"ordering": ["-"]}, "ordering has '-'"),
        (Book, {"ordering": ["--title"]}, "ordering has '--title'"),
        (Book, {"ordering": ["title__length"]}, "'length' follows a column"),
        (Book, {"ordering": ["author_id__name"]}, "'name' follows a column"),
        (Book, {"ordering": ["tags"]}, "'tags' leads to several rows"),
        (Book, {"ordering": ["tags__name"]}, "'tags' leads to several rows"),
        (Author, {"ordering": ["book__title"]}, "'book' leads to several rows"),
        (Book, {"ordering": [F("title").desc()]}, "ordering has an expression, OrderBy(F(title)"),
        (Book, {"ordering": [models.functions.Lower("title")]}, "ordering has an expression"),
        (Book, {"ordering": ["?"]}, 'ordering has "?", a random order'),
        (Book, {"ordering": "title"}, 'ordering is a text; Write a list: ["title"]'),
        (Book, {"fields": "title"}, 'fields is a text; Write a list: ["title"]'),
        (Book, {"fields": ["title", "tags"]}, "fields has 'tags', which is not one value"),
        (Author, {"fields": ["book"]}, "fields has 'book', which is not one value"),
        (Book, {"language": "klingon"}, "language 'klingon'"),
        (Book, {"time_zone": "Mars/Olympus"}, "time_zone 'Mars/Olympus' is unknown"),
        (Book, {"time_zone": "../etc/passwd"}, "time_zone"),
    ],
)
def test_a_feed_that_could_never_be_read_is_off(model, attributes, words):
    """With what is wrong, and what to write."""
    found = feed(model, **attributes)

    (fault,) = found.faults
    assert words in f"{fault.words}; {fault.hint}"
    assert found.error == fault.words


@pytest.mark.parametrize(
    "model, attributes",
    [
        (Book, {"ordering": ["-rank", "title", "pk", "id", "-pk"]}),
        (Book, {"ordering": ["author", "author_id", "author__pk", "author__country__name", "publisher__code"]}),
        (Book, {"ordering": ["cover__colour"]}),
        (Cover, {"ordering": ["book__author__name"]}),
        (AudioBook, {"ordering": ["title", "minutes"]}),
        (Book, {"ordering": ["-chapters"], "get_queryset": lambda self: Book.objects.annotate(chapters=F("rank"))}),
        (Book, {"fields": ["author", "title"], "language": "de", "time_zone": "Europe/Berlin"}),
    ],
)  # fmt: skip
def test_what_can_be_read_is_live(model, attributes):
    assert feed(model, **attributes).faults == []


def test_a_generic_relation_in_fields_is_refused():
    class Noted(models.Model):
        notes = GenericRelation("library.Chapter")

        class Meta:
            app_label = "library"
            apps = Book._meta.apps.__class__([])

    assert "notes" in str(feed(Noted, fields=["notes"]).error)


def test_a_composite_primary_key_is_refused():
    """A row's key is one value, in messages and in the page."""

    class Berth(models.Model):
        pk = models.CompositePrimaryKey("pier", "number")
        pier = models.IntegerField()
        number = models.IntegerField()

        class Meta:
            app_label = "library"
            apps = Book._meta.apps.__class__([])

    (fault,) = feed(Berth).faults

    assert "Berth has a composite primary key" in fault.words
    assert "UniqueConstraint" in fault.hint


class AuthorsSent:
    """A router that sends one model to another database."""

    def db_for_write(self, model, **hints):
        return "elsewhere" if model is Author else None


@pytest.mark.parametrize(
    "attributes",
    [
        {"depends_on": ["author"]},
        {"fields": ["author__name"]},
        {"topic_field": "shelf", "rights_depend_on": [Author]},
    ],
)
def test_a_relation_to_a_model_of_another_database_is_refused(settings, attributes):
    """Its changes are not captured, so the value would stay what it was."""
    settings.DATABASE_ROUTERS = [AuthorsSent()]

    (fault,) = feed(Book, **attributes).faults

    assert "it depends on Author, which DATABASE_ROUTERS send to the database 'elsewhere'" in fault.words
    assert feed(Book, fields=["author"]).faults == []


@pytest.mark.parametrize("using, is_read", [("elsewhere", False), ("default", True)])
def test_rows_of_another_database_are_not_read(using, is_read):
    """Rows are read where changes are captured; ``get_queryset`` is called where there is a time limit."""
    found = feed(Book, get_queryset=lambda self: Book.objects.using(using))

    assert found.error is None
    if is_read:
        assert found.live_rows().db == "default"
    else:
        with pytest.raises(ImproperlyConfigured, match="its queryset reads the database 'elsewhere'"):
            found.live_rows()


@pytest.mark.parametrize("router, is_off", [(Sent, True), (Reading, False)])
def test_a_model_of_another_database_is_refused(settings, router, is_off):
    """Its writes are not captured; a replica to read from is no such database."""
    settings.DATABASE_ROUTERS = [router()]

    found = feed(Board)

    assert (found.error is not None) is is_off
    if is_off:
        assert "DATABASE_ROUTERS send Board to the database 'elsewhere'" in found.error
