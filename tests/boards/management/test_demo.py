"""``manage.py demo``: what it prints, and why it may fail."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError

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
