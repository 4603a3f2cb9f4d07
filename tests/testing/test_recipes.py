"""The recipes of docs/testing.md, in a project that ``startproject`` makes, run by its own test runners."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL, postgresql  # noqa: F401
from tests.support.servers import ROOT

pytestmark = pytest.mark.server

RECIPES = ROOT / "docs" / "testing.md"
SETTINGS = """
import os
INSTALLED_APPS += ["channels", "realtime", "shop"]
ASGI_APPLICATION = "project.asgi.application"
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
ALLOWED_HOSTS = ["localhost", "testserver"]
STATIC_URL = "/static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DATABASE = os.environ["DATABASE"]
if DATABASE in ("file", "memory"):
    DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}
if DATABASE == "file":
    DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}
elif DATABASE != "memory":
    import dj_database_url
    DATABASES = {"default": dj_database_url.parse(DATABASE)}
"""
URLS = """
from django.shortcuts import render
from django.urls import path
urlpatterns = [path("<int:key>/", lambda request, key: render(request, "shop/page.html", {"key": key}))]
"""
ASGI = """
import os
from django.core.asgi import get_asgi_application
from realtime.asgi import application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = application(get_asgi_application())
"""
PAGE = '{% load realtime %}<!doctype html><title>Shop</title>{% live "products" key %}'
ROW = '<p data-key="{{ product.pk }}"><b>{{ product.name }}</b></p>'


def run(project: Path, *arguments: str, database: str) -> str:
    """Run a program of Python in the project; return what it printed. It must succeed, and leave nothing open."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project, check=False, text=True, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={
            **os.environ, "PYTHONPATH": f"{ROOT}:{project}", "DATABASE": database,
            "DJANGO_SETTINGS_MODULE": "project.settings", "PYTHONWARNINGS": "error::RuntimeWarning",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "being accessed by other users" not in done.stdout
    assert "is locked" not in done.stdout
    return done.stdout


def run_pytest(project: Path, *arguments: str, database: str) -> str:
    plugins = ["-p", "pytest_django.plugin", "-p", "xdist.plugin", "-p", "realtime.testing.plugin"]
    return run(project, "-m", "pytest", "-q", "-c", "pytest.ini", *plugins, *arguments, database=database)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with the app and the tests of the page."""
    folder = tmp_path_factory.mktemp("recipes")
    subprocess.run(
        [sys.executable, "-m", "django", "startproject", "project", str(folder)], check=True, timeout=120
    )
    templates = folder / "shop" / "templates" / "shop"
    templates.mkdir(parents=True)
    (folder / "shop" / "__init__.py").touch()
    for file, text in re.findall(
        r"^```python\n# (shop/\w+\.py)[^\n]*\n(.*?)^```", RECIPES.read_text(), re.DOTALL | re.MULTILINE
    ):
        with (folder / file).open("a") as opened:  # a later block may go on at the end of an earlier one
            opened.write(text)
    (templates / "page.html").write_text(PAGE)
    (templates / "_product.html").write_text(ROW)
    with (folder / "project" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    (folder / "project" / "urls.py").write_text(URLS)
    (folder / "project" / "asgi.py").write_text(ASGI)
    (folder / "pytest.ini").write_text("[pytest]\npython_files = test_live.py test_buying.py\n")
    run(folder, "manage.py", "makemigrations", "shop", database="memory")
    return folder


@pytest.fixture(scope="module", params=["memory", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database for the project's tests, which is dropped afterwards."""
    if request.param == "memory":
        yield "memory"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    yield server.url("shop")
    with server.connect() as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'test_shop%'"
        ).fetchall()
    assert left == []


def test_the_recipes_for_unittest_pass(project: Path, database: str) -> None:
    """Alone, and in parallel processes, each with a database of its own."""
    assert "Ran 4 tests" in run(project, "manage.py", "test", "shop.tests", database=database)
    parallel = run(project, "manage.py", "test", "shop.tests", "--parallel", "2", database=database)
    assert "Ran 4 tests" in parallel


def test_the_recipes_for_pytest_pass(project: Path, database: str) -> None:
    """With workers of pytest-xdist, which drop their databases at the end."""
    assert "6 passed" in run_pytest(project, "-n", "2", database=database)


def test_the_recipes_pass_on_a_database_that_is_reused(project: Path, postgresql: PostgreSQL) -> None:  # noqa: F811
    """Also when the triggers of a feed are not there yet; the last run drops the database."""
    url = postgresql.url("shop")
    assert "6 passed" in run_pytest(project, "--reuse-db", database=url)
    with postgresql.connect("test_shop") as connection:
        triggers = "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal"
        for name, table in connection.execute(triggers).fetchall():
            connection.execute(f'DROP TRIGGER "{name}" ON {table}')

    assert "6 passed" in run_pytest(project, "--reuse-db", database=url)

    postgresql.drop("test_shop")


@pytest.mark.parametrize("kind", ["file", "postgresql"])
def test_the_recipes_with_a_server_pass(project: Path, request: pytest.FixtureRequest, kind: str) -> None:
    """The server is a process of its own, or the application runs in the test: threads and connections end with it."""
    database = kind if kind == "file" else request.getfixturevalue("postgresql").url("shop")

    printed = run(
        project, "manage.py", "test", "shop.test_server", "shop.test_application", database=database
    )

    assert "Ran 2 tests" in printed


def test_a_database_in_memory_is_refused_for_an_application(project: Path) -> None:
    """With the line to add, instead of tests that fail now and then because a table is locked."""
    with pytest.raises(AssertionError, match="the test database is in memory"):
        run(project, "manage.py", "test", "shop.test_application", database="memory")
