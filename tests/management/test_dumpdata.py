"""``manage.py dumpdata``: the project's rows, without the engine's."""

import json
from pathlib import Path

from django.core.management import call_command

from realtime.models import LogEntry


def apps_in(path: Path, *arguments: str) -> set[str]:
    """Return the labels of the apps whose rows a dump has."""
    call_command("dumpdata", *arguments, output=str(path), verbosity=0)
    return {row["model"].partition(".")[0] for row in json.loads(path.read_text())}


def test_a_dump_leaves_out_the_engines_tables(log, quay, tmp_path):
    """The log has rows of every topic, whatever the rights to them, and is of no use elsewhere."""
    quay.save()
    log.sequenced()
    assert LogEntry.objects.exists()

    found = apps_in(tmp_path / "dump.json", "--exclude", "contenttypes")

    assert "boards" in found
    assert not found & {"realtime", "contenttypes"}
    assert "realtime" not in apps_in(tmp_path / "all.json", "--all")


def test_a_dump_of_named_apps_has_them(log, quay, tmp_path):
    """Django refuses to exclude apps that are named."""
    assert apps_in(tmp_path / "dump.json", "realtime") == {"realtime"}
    assert apps_in(tmp_path / "dump.json", "boards.Board") == {"boards"}
