"""Requests of viewers, and of attackers in their place."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from realtime.boards.models import Board, Message, Reacted, ReactionCount
from realtime.boards.sharing.models import BoardLink
from realtime.boards.voices.models import State

JSON = {"Accept": "application/json"}


def send(client, board, text="Hello", name="", **options):
    address = reverse("boards:send_message", args=[board.slug])
    return client.post(address, {"text": text, "name": name}, **options)


def react(client, board, press, **options):
    return client.post(reverse("boards:react", args=[board.slug]), {"press": press}, **options)


def moderate(client, board, **form):
    return client.post(reverse("boards:moderate", args=[board.slug]), form)


def test_a_viewer_sends_a_message_without_scripts(client, open_board):
    response = send(client, open_board, name="Ada")

    assert response["Location"] == open_board.get_absolute_url()
    message = Message.objects.get()
    assert (message.text, message.name, message.state) == ("Hello", "Ada", State.WAITING)
    html = client.get(open_board.get_absolute_url()).content.decode()
    assert "an editor has approved it" in html
    assert "Ada" not in html


def test_a_message_that_is_refused_is_shown_again_with_the_reason(client, open_board):
    response = send(client, open_board, text="x" * 281, name="<b>Ada</b>")

    html = response.content.decode()
    assert response.status_code == 422
    assert "at most 280 characters" in html
    assert "x" * 281 in html
    assert "&lt;b&gt;Ada" in html
    assert not Message.objects.exists()


def test_the_pages_script_receives_the_words(client, open_board):
    assert "approved" in send(client, open_board, headers=JSON).json()["words"]

    refused = send(client, open_board, text="", headers=JSON)

    assert refused.status_code == 422
    assert refused.json()["words"]


@pytest.mark.parametrize("name", ["send_message", "react", "moderate"])
def test_a_form_of_another_site_is_refused(open_board, entry, name):
    """Without Django's token nothing is written, whichever browser sends the form."""
    form = {"text": "Hello", "name": "", "press": f"{entry.pk}.thumb"}

    response = Client(enforce_csrf_checks=True).post(reverse(f"boards:{name}", args=[open_board.slug]), form)

    assert response.status_code == 403
    assert not Message.objects.exists()
    assert not ReactionCount.objects.exists()


@pytest.mark.parametrize("switch", [{"takes_messages": False}, {"reactions": ""}])
def test_what_is_switched_off_accepts_nothing(client, open_board, entry, switch):
    Board.objects.update(**switch)
    response = (
        send(client, open_board)
        if "takes_messages" in switch
        else react(client, open_board, f"{entry.pk}.thumb")
    )

    assert response.status_code == 404
    assert not Message.objects.exists()
    assert not ReactionCount.objects.exists()


def test_a_board_that_a_viewer_does_not_see_accepts_nothing(client, open_staff_board):
    """The answer is that for a board that does not exist; with a secret link to it, a viewer may write."""
    entry = open_staff_board.entries.create(label="Safe")

    assert send(client, open_staff_board).status_code == 404
    assert react(client, open_staff_board, f"{entry.pk}.thumb").status_code == 404

    _, secret = BoardLink.make(open_staff_board, "guests", None)
    client.post(reverse("boards:link"), {"code": secret})

    assert send(client, open_staff_board).status_code == 302
    assert react(client, open_staff_board, f"{entry.pk}.thumb").status_code == 302


def test_a_flood_of_messages_is_stopped(client, open_board):
    """The answer says when to try again; other addresses are not affected."""
    answers = [send(client, open_board, text=f"Message {number}") for number in range(9)]

    assert [answer.status_code for answer in answers] == [302] * 5 + [429] * 4
    assert int(answers[-1]["Retry-After"]) > 0
    assert "Message 8" in answers[-1].content.decode()
    assert Message.objects.count() == 5
    assert send(client, open_board, REMOTE_ADDR="192.0.2.9").status_code == 302


def test_a_flood_of_reactions_is_stopped(client, open_board, entry):
    answers = [react(client, open_board, f"{entry.pk}.thumb").status_code for _ in range(40)]

    assert 429 in answers
    assert ReactionCount.objects.get().number in (0, 1)


def test_a_reaction_counts_once_for_a_browser(client, open_board, entry):
    assert react(client, open_board, f"{entry.pk}.thumb", headers=JSON).json() == {"is_on": True}
    assert react(Client(), open_board, f"{entry.pk}.thumb", headers=JSON).json() == {"is_on": True}
    assert ReactionCount.objects.get().number == 2

    assert react(client, open_board, f"{entry.pk}.thumb", headers=JSON).json() == {"is_on": False}
    assert ReactionCount.objects.get().number == 1


def test_nothing_personal_is_kept_of_a_reaction(client, open_board, entry):
    react(client, open_board, f"{entry.pk}.thumb")

    known = Reacted.objects.get()
    assert client.cookies["visitor"].value.partition(":")[0] not in known.visitor
    assert {field.name for field in Reacted._meta.fields} == {"id", "entry", "kind", "visitor", "at"}
    assert {field.name for field in Message._meta.fields} == {"id", "board", "text", "name", "state", "at"}


@pytest.mark.parametrize("forged", ["number:1abc:signature", "x" * 4000, "ä"])
def test_a_forged_number_is_replaced(client, open_board, entry, forged):
    client.cookies["visitor"] = forged

    assert react(client, open_board, f"{entry.pk}.thumb").status_code == 302

    assert client.cookies["visitor"].value != forged


@pytest.mark.parametrize(
    "press",
    ["", ".", "thumb", "1", "0.thumb", "-1.thumb", "٣.thumb", "9" * 30 + ".thumb", "1.<b>", "\x00.thumb"],
)
def test_a_reaction_to_nothing_is_answered(client, open_board, press):
    assert react(client, open_board, press).status_code == 404


def test_too_many_that_wait_are_refused(client, open_board, monkeypatch):
    monkeypatch.setattr("realtime.boards.voices.messages.MAX_WAITING", 0)

    assert send(client, open_board).status_code == 503


def test_an_editor_shows_hides_and_deletes(editor_client, open_board):
    message = open_board.messages.create(text="Hello")

    for verb, state in [("show", State.SHOWN), ("hide", State.HIDDEN)]:
        assert moderate(editor_client, open_board, **{verb: message.pk}).status_code == 302
        assert Message.objects.get().state == state
    moderate(editor_client, open_board, delete=message.pk)

    assert not Message.objects.exists()


@pytest.mark.parametrize("form", [{}, {"show": "x"}, {"show": "0"}, {"erase": "1"}, {"show": "9" * 30}])
def test_moderating_nothing_is_answered(editor_client, open_board, form):
    assert moderate(editor_client, open_board, **form).status_code == 404


def test_only_editors_moderate(client, open_board, visitor):
    """Neither viewers nor members of staff without the right."""
    message = open_board.messages.create(text="Hello")
    for user in (visitor, get_user_model().objects.create_user("colleague", is_staff=True)):
        client.force_login(user)
        assert moderate(client, open_board, show=message.pk).status_code in (302, 403)
    client.logout()
    moderate(client, open_board, show=message.pk)

    assert Message.objects.get().state == State.WAITING


@pytest.mark.parametrize("name", ["send_message", "react", "moderate"])
def test_nothing_is_written_by_following_a_link(editor_client, open_board, name):
    assert editor_client.get(reverse(f"boards:{name}", args=[open_board.slug])).status_code == 405
