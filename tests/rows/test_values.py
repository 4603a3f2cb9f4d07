"""The values of a row: fields, properties, methods, paths, annotations, computed methods; and their forms in JSON."""

import enum
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from django.db import models
from django.db.models.functions import Upper
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy

from realtime.boards.models import Board, Entry
from realtime.checks.feeds import check_feeds
from realtime.feeds import Feed, computed, registry
from realtime.rows.rendering import BadRow, render_row
from tests.apps.library.models import Author, Book, Country, Cover
from tests.support.contents import json_of


class Loud(Book):
    """Books with values that no column has."""

    class Meta:
        proxy = True
        apps = Book._meta.apps
        app_label = "library"

    @property
    def loud(self) -> str:
        return self.title.upper()

    @cached_property
    def length(self) -> int:
        return len(self.title)

    def greeting(self, word: str = "Hello") -> str:
        return f"{word} {self.title}"

    def needs(self, word: str) -> str:
        return word


def feed(model: type[models.Model] = Loud, **attributes: Any) -> Feed:
    return type("SomeFeed", (Feed,), {"name": "some", **attributes})(model)


def sent(feed: Feed, instance: models.Model) -> dict[str, Any]:
    """Return what subscribers receive of an instance."""
    return json.loads(json_of(feed.row(instance)))


BOOK = Loud(pk=1, title="Tides", rank=7, author=Author(pk=3, name="Ann", country=Country(pk=4, name="home")))


@pytest.mark.parametrize(
    "name, value",
    [
        ("title", "Tides"),
        ("pk", 1),
        ("author", 3),
        ("author_id", 3),
        ("author__name", "Ann"),
        ("author__pk", 3),
        ("author__country", 4),
        ("author__country__name", "home"),
        ("sequel_of__title", None),
        ("sequel_of__author__name", None),
        ("loud", "TIDES"),
        ("length", 5),
        ("greeting", "Hello Tides"),
    ],
)
def test_a_name_in_fields_is_one_value(name, value):
    """A column, a property, a method without arguments, or one of these of a row that the row refers to."""
    assert sent(feed(fields=[name]), BOOK) == {name: value}


def test_a_one_to_one_relation_is_followed_from_its_other_side():
    """Its row may be missing, which is null."""
    covered = Loud(pk=1)
    covered.cover = Cover(colour="red")

    assert sent(feed(fields=["cover__colour"]), covered) == {"cover__colour": "red"}


def test_the_relations_that_fields_follow_are_captured():
    """Their tables, and no others; depends_on need not name them."""
    followed = feed(fields=["author__country__name", "cover__colour", "publisher"])

    assert followed.tables == {"library_book", "library_author", "library_country", "library_cover"}


def test_computed_methods_are_sent_after_the_fields_in_the_order_of_their_declaration():
    """Methods of a base class first. A subclass need not mark a method again."""

    class Base(Feed):
        fields = ["title"]

        @computed
        def stars(self, book) -> str:
            """As many as its rank."""
            return "*" * book.rank

    class Derived(Base):
        name = "derived"

        @computed
        def short(self, book):
            return self.stars(book)[:2]

        def stars(self, book):
            return super().stars(book) + "!"

    class Without(Derived):
        stars = None
        short = None

    derived = Derived(Loud)

    assert list(sent(derived, BOOK).items()) == [("title", "Tides"), ("stars", "*******!"), ("short", "**")]
    assert Base.stars.__doc__ == "As many as its rank."
    assert sent(Without(Loud), BOOK) == {"title": "Tides"}


def test_a_computed_method_replaces_the_field_of_its_name():
    """At the place that fields gives it."""

    class Replaced(Feed):
        name = "replaced"
        fields = ["title", "rank"]

        @computed
        def title(self, book) -> str:
            return "secret"

    assert list(sent(Replaced(Loud), BOOK).items()) == [("title", "secret"), ("rank", 7)]


