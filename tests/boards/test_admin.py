import datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from realtime.boards.models import Board, Entry, Logo, Organisation, Status

ENTRIES = reverse("admin:boards_entry_changelist")
LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def entries(board):
    """Three entries, last changed long ago."""
    board.entries.bulk_create(
        Entry(board=board, label=label, position=place) for place, label in enumerate("abc")
    )
    board.entries.update(updated=LONG_AGO)
    return list(board.entries.all())


def run(client, action, entries, **chosen):
    """Run a bulk action as the browser does; return the messages to the editor as (level, text), without "Undo"."""
    form = {
        "action": action,
        "index": 0,
        "_selected_action": [entry.pk for entry in entries],
        "target_board": "",
    }
    response = client.post(ENTRIES, form | chosen, follow=True)
    assert response.status_code == 200
    return [
        (message.level_tag, message.message.partition(" <form")[0])
        for message in response.context["messages"]
    ]


def changelist_form(entries, **changes_of_first):
    """Return the changelist's form with the rows' values, and with changes in the first row."""
    form = {"form-TOTAL_FORMS": len(entries), "form-INITIAL_FORMS": len(entries), "_save": "Save"}
    for number, entry in enumerate(entries):
        row = {"id": entry.pk, "position": entry.position, "value": entry.value, "status": entry.status}
        row["is_visible"] = "on"
        if number == 0:
            row |= changes_of_first
        form |= {f"form-{number}-{name}": value for name, value in row.items() if value is not None}
    return form


def test_the_list_of_entries_is_edited_in_place(editor_client, entries):
    """Only the rows that the editor changed are written."""
    first, second, third = entries
    form = changelist_form(entries, value="07:15", status="warning", position=9, is_visible=None)

    assert editor_client.post(ENTRIES, form).status_code == 302

    first.refresh_from_db()
    assert (first.value, first.status, first.position, first.is_visible) == ("07:15", "warning", 9, False)
    assert first.updated > LONG_AGO
    for untouched in (second, third):
        untouched.refresh_from_db()
        assert untouched.updated == LONG_AGO


def test_a_board_is_edited_with_its_entries_in_one_form(editor_client, board, entries):
    """One save changes the board and changes, removes and adds entries."""
    first, second, third = entries
    form = {"slug": board.slug, "title": "The new quay", "position": 3, "is_public": "on"}
    form |= {"entries-TOTAL_FORMS": 4, "entries-INITIAL_FORMS": 3}
    form |= {"statuses-TOTAL_FORMS": 0, "statuses-INITIAL_FORMS": 0}
    rows = [
        {"id": first.pk, "position": 0, "label": "A", "is_visible": "on"},
        {"id": second.pk, "position": 1, "label": "b", "is_visible": "on", "DELETE": "on"},
        {"id": third.pk, "position": 2, "label": "c", "is_visible": "on"},
        {"position": 7, "label": "d", "status": "info", "is_visible": "on"},
    ]
    for number, row in enumerate(rows):
        form |= {f"entries-{number}-{name}": value for name, value in row.items()} | {
            f"entries-{number}-board": board.pk
        }

    response = editor_client.post(reverse("admin:boards_board_change", args=[board.pk]), form)

    assert response.status_code == 302, response.context["errors"]
    board.refresh_from_db()
    third.refresh_from_db()
    assert board.title == "The new quay"
    assert [(row.label, row.position) for row in board.entries.all()] == [("A", 0), ("c", 2), ("d", 7)]
    assert third.updated == LONG_AGO


def test_the_list_of_boards_counts_entries_and_links_to_the_pages(editor_client, board, entries):
    """Each row of the list links to the page that others see."""
    html = editor_client.get(reverse("admin:boards_board_changelist")).content.decode()

    assert f'<a href="{board.get_absolute_url()}">' in html
    assert '<td class="field-entry_count">3</td>' in html


def test_view_on_site_redirects_to_the_page(editor_client, board):
    """The link on a board's form redirects to the board's page."""
    link = reverse("admin:boards_board_change", args=[board.pk])
    assert b"View on site" in editor_client.get(link).content

    response = editor_client.get(board_link(board))

    assert response.status_code == 302
    assert response["Location"].endswith(board.get_absolute_url())


def board_link(board):
    from django.contrib.contenttypes.models import ContentType

    return reverse("admin:view_on_site", args=[ContentType.objects.get_for_model(Board).pk, board.pk])


