"""The admin's messages undo what was done: one entry, a list, a bulk action, a deletion."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from realtime.boards.models import Entry, Revision

LIST = reverse("admin:boards_entry_changelist")


def offered(response):
    """Return the fields of the form in the message; None if there is none."""
    html = response.content.decode()
    form = re.search(r'<form class="undo-form".*?</form>', html, re.DOTALL)
    return form and dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[0]))


def undo(client, form):
    return client.post(reverse("boards:undo_revisions"), form, follow=True)


def act(client, action, entries, **form):
    keys = [entry.pk for entry in entries]
    return client.post(LIST, {"action": action, "_selected_action": keys} | form, follow=True)


@pytest.fixture
def entries(board):
    return [board.entries.create(label=f"Ferry {number}", status="ok") for number in range(3)]


def test_a_bulk_action_is_undone_at_once(editor_client, entries):
    """All of it, with one press, and the list is shown again."""
    response = act(editor_client, "set_status_critical", entries)
    assert {*Entry.objects.values_list("status", flat=True)} == {"critical"}

    after = undo(editor_client, offered(response))

    assert {*Entry.objects.values_list("status", flat=True)} == {"ok"}
    assert after.redirect_chain == [(LIST, 302)]
    assert "Undone." in after.content.decode()


def test_a_deletion_is_undone(editor_client, entries):
    response = act(editor_client, "delete_selected", entries[:2], post="yes")
    assert Entry.objects.count() == 1

    undo(editor_client, offered(response))

    assert Entry.objects.count() == 3


def test_an_added_entry_is_undone(editor_client, board):
    form = {"board": board.pk, "label": "New", "is_visible": "on"}
    response = editor_client.post(reverse("admin:boards_entry_add"), form, follow=True)

    undo(editor_client, offered(response))

    assert not Entry.objects.exists()


def test_what_was_changed_since_stays(editor_client, entries):
    response = act(editor_client, "set_status_critical", entries)
    Entry.objects.filter(pk=entries[0].pk).update(status="info")

    after = undo(editor_client, offered(response))

    assert [*Entry.objects.order_by("pk").values_list("status", flat=True)] == ["info", "ok", "ok"]
    assert "and was left as it is" in after.content.decode()


def test_without_a_change_there_is_nothing_to_undo(editor_client, entries):
    assert offered(act(editor_client, "set_status_ok", entries)) is None


def test_without_a_history_nothing_is_offered(editor_client, entries, settings):
    settings.BOARDS_HISTORY_DAYS = 0

    assert offered(act(editor_client, "set_status_critical", entries)) is None


@pytest.mark.parametrize("forged", ["", "x", "0", "-1", "9" * 40, "1,,2", "٣"])
def test_a_forged_list_of_revisions_undoes_nothing(editor_client, entries, forged):
    response = undo(editor_client, {"revisions": forged, "next": LIST})

    assert "There was nothing to undo." in response.content.decode()
    assert Entry.objects.count() == 3


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_an_undo_leads_to_no_other_site(editor_client, entries, address):
    assert undo(editor_client, {"revisions": "0", "next": address}).redirect_chain[0][0] == LIST


@pytest.mark.parametrize("is_staff", [True, False])
def test_only_editors_undo(editor_client, client, entries, is_staff):
    form = offered(act(editor_client, "set_status_critical", entries))
    client.force_login(get_user_model().objects.create_user("other", is_staff=is_staff))

    client.post(reverse("boards:undo_revisions"), form)
    client.logout()
    client.post(reverse("boards:undo_revisions"), form)

    assert {*Entry.objects.values_list("status", flat=True)} == {"critical"}
    assert Revision.objects.filter(is_baseline=False).count() == 3
