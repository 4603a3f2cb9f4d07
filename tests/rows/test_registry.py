"""The registry: which names are topics, and of which feed."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from realtime.boards.models import Board, Entry
from realtime.engine.errors import UnknownTopic
from realtime.feeds import Feed
from realtime.rows.registry import Registry


def feed(model: type[models.Model], **attributes) -> Feed:
    return type("SomeFeed", (Feed,), attributes)(model)


@pytest.fixture
def feeds() -> Registry[Feed]:
    """A registry with a feed of one topic and a feed of one topic per board."""
    feeds: Registry[Feed] = Registry()
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


@pytest.mark.parametrize(
    "module, model",
    [("elsewhere.live", Board), (__name__, Entry)],
    ids=["of another app", "for another model"],
)
def test_a_second_feed_of_a_name_is_refused_although_its_class_has_the_same_name(feeds, module, model):
    """Otherwise one of two apps that both have a ``BoardFeed`` would replace the other's without a word."""
    other = type("SomeFeed", (Feed,), {"name": "boards", "__module__": module})

    with pytest.raises(ImproperlyConfigured, match=f"rename one of them.*{module}, for {model._meta.label}"):
        feeds.add(other(model))
    assert feeds["boards"].model is Board
