"""Parts that a project may lack: each is reported with the line to add, and no command is blocked."""

import sys
import types
from typing import Any

import pytest
from django.core import checks
from django.core.asgi import get_asgi_application
from django.core.checks import CheckMessage
from django.db import connections

from realtime.checks import wiring
from realtime.checks.wiring import PRIVATE_PAGES, SESSIONS
from realtime.transports.application import RealtimeApplication

application = get_asgi_application()  # Django's alone


def found() -> dict[str, CheckMessage]:
    return {str(message.id): message for check in wiring.WIRING for message in check()}


def test_this_project_is_wired():
    assert found() == {}


def test_the_wiring_is_checked_by_every_command():
    assert {*wiring.WIRING} <= checks.registry.registry.registered_checks


@pytest.mark.parametrize(
    ("name", "value", "words", "hint"),
    [
        ("ASGI_APPLICATION", None, "is not set", "ASGI_APPLICATION = 'config.asgi.application'"),
        ("ASGI_APPLICATION", "no.such.module", "cannot be imported", "Correct it"),
        ("ASGI_APPLICATION", f"{__name__}.nothing", "cannot be imported", "Correct it"),
        (
            "ASGI_APPLICATION",
            f"{__name__}.application",
            "leaves out the engine",
            "realtime.asgi.application(",
        ),
    ],
)
def test_an_application_without_the_engine_is_reported(settings, monkeypatch, name, value, words, hint):
    """A page would be shown, and stay as it is."""
    monkeypatch.setattr(RealtimeApplication, "is_made", False)
    setattr(settings, name, value)

    message = found()["realtime.W018"]

    assert words in message.msg
    assert hint in str(message.hint)


def test_a_module_that_fails_is_reported_in_its_own_words(settings, monkeypatch):
    """Whatever it raises: commands go on."""
    settings.ASGI_APPLICATION = "failing_asgi.application"

    class Failing(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("no licence key")

    monkeypatch.setitem(sys.modules, "failing_asgi", Failing("failing_asgi"))

    assert "no licence key" in found()["realtime.W018"].msg


@pytest.mark.parametrize(
    ("arguments", "app", "is_reported"),
    [
        (["manage.py", "runserver"], "django.contrib.staticfiles", True),
        (["manage.py", "runserver", "8001"], "django.core", True),
        (["manage.py", "runserver"], "daphne", False),
        (["manage.py", "migrate"], "django.core", False),
        (["manage.py"], "django.core", False),
    ],
)
def test_a_runserver_without_sockets_is_reported(monkeypatch, arguments, app, is_reported):
    """Other commands, and projects that use another server, are left alone."""
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(wiring, "get_commands", lambda: {"runserver": app})

    assert ("realtime.W019" in found()) is is_reported


@pytest.mark.parametrize(
    ("middleware", "is_reported"),
    [
        ([SESSIONS], True),
        ([SESSIONS, PRIVATE_PAGES], True),
        ([PRIVATE_PAGES, SESSIONS], False),
        ([], False),  # no page is one visitor's
    ],
)
def test_a_middleware_that_is_left_out_is_reported(settings, middleware, is_reported):
    settings.MIDDLEWARE = middleware

    assert ("realtime.W020" in found()) is is_reported


@pytest.mark.parametrize(
    "changes",
    [
        {"STATICFILES_FINDERS": ["django.contrib.staticfiles.finders.FileSystemFinder"]},
        {"STATICFILES_FINDERS": []},
        {
            "STATICFILES_FINDERS": ["django.contrib.staticfiles.finders.DefaultStorageFinder"],
            "MEDIA_ROOT": "",
        },
    ],
    ids=str,
)
def test_a_script_that_pages_would_not_find_is_reported(settings, changes):
    for name, value in changes.items():
        setattr(settings, name, value)

    assert "AppDirectoriesFinder" in str(found()["realtime.W021"].hint)


def test_a_foreign_package_of_the_name_is_reported(tmp_path, monkeypatch):
    """There is one in the registry, and pip lets one overwrite the other."""
    information = tmp_path / "realtime-2.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: realtime\nVersion: 2.1.0\n")
    monkeypatch.syspath_prepend(tmp_path)

    message = found()["realtime.W022"]

    assert "realtime 2.1.0" in message.msg
    assert "pip uninstall realtime" in str(message.hint)


@pytest.mark.parametrize(
    ("name", "is_reported"),
    [(":memory:", True), ("file:memorydb_default?mode=memory&cache=shared", True), ("db.sqlite3", False)],
)
def test_a_database_in_memory_is_reported(monkeypatch, name, is_reported):
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", name)

    assert ("realtime.W023" in found()) is is_reported


LIVE_ROWS = "{% load realtime %}{% live 'products' %}"


@pytest.mark.parametrize(
    ("templates", "is_reported"),
    [
        ({"list.html": LIVE_ROWS, "base.html": "<head></head>"}, True),
        ({"list.html": "{%live_block 'sum' topics='products' %}{%endlive_block%}"}, True),
        ({"list.html": "{% live_viewers 'products' %}"}, True),
        ({"list.html": '<table><tbody data-realtime-topic="products"></tbody></table>'}, True),
        ({"list.html": LIVE_ROWS, "base.html": "<head>{% load realtime %}{% realtime_head %}</head>"}, False),
        ({"list.html": LIVE_ROWS, "base.html": '<script src="/mine/live.min.js"></script>'}, False),
        ({"list.html": "a page {% with live=1 %} that is {% live_rows %} alive {% endwith %}"}, False),
        ({"list.html": LIVE_ROWS, ".venv/lib/site-packages/a/b.html": "{% realtime_head %}"}, True),
        ({"list.html": "\xff\ud800"}, False),
        ({}, False),
    ],
)  # fmt: skip
def test_pages_without_the_page_client_are_reported(settings, monkeypatch, tmp_path, templates, is_reported):
    """They would be shown, and stay as they are, without a word in the console."""
    for name, text in templates.items():
        path = tmp_path / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, errors="surrogatepass")
    (tmp_path / "templates").mkdir(exist_ok=True)
    (tmp_path / "templates" / "broken.html").symlink_to("nothing")
    settings.TEMPLATES = [
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [tmp_path / "templates"]}
    ]
    monkeypatch.chdir(tmp_path)

    assert ("realtime.W026" in found()) is is_reported


def test_templates_that_django_refuses_are_left_to_its_own_check(settings):
    settings.TEMPLATES = [{"BACKEND": "no.such.Engine"}]

    assert "realtime.W026" not in found()


def test_no_check_of_the_wiring_is_an_error(settings):
    """Errors block ``migrate``."""
    settings.ASGI_APPLICATION = None
    settings.MIDDLEWARE = [SESSIONS]
    settings.STATICFILES_FINDERS = []

    assert len(found()) == 3
    assert [message for message in found().values() if message.is_serious()] == []
