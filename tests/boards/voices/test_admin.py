"""Messages in the admin, and the switches of a board there."""

import pytest
from django.urls import reverse

from realtime.boards.voices.models import State


@pytest.mark.parametrize("action, state", [("show", State.SHOWN), ("hide", State.HIDDEN)])
def test_many_messages_are_decided_at_once(editor_client, open_board, action, state):
    made = [open_board.messages.create(text=f"{number}") for number in range(3)]
    form = {"action": action, "_selected_action": [message.pk for message in made[:2]]}

    editor_client.post(reverse("admin:boards_message_changelist"), form)

    assert open_board.messages.filter(state=state).count() == 2


def test_messages_are_not_written_by_editors(editor_client, open_board):
    message = open_board.messages.create(text="Hello")

    assert editor_client.get(reverse("admin:boards_message_add")).status_code == 403
    editor_client.post(
        reverse("admin:boards_message_change", args=[message.pk]), {"text": "Forged", "state": "shown"}
    )

    message.refresh_from_db()
    assert (message.text, message.state) == ("Hello", State.SHOWN)


def test_an_editor_switches_on_what_viewers_may_do(editor_client, board):
    page = editor_client.get(reverse("admin:boards_board_change", args=[board.pk]))
    form = page.context["adminform"].form
    sent = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
    sent |= {
        "is_public": "on",
        "takes_messages": "on",
        "reactions": ["heart", "thumb"],
        "shows_viewers": "on",
    }
    sent = {name: value for name, value in sent.items() if value is not False}
    for table in ["statuses", "entries"]:
        sent |= {f"{table}-TOTAL_FORMS": "0", f"{table}-INITIAL_FORMS": "0"}

    response = editor_client.post(reverse("admin:boards_board_change", args=[board.pk]), sent)

    assert response.status_code == 302, response.context["errors"]
    board.refresh_from_db()
    assert (board.takes_messages, board.reactions, board.shows_viewers) == (True, "thumb heart", True)
