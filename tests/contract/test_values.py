"""Values of rows: exact and of one form on every database, and current after a change of any table that they read."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, models
from django.test import override_settings
from django.utils import translation

from realtime.feeds import Feed, computed, registry
from realtime.publishing import capture, positions
from realtime.runtime.left_out import left_out
from tests.apps.library.models import MODELS, Author, Book, Chapter, Country, Cover, Publisher
from tests.contract.conftest import Follower, contents
from tests.contract.own_feeds import only_own_feeds, prepared  # noqa: F401
from tests.support.contents import json_of


class Marked(Book):
    class Meta:
        proxy = True
        apps = Book._meta.apps
        app_label = "library"

    @property
    def marked(self) -> str:
        return f"{self.title}!"


class Valued(Feed):
    """Books with values of every kind: from their own table, from related ones, and computed."""

    topic_field = "shelf"
    fields = [
        "title",
        "marked",
        "author__name",
        "author__country__name",
        "publisher__name",
        "cover__colour",
        "chapters",
    ]
    annotations = {"chapters": models.Count("chapter")}
    ordering = ["title"]
    depends_on = ["chapter_set"]

    @computed
    def initials(self, book) -> str:
        if book.rank < 0:
            raise ValueError("a rank below zero")
        return "".join(word[0] for word in book.title.split())


@pytest.fixture
def declare(database) -> Iterator[Callable[..., Feed]]:
    """A function that registers a feed for one test."""
    left_out.clear()
    names: list[str] = []

    def register(feed_class: type[Feed], model: type[models.Model], **attributes: Any) -> Feed:
        feed = type("Probe", (feed_class,), {"name": "probe", **attributes})(model)
        assert feed.error is None
        registry.add(feed)
        names.append(feed.name)
        capture.install()
        database.sequence()
        return feed

    yield register
    for name in names:
        registry.remove(name)


@pytest.fixture
def books(database, declare) -> Feed:
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    home, away = (Country.objects.create(name=name) for name in ("home", "away"))
    ann, bob = (Author.objects.create(name=n, country=c) for n, c in (("Ann", home), ("Bob", away)))
    Publisher.objects.create(code="press", name="The Press")
    for number in range(1, 7):
        book = Book.objects.create(
            title=f"Book {number}",
            author=ann if number < 4 else bob,
            publisher_id="press" if number == 1 else None,
        )
        for _ in range(number % 3):
            Chapter.objects.create(book=book, title="Chapter")
    Cover.objects.create(book_id=1, colour="red")
    return declare(Valued, Marked)


def rows(topic: str = "probe.1") -> dict[str, dict[str, Any]]:
    return {row.key: json.loads(json_of(row)) for row in positions.read_topic(topic).rows}


def test_rows_have_the_declared_values(books):
    """In the order of their declaration; null where there is no related row."""
    assert list(rows()["1"].items()) == [
        ("title", "Book 1"), ("marked", "Book 1!"), ("author__name", "Ann"), ("author__country__name", "home"),
        ("publisher__name", "The Press"), ("cover__colour", "red"), ("chapters", 1), ("initials", "B1"),
    ]  # fmt: skip
    assert rows()["2"]["publisher__name"] is None
    assert rows()["2"]["cover__colour"] is None


WRITES: dict[str, Callable[[], Any]] = {
    "own column": lambda: Book.objects.filter(pk=1).update(title="Tides"),
    "related row": lambda: Author.objects.filter(name="Ann").update(name="Zoe"),
    "row beyond it": lambda: Country.objects.filter(name="home").update(name="left"),
    "by another column than the key": lambda: Publisher.objects.update(name="Other Press"),
    "other side": lambda: Cover.objects.update(colour="blue"),
    "relation begins": lambda: Cover.objects.create(book_id=2, colour="green"),
    "relation ends": lambda: Cover.objects.all().delete(),
    "relation moves": lambda: Book.objects.filter(pk=1).update(author=Author.objects.get(name="Bob")),
    "annotation": lambda: Chapter.objects.create(book_id=1, title="New"),
    "related row deleted": lambda: Country.objects.get(name="away").delete(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_change_of_any_table_that_values_read_is_followed(books, database, write):
    """Without a new reading of the topic."""
    follower = Follower("probe.1")
    before = contents(follower.topic.rows)

    write()
    database.sequence()
    follower.follow()

    assert contents(follower.topic.rows) != before
    follower.assert_equals_source()
    assert follower.reads == 1


def test_a_filter_may_name_an_annotation(database, books, declare):
    """A row enters and leaves by a change of the related rows that it counts."""
    declare(Valued, Marked, name="told", filter=models.Q(chapters__gt=1), topic_field=None)
    follower = Follower("told")
    assert [row.key for row in follower.topic.rows] == ["2", "5"]

    for write in (
        lambda: Chapter.objects.create(book_id=1, title="Second"),
        lambda: Chapter.objects.filter(book_id=2).delete(),
        lambda: Book.objects.filter(pk=5).update(title="Renamed"),
    ):
        write()
        database.sequence()
        follower.follow()
        follower.assert_equals_source()

    assert sorted(row.key for row in follower.topic.rows) == ["1", "5"]
    assert follower.reads == 1


def test_a_topic_of_related_values_is_one_query(books, django_assert_num_queries):
    """The related rows are selected with the rows, not one by one."""
    with django_assert_num_queries(1):
        books.read_topic(1)


def test_a_computed_value_that_raises_leaves_out_that_row_alone(books, database):
    """It returns as soon as the value can be computed."""
    follower = Follower("probe.1")

    Book.objects.filter(pk=2).update(rank=-1)
    Book.objects.filter(pk=3).update(title="Other")
    database.sequence()
    follower.follow()

    assert "2" not in rows()
    assert len(rows()) == 5
    follower.assert_equals_source()
    Book.objects.filter(pk=2).update(rank=0)
    database.sequence()
    follower.follow()
    assert "2" in rows()
    follower.assert_equals_source()


class Everything(models.Model):
    """A column of every kind that Django has on all databases."""

    amount = models.DecimalField(max_digits=12, decimal_places=4)
    at = models.DateTimeField()
    day = models.DateField()
    hour = models.TimeField()
    took = models.DurationField()
    token = models.UUIDField()
    content = models.BinaryField()
    document = models.JSONField()
    ratio = models.FloatField()
    large = models.BigIntegerField()
    is_open = models.BooleanField()
    address = models.GenericIPAddressField()
    paper: Any = models.FileField(blank=True)
    size = models.CharField(max_length=1, choices=[("s", "Small"), ("l", translation.gettext_lazy("Yes"))])
    double: Any = models.GeneratedField(
        expression=models.F("large") * 2, output_field=models.BigIntegerField(), db_persist=True
    )

    class Meta:
        app_label = "library"
        apps = Book._meta.apps


WRITTEN = {
    "amount": Decimal("1.1"), "at": datetime(2026, 3, 4, 5, 6, 7, 89, UTC), "day": date(2026, 3, 4),
    "hour": time(5, 6, 7), "took": timedelta(days=-1, microseconds=1), "token": UUID(int=5), "content": b"\x00\xff",
    "document": {"a": [1.5, None, "é"]}, "ratio": 0.1, "large": 2**61 + 1, "is_open": True,
    "address": "2001:db8::1", "paper": "a b.pdf", "size": "l",
}  # fmt: skip
SENT = {
    "amount": "1.1000", "at": "2026-03-04T05:06:07.000089Z", "day": "2026-03-04", "hour": "05:06:07",
    "took": "-PT86399.999999S", "token": "00000000-0000-0000-0000-000000000005", "content": "AP8=",
    "document": {"a": [1.5, None, "é"]}, "ratio": 0.1, "large": 2**61 + 1, "is_open": True,
    "address": "2001:db8::1", "paper": "/media/a%20b.pdf", "size": "l", "double": 2**62 + 2, "get_size_display": "Ja",
}  # fmt: skip


@override_settings(MEDIA_URL="/media/", TIME_ZONE="Pacific/Apia")
def test_every_kind_of_column_has_one_exact_form(database, declare):
    """The same on each database, whatever language and zone the process has at that moment."""
    with connection.schema_editor() as editor:
        editor.create_model(Everything)
    Everything._default_manager.create(**WRITTEN)
    declare(Feed, Everything, fields=list(SENT), language="de")

    with translation.override("fr"):
        assert rows("probe") == {"1": SENT}


def test_arrays_and_ranges_have_forms_in_json(on_postgresql, declare):
    """Ranges say what their ends are, and whether these belong to them."""
    from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, IntegerRangeField

    class Ranged(models.Model):
        numbers: Any = ArrayField(models.DecimalField(max_digits=5, decimal_places=2))
        span: Any = IntegerRangeField()
        none: Any = IntegerRangeField()
        open: Any = DateTimeRangeField()

        class Meta:
            app_label = "library"
            apps = Book._meta.apps

    with connection.schema_editor() as editor:
        editor.create_model(Ranged)
    start = datetime(2026, 3, 4, tzinfo=UTC)
    Ranged._default_manager.create(numbers=[1, Decimal("2.5")], span=(1, 5), none=(1, 1), open=(start, None))
    declare(Feed, Ranged, fields=["numbers", "span", "none", "open"])

    assert rows("probe")["1"] == {
        "numbers": ["1.00", "2.50"],
        "span": {"lower": 1, "upper": 5, "bounds": "[)"},
        "none": {"empty": True},
        "open": {"lower": "2026-03-04T00:00:00Z", "upper": None, "bounds": "[)"},
    }
