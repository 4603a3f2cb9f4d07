"""The project's settings in the environments that docs/deploy.md describes, each in a process of its own."""

import json
import os
import re
import runpy
import secrets
import shutil
import subprocess
import sys
from typing import get_type_hints

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import settings
from realtime.conf import Conf
from tests.support.servers import ROOT, Project

pytestmark = pytest.mark.server


@pytest.fixture
def documented(tmp_path) -> dict[str, str]:
    """The environment in docs/deploy, with the services of the second shape, a secret and a folder that exist."""
    text = (ROOT / "docs" / "deploy" / "tidemark.env").read_text()
    variables = dict(re.findall(r"^([A-Z_]+)=(\S*)", text, re.MULTILINE))
    assert {"HTTPS", "SECRET_KEY", "ALLOWED_HOSTS", "STATIC_ROOT", "VAR_DIR"} <= set(variables)
    return {
        **variables,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "VAR_DIR": str(tmp_path),
        "STATIC_ROOT": "",
        "DATABASE_URL": "postgresql://tidemark:word@127.0.0.1/tidemark",
        "REDIS_URL": "redis://tidemark:word@127.0.0.1:6379/0",
    }


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


IN_THE_ENVIRONMENT = {name.upper(): kind for name, kind in get_type_hints(Conf).items() if name != "database"}
"""The settings of the app that the environment may hold, and the type of each."""


def test_every_setting_of_the_app_is_read_from_the_environment(tmp_path):
    """Limits and the publisher are set where operators set everything else, under the documented names."""
    words = {bool: "off", int: "7", float: "7.5", str: "a-token"}
    given = Project(tmp_path, **{name: words[kind] for name, kind in IN_THE_ENVIRONMENT.items()})

    printed = subprocess.run(
        [sys.executable, "-c", "import json; from config.settings import REALTIME; print(json.dumps(REALTIME))"],
        cwd=ROOT, env=given.environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    values = {bool: False, int: 7, float: 7.5, str: "a-token"}
    assert json.loads(printed.stdout) == {name: values[kind] for name, kind in IN_THE_ENVIRONMENT.items()}


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("PUBLISHER", "maybe", "write on or off"),
        ("ALLOW_WITHOUT_ORIGIN", "2", "write on or off"),
        ("PROXIES", "one", "write a whole number, 0 or more"),
        ("PROXIES", "-1", "write a whole number, 0 or more"),
        ("MAX_CONNECTIONS", "1e4", "write a whole number, 0 or more"),
        ("MAX_CONNECTIONS", "10.5", "write a whole number, 0 or more"),
        ("DRAIN_SECONDS", "5s", "write a number, 0 or more"),
        ("DRAIN_SECONDS", "nan", "write a number, 0 or more"),
        ("DRAIN_SECONDS", "inf", "write a number, 0 or more"),
        ("DRAIN_SECONDS", "-0.5", "write a number, 0 or more"),
    ],
)
def test_a_setting_that_cannot_be_used_is_reported(monkeypatch, name, text, advice):
    """A limit that is silently another one is found only when it is needed."""
    monkeypatch.setenv(name, text)

    with pytest.raises(ImproperlyConfigured, match=f"^{name} is {text!r}; {advice}$"):
        settings.given(name, IN_THE_ENVIRONMENT[name])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("PAGE_THREADS", "0", "`int` >= 1 - at `$.page_threads`"),
        ("TICK_SECONDS", "0", "`float` > 0.0 - at `$.tick_seconds`"),
        ("PROCESSING_SHARE", "0.0", "`float` > 0.0 - at `$.processing_share`"),
        ("HTTPS", "enabled", "HTTPS is 'enabled'; write on or off"),
        ("DEBUG", "2", "DEBUG is '2'; write on or off"),
        ("PGBOUNCER", "transaction", "write on or off"),
        ("TIME_ZONE", "Mars/Base", "TIME_ZONE is 'Mars/Base'; write a name such as"),
        ("TIME_ZONE", "../UTC", "write a name such as"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'LOUD'; write one of DEBUG, INFO"),
        ("DATABASE_URL", "postgresql://u:pa#ss@host/name", "special characters of the password as %40"),
        ("DATABASE_URL", "postgresql://u:p@ss@host/name", "special characters of the password as %40"),
        ("REDIS_URL", "redis://host:port/0", "REDIS_URL holds 'redis://host:port/0'; write redis://host:6379/0"),
        ("REDIS_URL", "redis://host:70000/0", "write redis://host:6379/0"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused_when_settings_are_read(
    monkeypatch, tmp_path, name, text, words
):
    """So by a server and every command: otherwise it would run in another way than its operator believes."""
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    monkeypatch.setenv(name, text)

    with pytest.raises(ImproperlyConfigured) as refused:
        runpy.run_path(str(ROOT / "config" / "settings.py"))

    assert words in str(refused.value)


def test_a_limit_that_cannot_be_used_stops_every_command_without_a_traceback(tmp_path):
    checked = Project(tmp_path, MAX_CONNECTIONS="many").manage("check", check=False)

    assert checked.returncode == 1
    assert "The settings: MAX_CONNECTIONS is 'many'; write a whole number, 0 or more" in checked.stderr
    assert "Traceback" not in checked.stderr


def test_an_installed_release_makes_no_database_of_its_own(tmp_path):
    """A command run by hand, without the service's environment, says so before it touches anything."""
    release = tmp_path / "releases" / "0.1.0"
    shutil.copytree(ROOT / "config", release / "config")
    shutil.copy(ROOT / "manage.py", release)
    environment = {name: value for name, value in os.environ.items() if name != "VAR_DIR"}

    done = subprocess.run(
        [sys.executable, "manage.py", "migrate"],
        cwd=release, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode == 1
    assert "Run commands as the service does, by `tidemark COMMAND`" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (release / "var").exists()


@pytest.mark.parametrize(
    ("variable", "options", "cursors_stay"), [("on", None, False), ("off", "-c statement_timeout", True)]
)
def test_a_pooler_in_transaction_mode_is_sent_what_it_accepts(tmp_path, variable, options, cursors_stay):
    """PgBouncer refuses the startup parameter ``options``, and a cursor does not outlive its transaction."""
    address = "postgresql://tidemark:word@127.0.0.1:6432/tidemark"
    environment = Project(tmp_path, DATABASE_URL=address, PGBOUNCER=variable).environment

    printed = subprocess.run(
        [sys.executable, "-c", "import json; from config.settings import *; print(json.dumps(DATABASES['default']))"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    database = json.loads(printed.stdout)
    assert str(database["OPTIONS"].get("options")).startswith(str(options))
    assert database.get("DISABLE_SERVER_SIDE_CURSORS", False) is not cursors_stay
    assert database["OPTIONS"]["application_name"].startswith("tidemark")


@pytest.mark.parametrize("code", ["fr", "deutsch", "en"])
def test_a_language_that_the_project_does_not_have_is_reported(tmp_path, code):
    checked = Project(tmp_path, LANGUAGE_CODE=code).manage("check", check=False)

    assert "write one of en-gb, de" in checked.stderr
    assert "Traceback" not in checked.stderr
