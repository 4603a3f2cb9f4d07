"""Two editors of the admin, and programs beside them, overwrite no value of each other unseen."""

from html.parser import HTMLParser
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.contrib.admin.models import LogEntry
from django.core import signing
from django.test import Client
from django.urls import reverse

from realtime.boards import shared_forms
from realtime.boards.models import Board, Entry

ENTRIES = reverse("admin:boards_entry_changelist")
clean = shared_forms.SharedRows.full_clean


class Form(HTMLParser):
    """The values that a browser would send of the page's form."""

    def __init__(self, response, name="_save"):
        super().__init__()
        self.sent: dict[str, str] = {}
        self._select = self._area = None
        self.feed(response.content.decode())
        self.sent[name] = "Save"

    def handle_starttag(self, tag, attrs):
        has = dict(attrs)
        name, kind = has.get("name"), has.get("type", "text")
        if tag == "select":
            self._select = name
            self.sent[name] = None
        elif tag == "option" and self._select and ("selected" in has or self.sent[self._select] is None):
            self.sent[self._select] = has.get("value", "")
        elif tag == "textarea":
            self._area, self.sent[name] = name, ""
        elif tag == "input" and name and kind not in ("submit", "button", "search"):
            if kind not in ("checkbox", "radio"):
                self.sent[name] = has.get("value", "").replace("\n", "")
            elif "checked" in has:
                self.sent[name] = has.get("value", "on")

    def handle_data(self, data):
        if self._area:
            # The parser of browsers leaves out the first line end; they send all others as CR LF.
            self.sent[self._area] += data.removeprefix("\n").replace("\n", "\r\n")

    def handle_endtag(self, tag):
        if tag == "select":
            self._select = None
        if tag == "textarea":
            self._area = None

    def row(self, entry):
        """Return the prefix of an entry's row."""
        (name,) = [
            name for name, value in self.sent.items() if name.endswith("-id") and value == str(entry.pk)
        ]
        return name.removesuffix("id")


@pytest.fixture
def entries(board):
    return [
        board.entries.create(label=label, value="1", status="ok", position=10 * place)
        for place, label in enumerate("abc", start=1)
    ]


def change_list(client, entry):
    return SimpleNamespace(address=ENTRIES, prefix=lambda form: form.row(entry))


def form_of_board(client, entry):
    address = reverse("admin:boards_board_change", args=[entry.board_id])
    return SimpleNamespace(address=address, prefix=lambda form: form.row(entry))


def form_of_entry(client, entry):
    address = reverse("admin:boards_entry_change", args=[entry.pk])
    return SimpleNamespace(address=address, prefix=lambda form: "")


PLACES = pytest.mark.parametrize("place", [change_list, form_of_board, form_of_entry])
TABLES = pytest.mark.parametrize("place", [change_list, form_of_board])


def sent(client, at, form, **changes):
    return client.post(at.address, form.sent | changes)


@PLACES
def test_only_what_the_editor_changed_is_written(place, editor_client, entries):
    """A job and another editor have changed other values, of this row and of others, since the form was loaded."""
    first, second, _ = entries
    at = place(editor_client, first)
    form = Form(editor_client.get(at.address))
    Entry.objects.filter(pk=first.pk).update(status="critical", position=15, note="by SQL")
    Entry.objects.filter(pk=second.pk).update(value="2")

    response = sent(editor_client, at, form, **{f"{at.prefix(form)}value": "9"})

    assert response.status_code == 302
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.value, first.status, first.position, first.note) == ("9", "critical", 15, "by SQL")
    assert second.value == "2"
    assert [str(entry) for entry in LogEntry.objects.all()].count("Changed “a” — Changed Value.") == (
        1 if place is not form_of_board else 0
    )


def test_the_form_of_a_board_writes_only_what_the_editor_changed(editor_client, board):
    """Also where the text has line ends, which browsers send in another form."""
    Board.objects.update(description="one\ntwo", position=5)
    address = reverse("admin:boards_board_change", args=[board.pk])
    form = Form(editor_client.get(address))
    Board.objects.update(description="other\ntext", is_public=False)

    editor_client.post(address, form.sent | {"title": "The new quay"})

    board.refresh_from_db()
    assert (board.title, board.description, board.is_public) == ("The new quay", "other\ntext", False)


@pytest.mark.combinations("place", "choice")
@PLACES
@pytest.mark.parametrize("choice, expected", [("mine", "9"), ("theirs", "7"), (None, "9")])
def test_a_conflict_shows_both_values_and_asks(place, choice, expected, editor_client, entries):
    """Nothing is written before the editor has seen both; what the other has changed beside it stays in any case."""
    first = entries[0]
    at = place(editor_client, first)
    form = Form(editor_client.get(at.address))
    Entry.objects.filter(pk=first.pk).update(value="7", status="warning")

    asked = sent(editor_client, at, form, **{f"{at.prefix(form)}value": "9"})

    assert asked.status_code == 200
    assert "Changed meanwhile to “7”; you entered “9”" in asked.content.decode()
    first.refresh_from_db()
    assert first.value == "7"

    form = Form(asked)
    changes = {f"{at.prefix(form)}value-choice": choice} if choice else {}
    assert sent(editor_client, at, form, **changes).status_code == 302
    first.refresh_from_db()
    assert (first.value, first.status) == (expected, "warning")


