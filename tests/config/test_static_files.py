"""Collected static files: every name has a hash, and every module imports files that exist."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.templatetags.static import static

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
IMPORT = re.compile(r"""^(?:import|export)\b[^;"']*["'](?P<path>\.[^"']+)["'];""", re.MULTILINE)
HASHED = re.compile(r"\.[0-9a-f]{12}\.js$")


@pytest.fixture
def collected(settings, tmp_path) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "config.static_files.HashedStaticFilesStorage"},
    }
    call_command("collectstatic", "--no-input", "--verbosity", "0")
    return settings.STATIC_ROOT


def test_every_import_of_a_hashed_module_is_of_a_hashed_file(collected):
    """Otherwise a server that keeps only hashed files would answer 404, and pages would not be live."""
    modules = [
        path for path in collected.rglob("*.js") if HASHED.search(path.name) and "admin" not in path.parts
    ]

    imports = {(module, match["path"]) for module in modules for match in IMPORT.finditer(module.read_text())}

    assert len(imports) > 30
    assert [path for _, path in imports if not HASHED.search(path)] == []
    assert [path for module, path in imports if not (module.parent / path).is_file()] == []


def test_commands_run_before_files_are_collected(tmp_path):
    """No address is resolved at import: ``migrate`` and ``collectstatic`` run before the manifest exists."""
    environment = {**os.environ, "VAR_DIR": str(tmp_path), "STATIC_ROOT": str(tmp_path / "static")}

    subprocess.run([sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, check=True, timeout=60)


def test_templates_name_the_hashed_entry(collected):
    """By the manifest that ``collectstatic`` wrote."""
    assert (collected / static("realtime/live.js").removeprefix("/static/")).is_file()
    assert HASHED.search(static("realtime/live.js"))
