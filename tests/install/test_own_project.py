"""A project of another developer, with a user model of its own: reloads, dumps, and leaving, on each database."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.support.databases import PostgreSQL, postgresql  # noqa: F401
from tests.support.servers import ROOT, free_port, wait_until_answering

pytestmark = pytest.mark.server

PATIENCE_SECONDS = 60.0
MODELS = """
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models

class Member(AbstractBaseUser):
    email = models.EmailField(primary_key=True)
    USERNAME_FIELD = "email"
    objects = BaseUserManager()

class Product(models.Model):
    name = models.CharField(max_length=50)
"""
LIVE = """
from realtime.feeds import Feed, register
from .models import Product

@register(Product)
class ProductFeed(Feed):
    name = "products"
    fields = ["name"]
"""
START = """
import io, json, os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
django.setup()
from django.core.management import call_command
from django.db import connection

def left():
    with connection.cursor() as cursor:
        cursor.execute(LEFT)
        return sorted(map(list, cursor.fetchall()))
"""
LEFT = {
    "sqlite": "SELECT type, name FROM sqlite_master WHERE name LIKE '%realtime%' OR type = 'trigger'",
    "postgresql": "SELECT 'trigger', tgname FROM pg_trigger WHERE NOT tgisinternal "
    "UNION SELECT 'function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
    "UNION SELECT 'relation', relname FROM pg_class WHERE relname LIKE '%realtime%'",
}
"""The engine's objects in a database, by the database's own catalog."""


class OwnProject:
    """A project as ``startproject`` makes it, with the app installed by ``realtime_init``."""

    def __init__(self, folder: Path, packages: Path, kind: str, server: PostgreSQL | None) -> None:
        self.folder, self.kind = folder, kind
        self.environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(packages), "PYTHONUNBUFFERED": "1"}
        (folder / "shop").mkdir()
        call_command("startproject", "mysite", str(folder))
        call_command("startapp", "shop", str(folder / "shop"))
        settings = folder / "mysite" / "settings.py"
        text = settings.read_text().replace("    'django.contrib.admin',\n", "    'realtime',\n    'shop',\n")
        text += "\nAUTH_USER_MODEL = 'shop.Member'\n"
        if server is not None:
            self.environment |= {"PGHOST": str(server.folder), "PGPORT": server.port, "PGUSER": "postgres"}
            text += "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': 'own'}}\n"
        settings.write_text(text)
        urls = folder / "mysite" / "urls.py"
        urls.write_text("from django.urls import path\nfrom django.http import HttpResponse\n"
                        "urlpatterns = [\n    path('', lambda request: HttpResponse('here')),\n]\n")  # fmt: skip
        (folder / "shop" / "models.py").write_text(MODELS)
        (folder / "shop" / "live.py").write_text(LIVE)
        base = folder / "shop" / "templates" / "base.html"
        base.parent.mkdir()
        base.write_text("<html>\n  <head>\n  </head>\n</html>\n")
        self.run(
            "call_command('realtime_init', '--write'); call_command('makemigrations', 'shop'); call_command('migrate')"
        )

    def run(self, program: str) -> str:
        """Run a program in the project, with ``call_command`` and ``left``, and return what it prints."""
        whole = f"{START}\nLEFT = {LEFT[self.kind]!r}\n{program}"
        done = subprocess.run(
            [sys.executable, "-c", whole], cwd=self.folder, env=self.environment, timeout=180, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}\n{done.stdout}{done.stderr}"
        return done.stdout

    def follow(self, document: str, heading: str) -> None:
        """Type the commands below a heading of a document; what is installed is installed already."""
        section = (ROOT / "docs" / document).read_text().partition(f"\n{heading}\n")[2]
        commands = re.search(r"^```sh\n(.*?)^```", section.partition("\n## ")[0], re.DOTALL | re.MULTILINE)
        assert commands, heading
        for command in commands[1].splitlines():
            if command.startswith("pip "):
                assert command == "pip install --upgrade django-tidemark"
                continue
            program, *arguments = shlex.split(command)
            assert program == "python"
            done = subprocess.run(
                [sys.executable, *arguments], cwd=self.folder, env=self.environment, timeout=180, text=True,
                capture_output=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def own(request, tmp_path_factory, installed) -> Iterator[OwnProject]:
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    if server is not None:
        server_environment = {"PGHOST": str(server.folder), "PGPORT": server.port, "PGUSER": "postgres"}
        subprocess.run([server.programs / "createdb", "own"], env=server_environment, check=True)
    yield OwnProject(tmp_path_factory.mktemp("own"), installed, request.param, server)
    if server is not None:
        subprocess.run([server.programs / "dropdb", "--force", "own"], env=server_environment, check=True)


def test_leaving_removes_triggers_and_tables_and_coming_back_installs_them(own):
    """``migrate realtime zero``; the project's own tables stay, and can be written."""
    printed = own.run("""
before = left()
call_command("migrate", "realtime", "zero", verbosity=0)
after = left()
from shop.models import Product
Product.objects.create(name="kept")
call_command("migrate", verbosity=0)
again = left()
dump = io.StringIO()
call_command("dumpdata", stdout=dump)
print(json.dumps([before, after, again, dump.getvalue()]))
""")

    before, after, again, dump = json.loads(printed)
    assert {kind for kind, _ in before} >= {"trigger", "relation" if own.kind == "postgresql" else "table"}
    assert after == []
    assert again == before
    assert "kept" in dump
    assert '"realtime.' not in dump


def test_the_commands_of_the_documents_remove_and_install_it(own):
    """Those for leaving, then those for an upgrade, as they are printed: what a newer version needs is installed."""
    before = own.run("print(left())")

    own.follow("operations.md", "### Leaving")
    left = own.run("print(left())")
    own.follow("upgrading.md", "## Upgrade a project")

    assert left == "[]\n"
    assert own.run("print(left())") == before


@pytest.mark.parametrize("own", ["sqlite"], indirect=True)  # the database makes no difference
def test_a_reload_of_the_server_leaves_no_traceback(own):
    """Changed files are noticed, the server answers again, and Ctrl-C ends it."""
    port, log = free_port(), own.folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", f"127.0.0.1:{port}"],
            cwd=own.folder, env=own.environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until_answering(f"http://127.0.0.1:{port}/", process)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(re.findall("^Starting ASGI", text := log.read_text(), re.MULTILINE)) < 2:
            assert time.monotonic() < deadline, text
            # Again: the first look of the reloader may come after it.
            os.utime(own.folder / "mysite" / "urls.py")
            time.sleep(0.5)
        wait_until_answering(f"http://127.0.0.1:{port}/", process)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)

    assert "changed, reloading" in text
    assert "Traceback" not in log.read_text()
    assert "Exception ignored" not in log.read_text()