def test_a_third_value_is_asked_about_again(editor_client, entries):
    """Also if it was written while the editor looked at the question."""
    at = change_list(editor_client, entries[0])
    form = Form(editor_client.get(ENTRIES))
    Entry.objects.filter(pk=entries[0].pk).update(value="7")
    form = Form(sent(editor_client, at, form, **{f"{at.prefix(form)}value": "9"}))
    Entry.objects.filter(pk=entries[0].pk).update(value="8")

    asked = sent(editor_client, at, form)

    assert "Changed meanwhile to “8”; you entered “9”" in asked.content.decode()


@pytest.mark.parametrize("name, mine, theirs, words", [
    ("status", "info", "critical", "to “Alert”; you entered “Now”"),
    ("position", "3", 4, "to “4”; you entered “3”"),
    ("label", "<b>mine</b>", "<i>theirs</i>", "to “&lt;i&gt;theirs&lt;/i&gt;”; you entered “&lt;b&gt;mine&lt;/b&gt;”"),
])  # fmt: skip
def test_a_conflict_is_named_in_the_words_of_the_form(name, mine, theirs, words, editor_client, entries):
    """Choices by their labels; markup stays text."""
    at = form_of_board(editor_client, entries[1])
    form = Form(editor_client.get(at.address))
    Entry.objects.filter(pk=entries[1].pk).update(**{name: theirs})

    asked = sent(editor_client, at, form, **{f"{at.prefix(form)}{name}": mine})

    assert words in asked.content.decode()


def test_two_users_that_enter_the_same_value_have_no_conflict(editor_client, entries):
    """Both wanted this value."""
    at = change_list(editor_client, entries[0])
    form = Form(editor_client.get(ENTRIES))
    Entry.objects.filter(pk=entries[0].pk).update(value="9")

    assert sent(editor_client, at, form, **{f"{at.prefix(form)}value": "9"}).status_code == 302


@TABLES
def test_a_row_that_was_deleted_meanwhile_does_not_spoil_the_save(place, editor_client, entries):
    """The other rows are saved, and what was typed in the deleted one is named."""
    first, _, third = entries
    at = place(editor_client, first)
    form = Form(editor_client.get(at.address))
    changes = {f"{form.row(first)}value": "8", f"{form.row(third)}value": "9"}
    first.delete()

    response = editor_client.post(at.address, form.sent | changes, follow=True)

    third.refresh_from_db()
    assert third.value == "9"
    words = [str(message) for message in response.context["messages"]]
    assert any("“a” was deleted meanwhile" in text and "value “8”" in text for text in words)
    assert Entry.objects.count() == 2


@TABLES
def test_beside_a_deleted_row_each_form_keeps_its_own_row(place, editor_client, entries):
    """A form that is shown again after an error, with rows that were deleted and moved meanwhile."""
    first, second, third = entries
    at = place(editor_client, first)
    form = Form(editor_client.get(at.address))
    changes = {f"{form.row(second)}position": "no number", f"{form.row(third)}value": "9"}
    first.delete()
    Entry.objects.filter(pk=third.pk).update(position=1)

    again = Form(editor_client.post(at.address, form.sent | changes))
    again.sent[f"{again.row(second)}position"] = "20"
    assert editor_client.post(at.address, again.sent).status_code == 302

    third.refresh_from_db()
    assert (third.value, third.position) == ("9", 1)


@PLACES
def test_values_that_only_sql_can_write_do_not_spoil_the_save(place, editor_client, entries):
    """A status that the form does not offer, a label without text, blanks around it: they stay as they are."""
    first = entries[0]
    odd = {"status": "late", "label": " odd ", "note": "two\nlines"}
    Entry.objects.filter(pk=first.pk).update(**odd)
    at = place(editor_client, first)
    form = Form(editor_client.get(at.address))

    response = sent(editor_client, at, form, **{f"{at.prefix(form)}value": "9"})

    assert response.status_code == 302
    first.refresh_from_db()
    assert {name: getattr(first, name) for name in odd} | {"value": first.value} == odd | {"value": "9"}


@pytest.mark.parametrize("token", ["made up", "of another row"])
def test_a_form_that_names_other_values_than_were_shown_writes_nothing(token, editor_client, entries):
    """The shown values are signed, with the row's key."""
    first, second, _ = entries
    at = change_list(editor_client, first)
    form = Form(editor_client.get(ENTRIES))
    others = form.sent[f"{form.row(second)}shown"]
    changes = {f"{at.prefix(form)}shown": others if token != "made up" else signing.dumps([first.pk, {}])}

    response = sent(editor_client, at, form, **changes | {f"{at.prefix(form)}value": "9"})

    assert response.status_code == 200
    assert "cannot be verified" in response.content.decode()
    assert Entry.objects.get(pk=first.pk).value == "1"