def test_the_types_of_values_are_known():
    """From fields, annotations of functions, and expressions."""
    declared = feed(
        fields=["title", "author__name", "loud", "length", "upper"],
        annotations={"upper": Upper("title")},
        stars=computed(lambda self, book: "*"),
    )

    types = {value.name: type(value.field or value.type).__name__ for value in declared.values}

    assert types == {
        "title": "CharField", "author__name": "CharField", "loud": "type", "length": "type", "upper": "CharField",
        "stars": "NoneType",
    }  # fmt: skip
    assert {value.name: value.type for value in declared.values}["length"] is int


@pytest.mark.parametrize(
    "attributes, words",
    [
        ({"fields": ["nothing"]}, "Loud has no field named 'nothing', and no property, method or annotation"),
        ({"fields": ["author__nothing"]}, "Author has no field named 'nothing'"),
        ({"fields": ["nothing__name"]}, "Loud has no relation 'nothing'"),
        ({"fields": ["title__lower"]}, "Loud.title does not lead to one row; compute the value"),
        ({"fields": ["tags__name"]}, "Loud.tags does not lead to one row"),
        ({"fields": ["chapter__title"]}, "Loud.chapter does not lead to one row"),
        ({"fields": ["author__"]}, "has no field named"),
        ({"fields": ["needs"]}, "the method needs of Loud needs arguments; call it in a method of the feed"),
        ({"fields": ["delete"]}, "Loud has no field named 'delete'"),
        ({"fields": ["x"], "get_queryset": lambda self: 1 / 0}, "its queryset raises ZeroDivisionError"),
    ],
)
def test_a_name_that_leads_to_no_value_is_refused(attributes, words):
    """When Django starts, with a solution."""
    with pytest.raises(ImproperlyConfigured) as refused:
        feed(**attributes)

    assert words in str(refused.value)


async def later(self, book):
    return 1


def bare(book):
    return 1


@pytest.mark.parametrize(
    "attributes, words",
    [
        ({"fields": "title"}, "fields is a text"),
        ({"fields": ["tags"]}, "not one value but a set of related rows"),
        ({"fields": ["chapter"]}, "not one value but a set of related rows"),
        ({"late": computed(later)}, "late is an async function"),
        ({"bare": computed(bare)}, "bare does not take one instance"),  # type: ignore[arg-type]
        ({"twice": computed(property(lambda self: 1))}, "twice is computed, but it is a property"),  # type: ignore[arg-type]
        ({"serialize": later}, "serialize is an async function"),
    ],
)
def test_a_declaration_whose_values_cannot_be_computed_is_a_fault(attributes, words):
    """The feed is off, and the check says what to write."""
    declared = feed(**attributes)

    assert words in str(declared.error)
    assert declared.faults[0].hint


def test_serialize_decides_what_is_sent():
    """It may begin with the declared values."""

    class Nested(Feed):
        name = "nested"
        fields = ["title"]

        def serialize(self, instance) -> dict[str, Any]:
            return {**super().serialize(instance), "author": {"name": instance.author.name}}

    assert sent(Nested(Loud), BOOK) == {"title": "Tides", "author": {"name": "Ann"}}


class Colour(models.TextChoices):
    RED = "r", "Red"


class Size(enum.IntEnum):
    LARGE = 3


