"""Rights tables: the models that ``can_subscribe`` depends on, and the column that has the topic's key."""

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from realtime.boards.models import Board, Entry
from realtime.feeds import Feed
from realtime.rows.rights_tables import rights_sources
from tests.apps.library.models import Author, Book


def columns(model, topic_field=None, declared=None) -> dict[str, str | None]:
    """Return the column of each table, None where its rows concern all topics."""
    topic_column = None if topic_field is None else model._meta.get_field(topic_field)
    return {
        source._meta.db_table: None if column is None else column.column
        for source, column in rights_sources(model, topic_column, declared).items()
    }


@pytest.mark.parametrize(
    "model, topic_field, declared, expected",
    [
        (Entry, "board", None, {"boards_board": "id"}),
        (Entry, "board", [], {}),
        (Entry, "board", [Board], {"boards_board": "id"}),
        (Entry, "board", [Entry], {"boards_entry": "board_id"}),
        (Entry, "board", [User], {"auth_user": None}),
        (Entry, "status", None, {}),
        (Entry, "status", [Board, Entry], {"boards_board": None, "boards_entry": "status"}),
        (Entry, None, None, {}),
        (Entry, None, [Board], {"boards_board": None}),
        (Board, "id", None, {"boards_board": "id"}),
        (Board, "id", [Entry], {"boards_entry": "board_id"}),
        (Book, "author", [Book.tags.through], {"library_book_tags": None}),
        (Author, "id", [Book], {"library_book": "author_id"}),
    ],
    ids=range(13),
)
def test_each_table_has_the_column_with_the_key_of_the_topic(model, topic_field, declared, expected):
    assert columns(model, topic_field, declared) == expected


def test_two_links_to_what_the_topic_is_of_concern_all_topics(make_model):
    """Which of them gives the right is not known."""
    links = {name: models.ForeignKey(Board, models.CASCADE, related_name="+") for name in ("one", "other")}
    pair = make_model("Pair", **links)

    assert columns(Entry, "board", [pair]) == {"throwaway_pair": None}


@pytest.mark.parametrize("wrong", [["boards.Board"], "Board", [Board, None], Board], ids=str)
def test_a_value_that_is_not_a_list_of_models_is_refused(wrong):
    with pytest.raises(ImproperlyConfigured, match=r"write a list of models: \[Board\]"):
        columns(Entry, "board", wrong)


def test_a_feed_for_staff_depends_on_no_table():
    """Unless it names one: whether a user is staff depends on the user alone."""
    staff = type("StaffFeed", (Feed,), {"topic_field": "board_id"})
    named = type("NamedFeed", (Feed,), {"topic_field": "board_id", "rights_depend_on": [Board]})

    assert staff(Entry).rights_tables == set()
    assert named(Entry).rights_tables == {"boards_board"}


def test_the_tables_are_captured_with_the_column_of_the_key():
    """Beside what the rows need of them."""
    feed = type("GuardedFeed", (Feed,), {"topic_field": "board_id", "rights_depend_on": [Board, User]})(Entry)

    captured = {
        model._meta.db_table: [field.column for field in fields] for model, fields in feed.captured.items()
    }

    assert captured["auth_user"] == ["id"]
    assert set(captured["boards_board"]) == {"id"}
    assert captured["boards_entry"] == ["id", "board_id"]