@pytest.mark.parametrize("status", Status)
def test_a_status_is_set_for_many_entries_at_once(status, editor_client, entries):
    """The action changes the selected entries only, and updates their time of change."""
    Entry.objects.update(status="ok" if status != "ok" else "info", updated=LONG_AGO)
    before = timezone.now() - datetime.timedelta(minutes=1)

    sent = run(editor_client, f"set_status_{status.value or 'none'}", entries[:2])

    assert sent == [("success", f"2 entries: status set to “{status.label}”.")]
    first, second, third = Entry.objects.all()
    assert first.status == second.status == status
    assert third.status != status
    assert min(first.updated, second.updated) > before
    assert third.updated == LONG_AGO


def test_entries_are_hidden_and_shown_at_once(editor_client, entries):
    """Hidden entries stay in the admin."""
    assert run(editor_client, "hide", entries[:1]) == [("success", "1 entry: hidden.")]
    assert [entry.is_visible for entry in Entry.objects.all()] == [False, True, True]

    assert run(editor_client, "show", entries) == [("success", "3 entries: shown.")]
    assert all(entry.is_visible for entry in Entry.objects.all())


def test_entries_are_moved_to_the_chosen_board(editor_client, board, staff_board, entries):
    """The board is chosen in the action bar."""
    sent = run(editor_client, "move", entries[1:], target_board=staff_board.pk)

    assert sent == [("success", "2 entries: moved to “Harbour safe”.")]
    assert [entry.label for entry in board.entries.all()] == ["a"]
    assert [entry.label for entry in staff_board.entries.all()] == ["b", "c"]


def test_a_move_without_a_board_moves_nothing(editor_client, board, entries):
    """The message says what the editor can do."""
    [(level, sentence)] = run(editor_client, "move", entries)

    assert level == "error"
    assert "choose a board" in sentence
    assert board.entries.count() == 3


def test_the_action_bar_offers_every_board(editor_client, board, staff_board, entries):
    """The board is chosen in the same form, without an intermediate page."""
    html = editor_client.get(ENTRIES).content.decode()

    assert f'<option value="{board.pk}">The quay</option>' in html
    assert f'<option value="{staff_board.pk}">Harbour safe</option>' in html


def test_a_user_who_may_only_view_cannot_run_bulk_actions(client, entries):
    """The actions are not offered, and a forged form changes nothing."""
    viewer = get_user_model().objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_entry"))
    client.force_login(viewer)

    html = client.get(ENTRIES).content.decode()
    client.post(ENTRIES, {"action": "hide", "index": 0, "_selected_action": [entry.pk for entry in entries]})

    assert "Hide from the page" not in html
    assert all(entry.is_visible for entry in Entry.objects.all())


def test_the_list_of_entries_is_searched_and_filtered(editor_client, board, staff_board, entries):
    """The search covers label and note; the filters are board, status and visibility."""
    staff_board.entries.create(label="d", note="Keys", status="warning", is_visible=False)

    for query in [
        "q=keys",
        f"board__id__exact={staff_board.pk}",
        "status__exact=warning",
        "is_visible__exact=0",
    ]:
        response = editor_client.get(f"{ENTRIES}?{query}")

        assert [entry.label for entry in response.context["cl"].result_list] == ["d"], query


@pytest.mark.parametrize("lookup", ["label__regex", "note__iregex", "board__title__regex"])
def test_a_list_takes_no_regular_expression_from_its_address(editor_client, entries, lookup):
    """On SQLite one that takes exponential time would stop the whole process, deliveries included."""
    Entry.objects.filter(pk=entries[0].pk).update(label="x" * 40, note="x" * 40)

    response = editor_client.get(ENTRIES, {lookup: "(x+x+)+y"})

    assert response.status_code == 400


@pytest.mark.parametrize("lookup", ["username__regex", "email__iregex"])
def test_the_list_of_users_takes_none_either(admin_client, lookup):
    assert admin_client.get(reverse("admin:auth_user_changelist"), {lookup: "(x+x+)+y"}).status_code == 400


@pytest.mark.parametrize("model", ["boards_entry", "boards_board", "auth_user", "auth_group"])
@pytest.mark.parametrize(
    "query",
    [
        "id__range=", "id__range=1", "id__range=" + "9" * 30, "id__in=" + "9" * 30, "id__exact=-1", "id__gt=x",
        "updated__year=0", "last_login__year=-1", "last_login__year=" + "9" * 30, "user=" + "9" * 30, "p=x", "o=9.9.-9",
    ],
)  # fmt: skip
def test_lookups_that_cannot_be_carried_out_show_the_whole_list(admin_client, entries, model, query):
    """Or are refused; none of them is a failure of the server."""
    response = admin_client.get(f"{reverse(f'admin:{model}_changelist')}?{query}")

    assert response.status_code in (200, 302, 400)
    if response.status_code == 302:
        assert response["Location"].endswith("?e=1")


