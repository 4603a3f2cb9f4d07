"""Messages of viewers: what they may consist of, and how many are kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from realtime.boards.models import Message
from realtime.boards.voices import messages
from realtime.boards.voices.messages import Full, MessageForm
from realtime.boards.voices.models import State


def errors(**sent):
    return [*MessageForm({"text": "Hello", "name": ""} | sent).errors]


@pytest.mark.parametrize(
    "text", ["Hello", "x" * 280, "<b>bold</b>", "שלום", "日本語 👍", "https://example.com", "  Hello  "]
)
def test_a_message_is_any_text_that_can_be_seen(text):
    assert errors(text=text) == []


@pytest.mark.parametrize("field", ["text", "name"])
@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\x07",
        "\n",
        "\x1b",
        "\x7f",
        "\x9b",
        "\u202e",
        "\u2066",
        "\u200b",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\xad",
        "\u061c",
        "\u2063",
        "\u206e",
        "\u3164",
        "\ufff9",
        "\U0001d173",
        "\U000e0041",
    ],
    ids=ascii,
)
def test_characters_that_are_not_seen_are_refused(field, character):
    """They would hide a part of a message from the editor who approves it, or turn the text around it."""
    assert errors(**{field: f"a{character}b"}) == [field]


@pytest.mark.parametrize(
    "sent, field",
    [
        ({"text": ""}, "text"),
        ({"text": "   "}, "text"),
        ({"text": "x" * 281}, "text"),
        ({"name": "x" * 41}, "name"),
    ],
)
def test_lengths_are_bounded(sent, field):
    assert errors(**sent) == [field]


def send(board, text="Hello"):
    form = MessageForm({"text": text, "name": "Ada"})
    assert form.is_valid()
    return form.send(board)


@pytest.mark.parametrize("text", ["\u200d", "\ufe0f\u200c", "\u2003\u200d"], ids=ascii)
def test_a_message_of_joiners_alone_is_refused(text):
    """It would be an empty line on the wall."""
    assert errors(text=text) == ["text"]


@pytest.mark.parametrize("text", ["👩\u200d🚒", "❤\ufe0f", "क\u094d\u200dष", "葛\U000e0100"])
def test_joiners_between_letters_and_emoji_are_kept(text):
    assert errors(text=text) == []


def test_a_sent_message_waits(open_board):
    message = send(open_board)

    assert (message.state, message.board, message.name) == (State.WAITING, open_board, "Ada")


def test_no_more_wait_than_an_editor_can_read(open_board, staff_board, monkeypatch):
    """The board's own number counts."""
    monkeypatch.setattr(messages, "MAX_WAITING", 2)
    for _ in range(2):
        send(open_board)

    with pytest.raises(Full):
        send(open_board)

    assert open_board.messages.count() == 2
    assert send(staff_board).pk


def test_the_newest_of_those_that_were_shown_are_kept(open_board, monkeypatch):
    monkeypatch.setattr(messages, "MAX_KEPT", 2)
    for state in (State.SHOWN, State.HIDDEN, State.SHOWN, State.WAITING):
        open_board.messages.create(text=state, state=state)

    send(open_board)

    assert [*open_board.messages.values_list("state", flat=True)].count(State.WAITING) == 2
    assert open_board.messages.count() == 4


@pytest.mark.parametrize("wanted", [State.SHOWN, State.HIDDEN])
def test_an_editor_decides_about_a_message(open_board, wanted):
    message = send(open_board)

    assert messages.moderate(open_board, message.pk, wanted)

    assert Message.objects.get().state == wanted


def test_a_message_of_another_board_is_not_touched(open_board, staff_board):
    message = send(staff_board)

    assert not messages.moderate(open_board, message.pk, "delete")
    assert not messages.moderate(open_board, message.pk, State.SHOWN)

    assert Message.objects.get().state == State.WAITING


def test_messages_that_were_not_approved_are_removed_after_a_month(open_board):
    for state in State:
        open_board.messages.create(text=state, state=state)

    messages.remove_old()
    assert Message.objects.count() == 3

    messages.remove_old(timezone.now() + timedelta(days=31))
    assert [message.state for message in Message.objects.all()] == [State.SHOWN]