@pytest.mark.parametrize(
    "value, form",
    [
        (Decimal("1.10"), "1.10"),
        (Decimal("NaN"), None),
        (float("nan"), None),
        (2**60 + 1, 2**60 + 1),
        (datetime(2026, 3, 4, 5, 6, 7, 89, UTC), "2026-03-04T05:06:07.000089Z"),
        (date(2026, 3, 4), "2026-03-04"),
        (time(5, 6, 7), "05:06:07"),
        (timedelta(days=1, seconds=2), "P1DT2S"),
        (timedelta(microseconds=-1), "-PT0.000001S"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (b"\x00\xff", "AP8="),
        pytest.param(memoryview(b"\x00\xff"), "AP8=", id="memoryview"),
        (Colour.RED, "r"),
        (Size.LARGE, 3),
        ([1, (2, None)], [1, [2, None]]),
        ({"a": {"b": Decimal("2.0")}}, {"a": {"b": "2.0"}}),
        (gettext_lazy("yes,no,maybe"), "yes,no,maybe"),
        (True, True),
    ],
    ids=repr,
)
def test_a_value_has_one_form_in_json(value, form):
    """Exact, or text."""
    row = render_row(Entry(pk=1), {"value": value}, [], None)

    assert json.loads(json_of(row))["value"] == form


@pytest.mark.parametrize(
    "value, words",
    [
        ({1, 2}, "a value is a set"),
        ({"deep": [frozenset("ab")]}, "a value is a set"),
        (Board(pk=1), "a value is Board, which has no form in JSON"),
        (Board.objects.all(), "a value is BoardQuerySet"),
        (Board.objects, "which has no form in JSON"),
        (object(), "a value is a object, which has no form"),
        ((number for number in [1]), "a value is a generator"),
        (lambda: 1, "a value is a function"),
    ],
    ids=["set", "nested set", "instance", "queryset", "manager", "object", "generator", "function"],
)
def test_a_value_without_a_form_that_is_the_same_everywhere_leaves_out_the_row(value, words):
    """Its text would be an address in memory, or a query whose result is sent to everyone."""
    with pytest.raises(BadRow, match=words):
        render_row(Entry(pk=1), {"value": value}, [], None)


@pytest.mark.parametrize("returned", [None, ["title"], {1: "title"}], ids=["nothing", "a list", "numbers"])
def test_serialize_must_return_a_dict_of_names(returned):
    """Otherwise the row is left out, with words."""
    with pytest.raises(BadRow, match="return a dict of values by name"):
        feed(serialize=lambda self, instance: returned).row(BOOK)


class Document(models.Model):
    paper: Any = models.FileField(
        storage=FileSystemStorage(location="nowhere", base_url="/files/"), null=True
    )
    kind = models.CharField(max_length=1, choices=Colour.choices)

    class Meta:
        app_label = "library"
        apps = Book._meta.apps


def test_files_are_addresses_and_choices_can_be_shown():
    """An empty file field is null."""
    documents = feed(Document, fields=["paper", "kind", "get_kind_display"])

    assert sent(documents, Document(pk=1, paper="a b.pdf", kind="r")) == {
        "paper": "/files/a%20b.pdf", "kind": "r", "get_kind_display": "Red",
    }  # fmt: skip
    assert sent(documents, Document(pk=1))["paper"] is None


def test_addresses_that_are_signed_anew_each_time_are_reported():
    """No two processes would have the same bytes."""
    storage: Any = FileSystemStorage(location="nowhere")
    storage.querystring_auth = True

    class Signed(models.Model):
        paper: Any = models.FileField(storage=storage)

        class Meta:
            app_label = "library"
            apps = Book._meta.apps

    registry.add(feed(Signed, fields=["paper"]))
    try:
        found = [message for message in check_feeds() if message.id == "realtime.W025"]
    finally:
        registry.remove("some")

    assert "the address of paper, which its storage signs anew" in found[0].msg


def lower(self, book):
    return book.title.lower()


def upper(self, book):
    return book.title.upper()


def test_the_fingerprint_covers_how_values_are_made():
    """Two releases side by side that make them differently do not mix their rows."""
    forms: list[dict[str, Any]] = [
        {},
        {"fields": ["author__name"]},
        {"fields": ["loud"]},
        {"case": computed(lower)},
        {"case": computed(upper)},
        {"annotations": {"upper": Upper("title")}},
        {"annotations": {"upper": Upper("author__name")}},
        {"serialize": lower},
        {"serialize": upper},
        {"language": "de"},
        {"time_zone": "Europe/Berlin"},
    ]

    fingerprints = [feed(**form).fingerprint for form in forms]

    assert len(set(fingerprints)) == len(forms)
    assert fingerprints == [feed(**form).fingerprint for form in forms]
