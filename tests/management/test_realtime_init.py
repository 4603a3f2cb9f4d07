"""``manage.py realtime_init``: shows what a project needs, or writes it, and says what is left."""

import importlib
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.management.test_edits import ASGI, BASE, SETTINGS, URLS

FILES = {"settings.py": SETTINGS, "asgi.py": ASGI, "urls.py": URLS, "templates/base.html": BASE}


@pytest.fixture
def project(tmp_path, monkeypatch, settings) -> Iterator[Path]:
    """A project as ``startproject`` makes it, in which the app has just been installed."""
    folder = tmp_path / "shop"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").touch()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "shop.settings")
    settings.ROOT_URLCONF = "shop.urls"
    settings.ASGI_APPLICATION = None
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "daphne"]
    settings.MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [folder / "templates"]}]
    monkeypatch.setitem(settings.DATABASES["default"], "OPTIONS", {})
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


def texts(project: Path) -> dict[str, str]:
    return {name: (project / name).read_text() for name in FILES}


def init(*arguments: str) -> str:
    out = StringIO()
    call_command("realtime_init", *arguments, stdout=out)
    return out.getvalue()


def test_it_shows_the_edits_and_changes_nothing(project):
    """A difference for each file, as of version control."""
    shown = init()

    assert texts(project) == FILES
    assert [line for line in shown.splitlines() if line.startswith("+++")] == [
        f"+++ shop/{name}" for name in FILES
    ]
    assert "+application = realtime.asgi.application(get_asgi_application())" in shown
    assert "realtime_init --write" in shown


def test_it_writes_them_on_demand_and_only_once(project, settings):
    init("--write")
    written = texts(project)
    settings.ASGI_APPLICATION = "shop.asgi.application"
    again = init("--write")

    assert all(written[name] != FILES[name] for name in FILES)
    assert texts(project) == written
    assert again.count("written") == 0


def test_what_it_does_not_recognise_it_leaves_alone(project):
    """The other files are written; the status is that of an error."""
    (project / "asgi.py").write_text("application = make()\n")

    with pytest.raises(
        CommandError, match=r"shop/asgi.py: it does not say .* write `application = realtime"
    ) as error:
        init("--write")

    assert "settings.py" not in str(error.value)
    assert texts(project)["asgi.py"] == "application = make()\n"
    assert texts(project)["urls.py"] != URLS


def test_a_project_without_a_template_for_all_pages_is_told_the_tags(project):
    (project / "templates" / "base.html").unlink()

    with pytest.raises(
        CommandError, match=r"base.html: the project has no such template: add \{% load realtime %\}"
    ):
        init()


@pytest.mark.parametrize("name", ["page.html", "shop/list.html", "layouts/main.html"])
def test_a_template_of_any_name_may_have_the_tags(project, name):
    """A project that has them in another template than base.html has nothing left to do."""
    (project / "templates" / "base.html").unlink()
    page = project / "templates" / name
    page.parent.mkdir(exist_ok=True)
    page.write_text("<head>{% load realtime %}{% realtime_head %}</head>")

    assert "base.html" not in init("--write")


def test_it_refuses_where_there_is_no_project(project, settings):
    settings.ROOT_URLCONF = "nothing.urls"

    with pytest.raises(CommandError, match=r"no module nothing\.asgi"):
        init()


@pytest.mark.parametrize(
    "after",
    ['WSGI_APPLICATION = \'a\'; TEXT = """', 'WSGI_APPLICATION = \'a\'; TEXT = (""" \\'],
    ids=["text", "bracket"],
)
def test_an_edit_that_would_have_no_effect_is_left_to_be_made_by_hand(project, after):
    """Its line would stand within a text of several lines; the other edits of the file are made."""
    end = ")" if "(" in after else ""
    given = SETTINGS.replace("WSGI_APPLICATION = 'shop.wsgi.application'", f'{after}\nx\n"""{end}')
    (project / "settings.py").write_text(given)

    with pytest.raises(
        CommandError, match=r"shop/settings.py: .* add what `manage.py check` asks for by hand"
    ):
        init("--write")

    assert "ASGI_APPLICATION" not in texts(project)["settings.py"]
    assert "'realtime.middleware.LiveBlocksMiddleware'" in texts(project)["settings.py"]


def test_nothing_is_written_that_is_not_python(project, monkeypatch):
    """Whatever an edit makes of a file."""
    monkeypatch.setattr("realtime.management.edits.with_engine", lambda source: source.replace("=", "= ("))

    with pytest.raises(CommandError, match=r"shop/asgi.py: .* no longer be Python"):
        init("--write")

    assert texts(project)["asgi.py"] == ASGI


@pytest.mark.parametrize("folder", ["lib/python3.12/site-packages", "lib/python3/dist-packages"])
def test_files_of_installed_packages_are_left_alone(project, settings, folder):
    """A virtual environment may lie inside of the project."""
    templates = project.parent / ".venv" / folder / "other" / "templates"
    templates.mkdir(parents=True)
    (templates / "base.html").write_text(BASE)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [templates]}]

    with pytest.raises(CommandError, match=r"base.html: the project has no such template"):
        init("--write")

    assert (templates / "base.html").read_text() == BASE
    assert texts(project)["urls.py"] != URLS


def test_a_project_that_is_installed_is_left_alone(project, settings, monkeypatch):
    """Its source is elsewhere: the next installation would overwrite the edits."""
    packages = project.parent / ".venv" / "site-packages"
    packages.mkdir(parents=True)
    project.rename(packages / "shop")
    monkeypatch.syspath_prepend(packages)
    importlib.invalidate_caches()

    with pytest.raises(CommandError, match=r"asgi.py: it is part of an installed package"):
        init("--write")

    assert texts(packages / "shop") == FILES