@pytest.mark.parametrize("key", ["", "x", "9" * 30, "1.5"])
def test_an_action_for_a_row_that_cannot_be_is_refused(admin_client, entries, key):
    form = {"action": "delete_selected", "index": 0, "_selected_action": [entries[0].pk, key], "post": "yes"}

    response = admin_client.post(ENTRIES, form)

    assert response.status_code == 400
    assert Entry.objects.count() == 3


@pytest.mark.parametrize("model", ["board", "entry"])
def test_a_search_for_thousands_of_words_is_answered(editor_client, entries, model):
    """Each is a condition of the query, and SQLite refuses one with thousands."""
    address = reverse(f"admin:boards_{model}_changelist")

    response = editor_client.get(address, {"q": "a " * 4000})

    assert response.status_code == 200


def test_the_form_of_an_entry_offers_the_statuses_of_its_board(editor_client, board, entry):
    """In the form, in the list and in the actions of the list; not those of another board."""
    board.statuses.create(word="Gate open")
    other = Board.objects.create(slug="other", title="Other")
    other.statuses.create(word="Elsewhere")
    changelist = reverse("admin:boards_entry_changelist")

    form = editor_client.get(reverse("admin:boards_entry_change", args=[entry.pk])).content.decode()
    rows = editor_client.get(reverse("admin:boards_board_change", args=[board.pk])).content.decode()
    listed = editor_client.get(changelist, {"board__id__exact": board.pk}).content.decode()

    for html in (form, rows, listed):
        assert '<option value="gate-open">Gate open</option>' in html
        assert '<option value="ok" selected>OK</option>' in html
        assert "Elsewhere</option>" not in html
    assert "Set status: Gate open" in listed
    assert "Set status: Alert" not in listed
    assert "Set status: Alert" in editor_client.get(changelist).content.decode()


def test_a_status_of_its_own_is_set_for_many(editor_client, board, entry):
    board.statuses.create(word="Gate open")
    address = f"{reverse('admin:boards_entry_changelist')}?board__id__exact={board.pk}"

    editor_client.post(address, {"action": "set_status_gate-open", "_selected_action": [entry.pk]})

    entry.refresh_from_db()
    assert entry.status == "gate-open"
    found = editor_client.get(reverse("admin:boards_entry_changelist"), {"status__exact": "gate-open"})
    assert "Saltmere" in found.content.decode()


def board_form(board, rows):
    """Return the form of a board with these rows of statuses, and none of entries."""
    prefix = "statuses"
    sent = {"title": board.title, "slug": board.slug, "position": 0, "is_public": "on", "shows_value": "on"}
    sent |= {f"{name}-{count}_FORMS": 0 for name in (prefix, "entries") for count in ("TOTAL", "INITIAL")}
    sent[f"{prefix}-TOTAL_FORMS"] = len(rows)
    for number, row in enumerate(rows):
        sent |= {f"{prefix}-{number}-{name}": value for name, value in row.items()}
    return sent


def test_an_editor_defines_statuses_in_the_form_of_the_board(editor_client, board):
    """With no right but those to boards and entries; two of one word are refused."""
    address = reverse("admin:boards_board_change", args=[board.pk])
    rows = [
        {"position": 1, "word": "Open", "colour": "ok", "icon": "check"},
        {"position": 2, "word": "Closed", "colour": "critical", "icon": ""},
    ]

    double = editor_client.post(address, board_form(board, [rows[0], rows[1] | {"word": "open"}]))
    saved = editor_client.post(address, board_form(board, rows))

    assert "Two statuses are called" in double.content.decode()
    assert saved.status_code == 302, saved.content.decode()
    assert board.offered_statuses == [("", "No status"), ("open", "Open"), ("closed", "Closed")]


def test_an_editor_gives_an_organisation_a_logo(editor_client):
    """Also another one, or none again; what is no picture is refused in words."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(20)
    address = reverse("admin:boards_organisation_add")

    refused = editor_client.post(address, {"name": "Port", "picture": SimpleUploadedFile("a.png", b"MZ")})
    editor_client.post(address, {"name": "Port", "picture": SimpleUploadedFile("logo.png", png)})

    assert "no picture" in refused.content.decode()
    organisation = Organisation.objects.get()
    assert bytes(organisation.logo.content) == png
    change = reverse("admin:boards_organisation_change", args=[organisation.pk])
    assert organisation.logo_id in editor_client.get(change).content.decode()
    editor_client.post(change, {"name": "Port", "is_removed": "on"})
    assert Organisation.objects.get().logo is None
    assert not Logo.objects.exists()
