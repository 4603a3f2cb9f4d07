"""System checks: each reports its problem with a solution, and none reports anything for the project as it is."""

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from django.conf import settings
from django.core import checks
from django.db import connections

from realtime import checks as ours
from tests.support.servers import ROOT, Project

IN_MEMORY = "channels.layers.InMemoryChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"


def found(*, deploy: bool = True) -> dict[str, str]:
    """Return the current results of our checks: for each id the message and the hint."""
    said = checks.run_checks(tags=["realtime"], include_deployment_checks=deploy)
    return {message.id: f"{message.msg}\n{message.hint}" for message in said}


@pytest.fixture
def spoil(settings, monkeypatch) -> Callable[..., None]:
    """Change a setting, an option of the database, an environment variable, the layer or an installed version."""

    def change(name: str, value: Any) -> None:
        match name.split():
            case ["database", key]:
                monkeypatch.setitem(connections["default"].settings_dict, key, value)
            case ["vendor"]:
                monkeypatch.setattr(type(connections["default"]), "vendor", value)
            case ["environment", key]:
                monkeypatch.setenv(key, value)
            case ["version", package]:
                monkeypatch.setattr(
                    "realtime.checks.version", lambda name: value if name == package else version(name)
                )
            case ["layer"]:
                settings.CHANNEL_LAYERS = {"default": value}
            case _:
                setattr(settings, name, value)

    return change


@pytest.mark.parametrize("deploy", [True, False])
def test_nothing_is_reported_for_the_project_as_it_is(deploy):
    """Otherwise its reports would be ignored."""
    assert found(deploy=deploy) == {}


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("E001", {"REALTIME": {"TICK": 1}}, "has no TICK"),
        ("E001", {"REALTIME": {"TICK_SECONDS": "0.5"}}, "tick_seconds"),
        ("E001", {"REALTIME": {"READER_THREADS": True}}, "reader_threads"),
        ("E001", {"REALTIME": {"DATABASE": None}}, "database"),
        ("E002", {"STATIC_URL": "static/"}, "STATIC_URL is 'static/'"),
        ("E002", {"MEDIA_URL": "media/"}, "MEDIA_URL is 'media/'"),
        ("W002", {"vendor": "postgresql"}, "the database is PostgreSQL"),
        ("W002", {"REALTIME": {"PUBLISHER": False}}, "REALTIME['PUBLISHER'] is off"),
        ("W002", {"environment WEB_CONCURRENCY": "4"}, "WEB_CONCURRENCY is 4"),
        ("W003", {"ALLOWED_HOSTS": ["live.example.com", "*"]}, "Name the hosts"),
        ("W004", {"CSRF_TRUSTED_ORIGINS": ["https://*"]}, "'https://*'"),
        ("W004", {"CSRF_TRUSTED_ORIGINS": ["https://a.example", "https://*.com"]}, "'https://*.com'"),
        ("W005", {"version daphne": "4.2.2"}, "daphne is older than 4.2.3"),
        ("W005", {"version autobahn": "25.12.2"}, "autobahn is older than 26.7.1"),
        ("W006", {"version redis": "8.1.0", "layer": {"BACKEND": CORE}}, "'socket_timeout': 20"),
        (
            "W006",
            {
                "version redis": "8.1.0",
                "layer": {
                    "BACKEND": CORE,
                    "CONFIG": {"hosts": [{"address": "redis://a", "socket_timeout": 20}, "redis://b"]},
                },
            },
            "RedisPubSubChannelLayer",
        ),
        ("W008", {"database ATOMIC_REQUESTS": True}, "ATOMIC_REQUESTS is on"),
        ("W009", {"database OPTIONS": {}}, "'IMMEDIATE'"),
        ("W009", {"database OPTIONS": {"transaction_mode": "deferred"}}, "'IMMEDIATE'"),
        ("W010", {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}, "signed out"),
    ],
)
def test_a_problem_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    for name, value in changes.items():
        spoil(name, value)

    said = found()

    assert list(said) == [f"realtime.{id}"]
    assert words in said[f"realtime.{id}"]


