import stat

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from realtime.boards import demo
from realtime.boards.models import Board, Entry, Status

User = get_user_model()


@pytest.fixture
def password_file(tmp_path, settings, monkeypatch, db):
    """Where the command keeps the password; nobody has set EDITOR_PASSWORD."""
    monkeypatch.delenv("EDITOR_PASSWORD", raising=False)
    settings.VAR_DIR = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    return tmp_path / "editor-password"


@pytest.fixture
def run(password_file, capsys):
    """Runs the command and returns what it prints."""

    def run(*args):
        call_command("demo", *args)
        return capsys.readouterr().out

    return run


def test_the_demo_creates_boards_for_everyone_and_for_staff(run):
    """Something to look at, at once."""
    run()

    assert dict(Board.objects.values_list("slug", "is_public")) == {
        "departures": True,
        "server": True,
        "roster": False,
    }
    assert Board.objects.get(slug="departures").entries.count() >= 12


def test_the_demo_uses_known_statuses():
    """Each has its word and its colour."""
    used = {status for _, entries in demo.BOARDS for _, _, _, status, _ in entries}

    assert used <= set(Status.values)


def test_the_demo_can_be_repeated(run):
    """A second run changes nothing and prints the same, so that it may run at every start."""
    first = run()
    rows = [list(model.objects.order_by("pk").values()) for model in (Board, Entry, User)]

    assert run() == first
    assert [list(model.objects.order_by("pk").values()) for model in (Board, Entry, User)] == rows


def test_the_demo_leaves_the_boards_of_others_alone(run, board):
    """Where there is any board, the demo's do not come back."""
    run()

    assert list(Board.objects.all()) == [board]


def test_the_editor_edits_boards_and_nothing_else(run):
    """Not users, least of all."""
    run()
    editor = User.objects.get(username="editor")

    assert (editor.is_staff, editor.is_superuser) == (True, False)
    assert [group.name for group in editor.groups.all()] == ["Editors"]
    for verb in ("view", "add", "change", "delete"):
        assert editor.has_perms([f"boards.{verb}_board", f"boards.{verb}_entry"])
    assert editor.has_perm("realtime.view_logentry")
    assert not editor.has_perm("realtime.change_logentry")
    assert not editor.has_perm("auth.view_user")


def test_a_group_whose_rights_were_changed_keeps_them(run):
    """What an operator took away does not come back at the next start."""
    run()
    User.objects.get(username="editor").groups.get().permissions.clear()

    run()

    assert not User.objects.get(username="editor").has_perm("boards.change_entry")


def test_a_random_password_is_made_once_and_kept_for_its_owner(run, password_file):
    """It is printed at every run, and readable by the file's owner alone."""
    printed = run()
    password = password_file.read_text().strip()

    assert len(password) >= 16
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    assert f"login   editor / {password}\n" in printed
    assert User.objects.get(username="editor").check_password(password)


def test_a_chosen_password_is_set_and_not_printed(run, password_file, monkeypatch):
    """Logs are read by more people than the environment."""
    monkeypatch.setenv("EDITOR_PASSWORD", "low tide at noon")

    printed = run()

    assert "low tide" not in printed
    assert "EDITOR_PASSWORD" in printed
    assert not password_file.exists()
    assert User.objects.get(username="editor").check_password("low tide at noon")


def test_another_chosen_password_replaces_the_old_one(run, monkeypatch):
    """Each run sets it."""
    run()
    monkeypatch.setenv("EDITOR_PASSWORD", "low tide at noon")

    run()

    assert User.objects.get(username="editor").check_password("low tide at noon")


def test_the_same_chosen_password_signs_nobody_out(run, client, monkeypatch):
    """Setting a password ends sessions, so an equal one is not set again."""
    monkeypatch.setenv("EDITOR_PASSWORD", "low tide at noon")
    run()
    client.login(username="editor", password="low tide at noon")

    run()

    assert client.get("/admin/").status_code == 200


def test_a_password_changed_by_its_user_stays(run):
    """The command then cannot print it, and says how to set another."""
    run()
    editor = User.objects.get(username="editor")
    editor.set_password("high tide at dusk")
    editor.save()

    printed = run()

    assert User.objects.get(username="editor").check_password("high tide at dusk")
    assert "manage.py changepassword editor" in printed


def test_an_editor_made_anew_gets_the_kept_password(run, password_file):
    """The file outlives the database it was made for."""
    run()
    password = password_file.read_text().strip()
    User.objects.all().delete()

    assert password in run()
    assert User.objects.get(username="editor").check_password(password)


@pytest.mark.parametrize(
    ("args", "origin"),
    [
        ([], "http://127.0.0.1:8000/"),
        (["--host", "tide.example", "--port", "9000"], "http://tide.example:9000/"),
        (["--host", "0.0.0.0"], "http://127.0.0.1:8000/"),
        (["--host", "::"], "http://127.0.0.1:8000/"),
        (["--host", "::1", "--port", "80"], "http://[::1]/"),
    ],
)
def test_the_command_ends_by_saying_where_to_go(args, origin, run):
    """Addresses that can be clicked, also for a server that listens on all interfaces."""
    title, pages, admin, login = run(*args).splitlines()

    assert title == "Tidemark"
    assert pages.split() == ["pages", origin]
    assert admin.split() == ["admin", f"{origin}admin/"]
    assert login.split()[:3] == ["login", "editor", "/"]


def test_a_database_without_tables_is_told_apart(run, monkeypatch):
    """Then the error is an instruction."""
    monkeypatch.setattr("django.db.connection.introspection.table_names", list)

    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        run()


def test_a_password_that_cannot_be_kept_creates_nothing(run, settings, tmp_path):
    """All or nothing: no editor whose password nobody knows."""
    settings.VAR_DIR = tmp_path / "missing"

    with pytest.raises(CommandError, match="set EDITOR_PASSWORD"):
        run()

    assert not User.objects.exists()
    assert not Board.objects.exists()
