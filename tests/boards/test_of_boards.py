"""Feeds with a topic for each board have the rights of the board."""

from typing import Any

from realtime.boards.of_boards import OfVisibleBoards
from realtime.feeds import registry


def test_rights_are_answered_for_many_boards_at_once(
    board, staff_board, visitor, editor, django_assert_num_queries
):
    feed: Any = registry["entries"]
    keys = [board.pk, staff_board.pk, 10**6]

    assert isinstance(feed, OfVisibleBoards)
    with django_assert_num_queries(1):
        assert {*feed.visible_topics(visitor, keys)} == {board.pk}
    assert {*feed.visible_topics(editor, keys)} == {board.pk, staff_board.pk}


def test_users_with_the_same_rights_are_asked_for_once(anonymous, visitor, editor):
    same = registry["entries"].same_rights

    assert same(anonymous) == same(visitor) != same(editor)
