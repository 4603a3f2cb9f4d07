"""The AsyncAPI document: valid by AsyncAPI's own parser, and what the project declares now."""

import json
import shutil
import subprocess

import pytest

from realtime.engine.messages import SUBPROTOCOLS
from realtime.management.asyncapi import document
from realtime.management.contracts import feeds
from tests.support.servers import ROOT

PARSER = ROOT / ".venv" / "asyncapi"
KEPT = ROOT / "docs" / "asyncapi.json"
REASON = "node or @asyncapi/parser is not installed: the document is NOT VALIDATED; `make lint` installs it"


def test_the_document_of_the_project_is_current():
    """After a change: ``manage.py realtime_asyncapi --output docs/asyncapi.json``."""
    assert json.loads(KEPT.read_text()) == document()


@pytest.mark.skipif(not (PARSER / ".installed").exists() or not shutil.which("node"), reason=REASON)
def test_the_document_is_valid():
    """By AsyncAPI's parser, which reports errors as 0 and warnings as 1."""
    validate = ROOT / "tests" / "javascript" / "asyncapi" / "validate.mjs"

    done = subprocess.run(
        ["node", str(validate), str(KEPT), str(PARSER)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line[0] in "01"] == []


def test_every_feed_has_its_rows_and_messages():
    made = document()
    names = [feed.name for feed in feeds()]

    assert names
    for name in names:
        assert f"rows.{name}" in made["components"]["schemas"]
        assert {f"snapshot.{name}", f"changes.{name}"} <= made["channels"]["socket"]["messages"].keys()
        sent = made["operations"]["toClient"]["messages"]
        assert {"$ref": f"#/channels/socket/messages/changes.{name}"} in sent


def test_every_reference_leads_somewhere():
    """Also where no validator is installed."""
    made = document()

    def check(node):
        if isinstance(node, dict):
            if "$ref" in node:
                found = made
                for step in node["$ref"].removeprefix("#/").split("/"):
                    found = found[step]
            for each in node.values():
                check(each)
        elif isinstance(node, list):
            for each in node:
                check(each)

    check(made)
    assert all(name in made["info"]["description"] for name in SUBPROTOCOLS)
