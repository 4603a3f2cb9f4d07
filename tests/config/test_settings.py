"""The project's settings in the environments that docs/deploy.md describes, each in a process of its own."""

import re
import secrets

import pytest

from config import settings
from tests.support.servers import ROOT, Project

pytestmark = pytest.mark.server

DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


@pytest.fixture
def documented(tmp_path) -> dict[str, str]:
    """The environment in docs/deploy.md, with a secret and a folder that exist."""
    block = DEPLOY.partition("# /etc/tidemark.env")[2].partition("```")[0]
    variables = dict(re.findall(r"^([A-Z_]+)=(\S+)", block, re.MULTILINE))
    assert {"HTTPS", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "VAR_DIR"} <= set(variables)
    return {**variables, "SECRET_KEY": secrets.token_urlsafe(50), "VAR_DIR": str(tmp_path)}


@pytest.mark.parametrize("shape", [["DATABASE_URL", "REDIS_URL"], []], ids=["embedded", "many processes"])
def test_the_documented_environment_passes_all_checks_of_a_deployment(documented, shape, tmp_path):
    """Django's checks and ours pass on SQLite in one process, and on PostgreSQL and Redis in many."""
    for unset in shape:
        documented[unset] = ""
    project = Project(tmp_path, DJANGO_SETTINGS_MODULE="config.settings", **documented)

    checked = project.manage("check", "--deploy", "--fail-level", "WARNING", check=False)

    assert checked.returncode == 0, checked.stderr


def test_an_invalid_hsts_seconds_is_reported(documented, tmp_path):
    """The command stops with one line before anything runs."""
    documented["HSTS_SECONDS"] = "a year"

    checked = Project(tmp_path, **documented).manage("check", check=False)

    assert "HSTS_SECONDS is a whole number" in checked.stderr
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize(
    "name", ["tide", "/tide/", "/", "//evil.example", "/ti de", "https://example.com/tide"]
)
def test_an_invalid_script_name_is_reported(documented, tmp_path, name):
    """It would be part of every address."""
    checked = Project(tmp_path, **{**documented, "SCRIPT_NAME": name}).manage("check", check=False)

    assert "write the path with a slash in front and none at its end" in checked.stderr
    assert "Traceback" not in checked.stderr


@pytest.mark.parametrize(
    ("arguments", "role"),
    [
        (["/opt/tidemark/.venv/bin/daphne", "-p", "8001", "config.asgi:application"], "server"),
        (["/opt/tidemark/.venv/bin/uvicorn", "config.asgi:application"], "server"),
        (["manage.py", "runserver"], "server"),
        (["manage.py", "publish"], "publisher"),
        (["/opt/tidemark/manage.py", "migrate", "--verbosity", "0"], "migrate"),
        (["manage.py"], "server"),
        ([], "server"),
    ],
)
def test_connections_of_postgresql_are_named_by_what_the_process_is_for(monkeypatch, arguments, role):
    """An operator who looks at pg_stat_activity sees which of our processes waits, or holds a lock."""
    monkeypatch.setattr("sys.argv", arguments)

    assert settings.role() == role
    named = settings.DATABASE_OPTIONS["django.db.backends.postgresql"]["application_name"]
    assert named == "tidemark server", "the tests themselves are no command"
