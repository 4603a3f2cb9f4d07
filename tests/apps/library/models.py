"""Books, and the tables that their rows are computed from.

They are in an app registry of their own: they are not part of the project, and a test creates their tables.
"""

from typing import Any, ClassVar, Self

from django.apps.registry import Apps
from django.db import models

apps = Apps(["tests.apps.library"])


class Model(models.Model):
    objects: ClassVar[models.Manager[Self]]

    class Meta:
        abstract = True
        app_label = "library"
        apps = apps


class Country(Model):
    name = models.CharField(max_length=40)


class Author(Model):
    name = models.CharField(max_length=40)
    country = models.ForeignKey(Country, models.SET_NULL, null=True)


class Publisher(Model):
    """Books refer to it by its code, not by its key."""

    code = models.CharField(max_length=10, unique=True)
    name = models.CharField(max_length=40)


class Tag(Model):
    book_set: Any  # the reverse accessors; the app is not installed, so the plugin does not add them

    name = models.CharField(max_length=40)


class Prize(Model):
    name = models.CharField(max_length=40)


class Book(Model):
    chapter_set: Any
    cover: "Cover"

    shelf: Any = models.IntegerField(default=1, null=True)
    title = models.CharField(max_length=40)
    rank = models.IntegerField(default=0)
    author = models.ForeignKey(Author, models.SET_NULL, null=True)
    publisher = models.ForeignKey(Publisher, models.CASCADE, to_field="code", null=True)
    sequel_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="sequels")
    tags = models.ManyToManyField(Tag)
    prizes = models.ManyToManyField(Prize, through="Win")


class Win(Model):
    """A link with a field of its own, without an accessor on the prize."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="+")
    prize = models.ForeignKey(Prize, models.CASCADE, related_name="+")
    year = models.IntegerField()


class Chapter(Model):
    """Reached from a book by the default accessor, ``chapter_set``."""

    book = models.ForeignKey(Book, models.CASCADE)
    title = models.CharField(max_length=40)


class Cover(Model):
    book = models.OneToOneField(Book, models.CASCADE)
    colour = models.CharField(max_length=40)


class AudioBook(Book):
    """Part of each row is in the table of books."""

    minutes = models.IntegerField(default=0)


MODELS = [Country, Author, Publisher, Tag, Prize, Book, Win, Chapter, Cover, AudioBook]
