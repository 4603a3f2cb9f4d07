"""Boards, users who may see or edit them, and the command that creates both."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.management import call_command
from django.db import connection

from realtime.boards import demo
from realtime.boards.models import Board
from realtime.databases.base import is_storable


@pytest.fixture
def board(db):
    return Board.objects.create(slug="quay", title="The quay")


@pytest.fixture
def staff_board(db):
    return Board.objects.create(slug="safe", title="Harbour safe", is_public=False)


@pytest.fixture
def entry(board):
    return board.entries.create(label="Saltmere", value="06:40", status="ok", note="Pier 2")


@pytest.fixture
def anonymous():
    return AnonymousUser()


@pytest.fixture
def visitor(db):
    return get_user_model().objects.create_user("visitor")


@pytest.fixture
def editor(db):
    user = get_user_model().objects.create_user("someone", is_staff=True)
    user.groups.add(demo.editors_group())
    return user


@pytest.fixture
def editor_client(client, editor):
    client.force_login(editor)
    return client


@pytest.fixture
def storable_queries():
    """A context in which a query is rejected as PostgreSQL would, if a text in it cannot be stored."""

    def execute(execute, sql, params, many, context):
        for value in params or ():
            if isinstance(value, str) and not is_storable(value):
                raise ValueError(f"A string literal cannot contain {value!r}.")
        return execute(sql, params, many, context)

    return lambda: connection.execute_wrapper(execute)


@pytest.fixture
def password_file(tmp_path, settings, monkeypatch, db):
    """The file in which the command keeps the password; EDITOR_PASSWORD is unset."""
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
