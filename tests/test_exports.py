"""The public interface: what each public module exports, and that the documentation uses nothing else."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

EXPORTS = {
    "realtime.actions": ["ActionRefused", "action", "everyone", "is_staff"],
    "realtime.client": [
        "Broadcast",
        "Change",
        "Follower",
        "Listener",
        "NotSent",
        "Presence",
        "Refused",
        "Replica",
        "follow",
        "listen",
        "tickets",
    ],
    "realtime.changes": ["Change", "on_change"],
    "realtime.feeds": ["Feed", "computed", "register"],
    "realtime.log_filters": [
        "ClientsFaults",
        "DatabaseFaults",
        "FewOfAKind",
        "FirstOfASeries",
        "Lines",
        "printable",
    ],
    "realtime.backends": ["PasswordAttemptsBackend"],
    "realtime.middleware": ["LiveBlocksMiddleware", "PasswordAttemptsMiddleware", "PrivatePagesMiddleware"],
    "realtime.notices": ["broadcast"],
    "realtime.presence": ["names", "viewers"],
    "realtime.runtime.early_script": ["early_script", "early_script_hash"],
    "realtime.schedule": ["every"],
    "realtime.testing": [
        "LiveClient",
        "LiveTestMixin",
        "asequence_now",
        "close_leftovers",
        "sequence_now",
        "serving",
    ],
}
"""Written out here, so that a change of the public interface is a change of this test."""

GUIDES = [ROOT / "README.md", ROOT / "docs" / "feeds.md", ROOT / "docs" / "tutorial.md"]


@pytest.mark.parametrize("name", EXPORTS)
def test_a_public_module_exports_these_names(name):
    """Each of them is defined, and has a docstring."""
    module = importlib.import_module(name)

    assert module.__all__ == EXPORTS[name]
    assert all(getattr(module, exported).__doc__ for exported in module.__all__)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_the_guides_name_only_exported_names(guide):
    """Whatever an app's developer is told to import is part of the public interface."""
    text = guide.read_text()
    imported = [
        (module, name.strip())
        for module, names in re.findall(r"from (realtime[\w.]*) import ([\w, ]+)", text)
        for name in names.split(",")
    ]
    dotted = re.findall(r"`(realtime(?:\.[a-z_]+)+)\.([A-Z]\w+|[a-z_]+\(\))`", text)

    assert imported
    assert [found for found in [*imported, *dotted] if found[1] not in EXPORTS.get(found[0], [])] == []
