import stat

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from realtime.boards import demo
from realtime.boards.models import Board, Entry, Status

User = get_user_model()


def test_the_demo_creates_boards_for_everyone_and_for_staff(run):
    """A new project has content at once."""
    run()

    assert dict(Board.objects.values_list("slug", "is_public")) == {
        "departures": True,
        "server": True,
        "roster": False,
    }
    assert Board.objects.get(slug="departures").entries.count() >= 12


def test_the_demo_uses_known_statuses():
    """Each known status has a text and a colour."""
    used = {status for _, entries in demo.BOARDS for _, _, _, status, _ in entries}

    assert used <= set(Status.values)


def test_the_demo_can_be_repeated(run):
    """A second run changes nothing and prints the same, so that the command can run at every start."""
    first = run()
    rows = [list(model.objects.order_by("pk").values()) for model in (Board, Entry, User)]

    assert run() == first
    assert [list(model.objects.order_by("pk").values()) for model in (Board, Entry, User)] == rows


def test_the_demo_creates_no_boards_beside_others(run, board):
    """If any board exists, the demo's boards are not created again."""
    run()

    assert list(Board.objects.all()) == [board]


def test_the_editor_edits_boards_and_nothing_else(run):
    """All permissions are on models that the admin shows; the inspector and the metrics need none."""
    run()
    editor = User.objects.get(username="editor")

    assert (editor.is_staff, editor.is_superuser) == (True, False)
    assert [group.name for group in editor.groups.all()] == ["Editors"]
    for verb in ("view", "add", "change", "delete"):
        assert editor.has_perms([f"boards.{verb}_board", f"boards.{verb}_entry"])
    granted = Permission.objects.filter(group__user=editor).select_related("content_type")
    assert {permission.content_type.app_label for permission in granted} == {"boards"}
    models = {permission.content_type.model_class() for permission in granted}
    assert [model for model in models if not admin.site.is_registered(model)] == []


def test_a_group_whose_permissions_were_changed_keeps_them(run):
    """A permission that an operator removed is not restored at the next start."""
    run()
    User.objects.get(username="editor").groups.get().permissions.clear()

    run()

    assert not User.objects.get(username="editor").has_perm("boards.change_entry")


def test_a_random_password_is_made_once_and_kept_for_its_owner(run, password_file):
    """It is printed by every run and readable by the file's owner alone."""
    printed = run()
    password = password_file.read_text().strip()

    assert len(password) >= 16
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert f"login   editor / {password}\n" in printed
    assert User.objects.get(username="editor").check_password(password)


def test_a_chosen_password_is_set_and_not_printed(run, password_file, monkeypatch):
    """More people read logs than the environment."""
    monkeypatch.setenv("EDITOR_PASSWORD", "low tide at noon")

    printed = run()

    assert "low tide" not in printed
    assert "EDITOR_PASSWORD" in printed
    assert not password_file.exists()
    assert User.objects.get(username="editor").check_password("low tide at noon")


def test_another_chosen_password_replaces_the_old_one(run, monkeypatch):
    """Each run sets the password in EDITOR_PASSWORD."""
    run()
    monkeypatch.setenv("EDITOR_PASSWORD", "low tide at noon")

    run()

    assert User.objects.get(username="editor").check_password("low tide at noon")


def test_the_same_chosen_password_ends_no_session(run, client, monkeypatch):
    """Setting a password ends the user's sessions, so an equal one is not set again."""
    monkeypatch.setenv("EDITOR_PASSWORD", "low tide at noon")
    run()
    client.login(username="editor", password="low tide at noon")

    run()

    assert client.get("/admin/").status_code == 200


def test_a_password_changed_by_its_user_stays(run):
    """The command cannot print such a password; it prints how to set a new one."""
    run()
    editor = User.objects.get(username="editor")
    editor.set_password("high tide at dusk")
    editor.save()

    printed = run()

    assert User.objects.get(username="editor").check_password("high tide at dusk")
    assert "manage.py changepassword editor" in printed


def test_a_new_editor_gets_the_kept_password(run, password_file):
    """The file can outlive the database it was made for."""
    run()
    password = password_file.read_text().strip()
    User.objects.all().delete()

    assert password in run()
    assert User.objects.get(username="editor").check_password(password)