@pytest.mark.combinations("place", "stated")
@TABLES
@pytest.mark.parametrize("field", ["TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS"])
@pytest.mark.parametrize("stated", ["100000", "9" * 30, "-1", "x", "\0", None], ids=ascii)
def test_the_stated_numbers_of_rows_do_not_decide_how_many_are_made(
    place, field, stated, editor_client, entries
):
    """They are part of what is sent. Django itself limits the number of all forms."""
    if field == "TOTAL_FORMS" and stated and stated.isdecimal():
        stated = "200"
    at = place(editor_client, entries[0])
    form = Form(editor_client.get(at.address))
    *_, name = [name for name in form.sent if name.endswith(field)]  # of the entries, after those of statuses
    sent = {each: value for each, value in form.sent.items() if each != name}
    made = []

    def remember(formset):
        made.append(formset)
        clean(formset)

    with patch.object(shared_forms.SharedRows, "full_clean", remember):
        response = editor_client.post(at.address, sent if stated is None else sent | {name: stated})

    assert response.status_code in (200, 302, 400)
    for formset in made:
        assert 0 <= formset.initial_form_count() <= max(0, formset.total_form_count()) <= 2000
        assert len(formset.get_queryset()) <= 2000
    assert {entry.pk for entry in entries} <= {*Entry.objects.values_list("pk", flat=True)}


@pytest.mark.parametrize("key", ["9" * 30, "9" * 5000, "-1", "٣", "²", "x", "", "\0"], ids=ascii)
def test_a_row_is_found_by_no_key_that_cannot_be_one(key, editor_client, entries):
    """The form is shown again."""
    at = form_of_board(editor_client, entries[0])
    form = Form(editor_client.get(at.address))

    response = sent(editor_client, at, form, **{f"{at.prefix(form)}id": key})

    assert response.status_code in (200, 302)
    assert [entry.label for entry in Entry.objects.all()] == [*"abc"]


def test_a_board_of_a_thousand_entries_is_edited(editor_client, board):
    """A page of its rows at a time: Django accepts a thousand fields in one request."""
    Entry.objects.bulk_create(Entry(board=board, label=f"n{n}", position=n) for n in range(1000))
    address = reverse("admin:boards_board_change", args=[board.pk]) + "?page=20"
    last = Entry.objects.get(label="n999")
    form = Form(editor_client.get(address), "_continue")

    response = editor_client.post(address, form.sent | {f"{form.row(last)}value": "9"})

    assert response.status_code == 302
    assert response["Location"].endswith("?page=20")
    last.refresh_from_db()
    assert last.value == "9"
    assert Entry.objects.filter(value="9").count() == 1


def test_the_largest_page_of_the_change_list_can_be_saved(editor_client, board):
    """The list offers to show all entries up to a number, and saves them."""
    shown = shared_forms.SharedAdmin.list_max_show_all
    Entry.objects.bulk_create(Entry(board=board, label=f"n{n}", position=n) for n in range(shown))
    form = Form(editor_client.get(f"{ENTRIES}?all="))
    last = Entry.objects.get(label=f"n{shown - 1}")

    response = editor_client.post(f"{ENTRIES}?all=", form.sent | {f"{form.row(last)}value": "9"})

    assert response.status_code == 302
    last.refresh_from_db()
    assert last.value == "9"


def test_a_new_entry_without_a_position_goes_last(editor_client, board, entries):
    """In a form of its own, and in the board's, where several are added at once."""
    editor_client.post(
        reverse("admin:boards_entry_add"), {"board": board.pk, "label": "d", "is_visible": "on"}
    )
    address = reverse("admin:boards_board_change", args=[board.pk])
    form = Form(editor_client.get(address))
    new = {"entries-TOTAL_FORMS": "6"}
    for number, label in [(4, "e"), (5, "f")]:
        new |= {f"entries-{number}-label": label, f"entries-{number}-is_visible": "on"}
        new |= {f"entries-{number}-board": str(board.pk)}
    assert editor_client.post(address, form.sent | new).status_code == 302

    assert [entry.label for entry in board.entries.all()] == [*"abcdef"]


@pytest.mark.parametrize("action", ["hide", "set_status_critical"])
def test_a_bulk_action_is_in_the_history_of_each_entry(action, editor_client, editor, entries):
    """Also when the list no longer finds the entries, because it was filtered by what has changed."""
    form = {"action": action, "index": 0, "_selected_action": [entry.pk for entry in entries[:2]]}

    editor_client.post(f"{ENTRIES}?status__exact=ok&is_visible__exact=1", form)

    history = LogEntry.objects.filter(user=editor)
    assert {entry.object_id for entry in history} == {str(entry.pk) for entry in entries[:2]}
    assert all(entry.is_change() and entry.get_change_message() for entry in history)


def test_a_user_who_may_only_view_sees_the_forms(client, django_user_model, entries):
    """Nothing of what was shown is needed there."""
    from django.contrib.auth.models import Permission

    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__in=["view_entry", "view_board"]))
    client = Client()
    client.force_login(viewer)

    for place in (change_list, form_of_board, form_of_entry):
        assert client.get(place(client, entries[0]).address).status_code == 200
