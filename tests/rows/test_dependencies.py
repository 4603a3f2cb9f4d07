"""Dependencies: the tables along paths of relations, and errors for paths that cannot be followed."""

import pytest
from django.apps.registry import Apps
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from realtime.feeds import Feed
from realtime.rows.dependencies import dependencies
from tests.apps.library.models import AudioBook, Author, Book, Chapter, Cover, Tag


class Model(models.Model):
    """In a registry of its own: the library's would query these tables when a book is deleted."""

    class Meta:
        abstract = True
        app_label = "library"
        apps = Apps(["tests.apps.library"])


class Shelved(Model):
    """Related in ways that triggers cannot capture."""

    notes = GenericRelation(Chapter)
    thing = GenericForeignKey("kind", "number")


class Bird(Model):
    pass


class Sighting(Model):
    bird = models.ForeignKey(Bird, models.CASCADE)


class SightingByReader(Sighting):
    reader = models.ForeignKey("Reader", models.CASCADE)


class Reader(Model):
    """Linked by rows that are in two tables each."""

    birds = models.ManyToManyField(Bird, through=SightingByReader)


def noted(model, *paths: str) -> list[tuple[str, str, str]]:
    return [(found.table, found.column.column, found.lookup) for found in dependencies(model, paths)]


@pytest.mark.parametrize(
    "model, path, expected",
    [
        (Book, "author", [("library_author", "id", "author__id")]),
        (Book, "publisher", [("library_publisher", "code", "publisher__code")]),
        (Book, "chapter_set", [("library_chapter", "book_id", "id")]),
        (Book, "chapter", [("library_chapter", "book_id", "id")]),
        (Book, "cover", [("library_cover", "book_id", "id")]),
        (Cover, "book", [("library_book", "id", "book__id")]),
        (Book, "tags", [("library_book_tags", "book_id", "id"), ("library_tag", "id", "tags__id")]),
        (Tag, "book_set", [("library_book_tags", "tag_id", "id"), ("library_book", "id", "book__id")]),
        (Book, "prizes", [("library_win", "book_id", "id"), ("library_prize", "id", "prizes__id")]),
        (
            Book, "author__country",
            [("library_author", "id", "author__id"), ("library_country", "id", "author__country__id")],
        ),
        (
            Author, "book_set__chapter_set",
            [("library_book", "author_id", "id"), ("library_chapter", "book_id", "book__id")],
        ),
    ],
)  # fmt: skip
def test_each_step_of_a_path_is_a_table_with_a_lookup_of_the_touched_rows(model, path, expected):
    """By the column that the nearer rows join by, so that a deleted row's dependents are found too."""
    assert noted(model, path) == expected


def test_paths_that_share_a_step_note_it_once():
    assert noted(Book, "author", "author__country") == noted(Book, "author__country")


def test_links_in_two_tables_are_followed_by_their_own_names():
    """First to both tables of the link, then on."""
    assert noted(Reader, "sightingbyreader__bird") == [
        ("library_sightingbyreader", "reader_id", "id"),
        ("library_sighting", "id", "sightingbyreader__sighting_ptr__id"),
        ("library_bird", "id", "sightingbyreader__bird__id"),
    ]


def test_tables_of_parents_are_always_dependencies():
    """They contain a part of each row."""
    assert noted(AudioBook) == [("library_book", "id", "book_ptr__id")]
    assert ("library_book", "id", "book__audiobook__book_ptr__id") in noted(Cover, "book__audiobook")


@pytest.mark.parametrize(
    "model, attributes, words",
    [
        (Book, {"depends_on": ["writer"]}, "Book has no relation 'writer'; it has: audiobook, author, "),
        (Book, {"depends_on": ["author__title"]}, "'author__title', but Author has no relation 'title'"),
        (Book, {"depends_on": "author"}, 'write ["author"]'),
        (Shelved, {"depends_on": ["notes"]}, "Shelved.notes is a generic relation"),
        (Shelved, {"depends_on": ["thing"]}, "Shelved.thing is a generic relation"),
        (Reader, {"depends_on": ["birds"]}, "the links of Reader.birds are in two tables"),
    ],
)
def test_a_path_that_cannot_be_followed_is_refused(model, attributes, words):
    """When Django starts, with an error that names the feed and a solution."""
    with pytest.raises(ImproperlyConfigured) as refused:
        type("Refused", (Feed,), {"name": "refused", **attributes})(model)

    assert "feed 'refused': " in str(refused.value)
    assert words in str(refused.value)
