"""Feeds: names and topics, and which declarations are refused."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.functions import Rank

from realtime.boards.models import Board, Entry
from realtime.engine.errors import UnknownTopic
from realtime.feeds import Feed, Registry, register, registry
from tests.apps.library.models import AudioBook, Book

RANK = models.Window(Rank(), order_by="rank")


def feed(model: type[models.Model], **attributes) -> Feed:
    return type("SomeFeed", (Feed,), attributes)(model)


@pytest.fixture
def feeds() -> Registry:
    """A registry with a feed of one topic and a feed of one topic per board."""
    feeds = Registry()
    feeds.add(feed(Board))
    feeds.add(feed(Entry, name="entries", topic_field="board_id"))
    return feeds


@pytest.mark.parametrize(
    "topic, name, key",
    [("boards", "boards", None), ("entries.7", "entries", 7), ("entries.-1", "entries", -1)],
)
def test_a_topic_is_found_by_its_name(feeds, topic, name, key):
    """The name of a feed, and a key if it has a topic field."""
    found, found_key = feeds.find(topic)

    assert (found.name, found_key) == (name, key)
    assert found.topic(key) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "", ".", "nothing", "boards.", "boards.7", "entries", "entries.", "entries.07", "entries. 7", "entries.7.",
        "entries.x", "entries.٣", "entries.7\n", "entries.9223372036854775808", "entries." + "7" * 200, "board__id",
    ],
)  # fmt: skip
def test_other_names_are_unknown_topics(feeds, topic):
    """Each topic has exactly one name, and a key is a value of the topic field."""
    with pytest.raises(UnknownTopic):
        feeds.find(topic)


def test_two_feeds_of_one_name_are_refused(feeds):
    """The same class may be registered again, as by a module that is imported twice."""
    other = type("OtherFeed", (Feed,), {"name": "boards"})

    with pytest.raises(ImproperlyConfigured, match="SomeFeed and OtherFeed; rename one"):
        feeds.add(other(Board))
    feeds.add(feed(Board))


def test_register_makes_a_model_live():
    """The decorated class itself stays usable."""
    try:

        @register(Board)
        class Gangways(Feed):
            name = "gangways"

        assert registry["gangways"].model is Board
        assert issubclass(Gangways, Feed)
    finally:
        registry.remove("gangways")
    assert "gangways" not in registry


@pytest.mark.parametrize(
    "user, may",
    [
        (AnonymousUser(), False),
        (User(username="reader"), False),
        (User(username="gone", is_staff=True, is_active=False), False),
        (User(username="staff", is_staff=True), True),
    ],
    ids=["anonymous", "a reader", "deactivated staff", "staff"],
)
def test_only_staff_may_read_a_feed_without_can_subscribe(user, may):
    """Closed by default."""
    assert feed(Board).can_subscribe(user, None) is may


def test_an_instance_is_in_the_topic_of_its_topic_field():
    """In none while the field is null."""
    entries = feed(Entry, name="entries", topic_field="board_id")

    assert entries.topic_of(Entry(board_id=7)) == "entries.7"
    assert entries.topic_of(Entry()) is None
    assert feed(Board).topic_of(Board()) == "boards"


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


def test_images_that_lack_a_column_are_ignored():
    """Those of another release's triggers: this release's record the same change."""
    shelves = feed(Book, topic_field="shelf")

    images = {"library_book": [{"id": 1}, {"shelf": 2}, {"id": 3, "shelf": 4, "more": 5}]}

    assert shelves.touched(images, 10) == {3: {f"{shelves.name}.4"}}
