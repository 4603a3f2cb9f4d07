"""The fixtures of pytest, as the package installs them."""

import subprocess
import sys
import tomllib

from django.test import Client

from realtime.boards.models import Board
from realtime.testing.plugin import client_of_page, live_client, sequence_now  # noqa: F401
from realtime.testing.sequencing import _lookers
from tests.support.servers import ROOT


def test_clients_are_closed_after_the_test(db, live_client, client_of_page, sequence_now):  # noqa: F811
    """The next test proves it."""
    Board.objects.create(slug="quay", title="The quay")
    client = live_client("boards")
    page = client_of_page(Client(headers={"host": "localhost"}).get("/"), "boards")
    Board.objects.update(title="Another")

    sequence_now()

    assert next(iter(client.rows.values()))["title"] == "Another"
    assert "Another" in str(page.rows)


def test_no_client_is_open():
    assert list(_lookers) == []


def test_the_plugin_is_imported_before_there_are_settings():
    """pytest loads it in every run of a project that has the package installed, whatever is tested there."""
    program = "import sys, realtime.testing.plugin; print([n for n in sys.modules if n.startswith('django')])"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout == "[]\n"


def test_the_package_installs_the_plugin():
    """pytest finds it by this entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"realtime": "realtime.testing.plugin"}
