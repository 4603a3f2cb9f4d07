"""``manage.py demo``: what it prints, and why it may fail."""

import io

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from realtime.boards.models import Board

User = get_user_model()


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
def test_the_command_prints_addresses(args, origin, run):
    """They can be opened, also if the server listens on all interfaces."""
    title, pages, admin, login = run(*args).splitlines()

    assert title == "Tidemark"
    assert pages.split() == ["pages", origin]
    assert admin.split() == ["admin", f"{origin}admin/"]
    assert login.split()[:3] == ["login", "editor", "/"]


class Terminal(io.StringIO):
    """A stream that is one of a terminal, with what is typed there."""

    def isatty(self):
        return True


def at_terminal(monkeypatch, typed):
    """Run the command at a terminal; return what it prints there."""
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    shown = Terminal()
    call_command("demo", stdout=shown)
    return shown.getvalue()


def test_a_newcomer_at_a_terminal_chooses_a_board(password_file, monkeypatch):
    """Once: where there are boards nothing is asked, and what to try is printed for that board."""
    first = at_terminal(monkeypatch, "3\n")
    second = at_terminal(monkeypatch, "")

    assert "What shall your first board show?" in first
    board = Board.objects.get(slug="my-prices")
    assert Board.objects.filter(slug="departures").exists()
    assert "What shall" not in second
    for text in (first, second):
        assert f"http://127.0.0.1:8000{board.get_absolute_url()}wall/" in text


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_nothing_is_asked_where_one_end_is_no_terminal(password_file, monkeypatch, stream, capsys):
    """As in CI, in a pipe and in a service: the command would wait for ever."""
    monkeypatch.setattr("builtins.input", lambda _question: pytest.fail("asked"))
    monkeypatch.setattr("sys.stdin", io.StringIO() if stream == "stdin" else Terminal())
    shown = io.StringIO() if stream == "stdout" else Terminal()

    call_command("demo", stdout=shown)

    assert len(shown.getvalue().splitlines()) == 4


def test_a_database_without_tables_is_recognised(run, monkeypatch):
    """The error tells which command creates them."""
    monkeypatch.setattr("django.db.connection.introspection.table_names", list)

    with pytest.raises(CommandError, match=r"manage\.py migrate"):
        run()


def test_a_password_that_cannot_be_written_creates_nothing(run, settings, tmp_path):
    """There is never an editor whose password is unknown."""
    settings.VAR_DIR = tmp_path / "missing"

    with pytest.raises(CommandError, match="set EDITOR_PASSWORD"):
        run()

    assert not User.objects.exists()
    assert not Board.objects.exists()
