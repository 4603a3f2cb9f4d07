"""The topics of messages, reactions, viewers and editors: who may follow them, and what they have."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from realtime.boards.models import Board
from realtime.boards.voices.models import State
from realtime.feeds import registry
from realtime.publishing.positions import read_topic

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def colleague(db):
    """A member of staff without any right."""
    return get_user_model().objects.create_user("colleague", is_staff=True)


def texts(name, board):
    return [message.text for message in registry[name].topic_rows(board.pk)]


def test_viewers_follow_the_messages_that_were_approved(open_board):
    for state in State:
        open_board.messages.create(text=state, state=state)

    assert texts("messages", open_board) == ["shown"]
    assert texts("moderation", open_board) == ["waiting", "shown"]


def test_messages_go_with_their_switch(open_board):
    """The topic of viewers is empty once an editor switches messages off."""
    open_board.messages.create(text="Hello", state=State.SHOWN)

    Board.objects.update(takes_messages=False)

    assert texts("messages", open_board) == []


@pytest.mark.parametrize("name", ["messages", "reactions", "viewers"])
def test_viewers_may_follow_what_is_on_the_boards_that_they_see(
    name, open_board, open_staff_board, anonymous, visitor, editor
):
    feed: Any = registry[name]

    for user in (anonymous, visitor):
        assert feed.can_subscribe(user, open_board.pk)
        assert not feed.can_subscribe(user, open_staff_board.pk)
        assert [*feed.visible_topics(user, [open_board.pk, open_staff_board.pk])] == [open_board.pk]
    assert feed.can_subscribe(editor, open_staff_board.pk)


@pytest.mark.parametrize("name", ["moderation", "editors"])
def test_only_editors_follow_what_is_for_editors(name, open_board, anonymous, visitor, colleague, editor):
    feed: Any = registry[name]

    for user in (anonymous, visitor, colleague):
        assert not feed.can_subscribe(user, open_board.pk)
        assert not [*feed.visible_topics(user, [open_board.pk])]
    assert feed.can_subscribe(editor, open_board.pk)
    assert [*feed.visible_topics(editor, [open_board.pk, 10**6])] == [open_board.pk]
    assert not feed.can_subscribe(editor, 10**6)
    assert feed.same_rights(editor) != feed.same_rights(colleague)


def test_only_editors_tell_each_other_what_they_edit(open_board, colleague, editor):
    feed: Any = registry["editors"]

    assert feed.can_broadcast(editor, open_board.pk)
    assert not feed.can_broadcast(colleague, open_board.pk)
    assert not registry["viewers"].can_broadcast(editor, open_board.pk)
    assert not registry["entries"].can_broadcast(editor, open_board.pk)


def test_an_editor_is_shown_by_name(editor):
    assert registry["editors"].viewer_name(editor) == "someone"

    editor.first_name, editor.last_name = "Ada", "Lovelace"

    assert registry["editors"].viewer_name(editor) == "Ada Lovelace"


def test_viewers_are_counted_where_an_editor_wants_it(board, open_staff_board, editor):
    """A board without the switch has no such topic: the number of its viewers cannot be learnt."""
    feed: Any = registry["viewers"]

    assert not feed.can_subscribe(editor, board.pk)
    assert [*feed.visible_topics(editor, [board.pk, open_staff_board.pk])] == [open_staff_board.pk]


@pytest.mark.parametrize("name", ["messages", "moderation"])
def test_a_message_is_text_whatever_it_looks_like(name, open_board):
    """No markup, and no link that leads away from the board."""
    open_board.messages.create(text=f"{EVIL} https://evil.example", name=EVIL, state=State.SHOWN)

    html = "".join(row.html or "" for row in read_topic(f"{name}.{open_board.pk}").rows)

    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<a" not in html