@pytest.mark.parametrize(
    "changes",
    [
        {"REALTIME": {"TICK_SECONDS": 1, "PUBLISHER": True}},
        {"STATIC_URL": "https://static.example.com/", "MEDIA_URL": "/media/"},
        {"STATIC_URL": None},
        {"vendor": "postgresql", "layer": {"BACKEND": PUBSUB, "CONFIG": {"hosts": ["redis://a"]}}},
        {"environment WEB_CONCURRENCY": "1"},
        {"environment WEB_CONCURRENCY": "many"},
        {"ALLOWED_HOSTS": [".example.com"]},
        {"CSRF_TRUSTED_ORIGINS": ["https://example.com", "https://*.example.com"]},
        {"version daphne": "4.10.0", "version autobahn": "26.10.2"},
        {"version redis": "8.1.0", "layer": {"BACKEND": PUBSUB}},
        {"version redis": "7.4.1", "layer": {"BACKEND": CORE}},
        {
            "version redis": "8.1.0",
            "layer": {
                "BACKEND": CORE,
                "CONFIG": {"hosts": [{"address": "redis://a", "socket_timeout": None}]},
            },
        },
        {"database OPTIONS": {"transaction_mode": "EXCLUSIVE"}},
        {"SESSION_ENGINE": "django.contrib.sessions.backends.cached_db"},
        {"INSTALLED_APPS": [name for name in settings.INSTALLED_APPS if name != "daphne"]},
    ],
    ids=str,
)
def test_valid_configurations_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    for name, value in changes.items():
        spoil(name, value)

    assert found() == {}


def test_a_package_that_is_not_installed_is_not_reported_as_old(monkeypatch):
    """uvicorn requires neither daphne nor autobahn."""
    monkeypatch.setattr(ours, "LEAST_VERSIONS", {"no-such-package-here": ("1.0", "is old")})

    assert found() == {}


def test_daphne_must_be_the_first_app(settings):
    """It installs Twisted's reactor when it is imported."""
    others = [name for name in settings.INSTALLED_APPS if name != "daphne"]
    settings.INSTALLED_APPS = [others[0], "daphne", *others[1:]]

    assert list(found()) == ["realtime.W007"]


@pytest.mark.parametrize(
    "changes",
    [{"ALLOWED_HOSTS": ["*"]}, {"vendor": "postgresql"}],
    ids=str,
)
def test_checks_for_deployments_run_only_with_deploy(spoil, changes):
    """Both are usual during development."""
    for name, value in changes.items():
        spoil(name, value)

    assert found(deploy=False) == {}


def test_an_unknown_setting_is_an_error_without_a_traceback(tmp_path):
    """In the output of the command; the other checks use the defaults."""
    (tmp_path / "misspelt.py").write_text("from config.settings import *\nREALTIME = {'TICK': 1}\n")
    project = Project(tmp_path, DJANGO_SETTINGS_MODULE="misspelt", PYTHONPATH=str(tmp_path))

    checked = project.manage("check", check=False)

    assert checked.returncode == 1
    assert "(realtime.E001) settings.REALTIME has no TICK" in checked.stderr
    assert "Traceback" not in checked.stderr


def test_every_check_is_in_the_table():
    """In docs/operations.md, with its id."""
    table = re.findall(
        r"^\| `(realtime\.[EW]\d+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    source = re.findall(r"realtime\.[EW]\d+", (ROOT / "realtime" / "checks.py").read_text())

    assert sorted(table) == sorted(source)


def test_a_check_warns_of_missing_triggers(uninstalled):
    """A warning, with a hint: an error would block the ``migrate`` that repairs it."""
    warnings = ours.check_capture(databases=["default"])

    assert {warning.id for warning in warnings} == {"realtime.W001"}
    assert {warning.is_serious() for warning in warnings} == {False}
    assert sorted("boards_entry" in warning.msg for warning in warnings) == [False, True]
    assert "migrate" in warnings[0].hint


@pytest.mark.parametrize("databases", [None, [], ["other"]])
def test_the_check_of_capture_reads_only_the_databases_it_is_given(uninstalled, databases):
    """A plain ``check`` reads no database."""
    assert ours.check_capture(databases=databases) == []


def test_the_check_of_capture_is_silent_when_all_is_well(log):
    """Then ``check --database default`` reports nothing."""
    assert ours.check_capture(databases=["default"]) == []


def test_the_check_of_capture_leaves_wrong_settings_to_their_own_check(log, settings):
    """Without usable settings it is unknown which database is captured."""
    settings.REALTIME = {"NO_SUCH_SETTING": 1}

    assert ours.check_capture(databases=["default"]) == []
