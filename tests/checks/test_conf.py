"""A setting that is not valid is reported."""

import pytest

from tests.checks.conftest import expect_nothing, expect_only
from tests.support.servers import Project


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("E001", {"REALTIME": {"TICK": 1}}, "has no TICK"),
        ("E001", {"REALTIME": {"TICK_SECONDS": "0.5"}}, "tick_seconds"),
        ("E001", {"REALTIME": {"READER_THREADS": True}}, "reader_threads"),
        ("E001", {"REALTIME": {"DATABASE": None}}, "database"),
    ],
)
def test_a_setting_that_is_not_valid_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    expect_only(spoil, id, changes, words)


@pytest.mark.parametrize(
    "changes",
    [
        {"REALTIME": {"TICK_SECONDS": 1, "PUBLISHER": True}},
    ],
    ids=str,
)
def test_valid_settings_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    expect_nothing(spoil, changes)


def test_an_unknown_setting_is_an_error_without_a_traceback(tmp_path):
    """In the output of the command; the other checks use the defaults."""
    (tmp_path / "misspelt.py").write_text("from config.settings import *\nREALTIME = {'TICK': 1}\n")
    project = Project(tmp_path, DJANGO_SETTINGS_MODULE="misspelt", PYTHONPATH=str(tmp_path))

    checked = project.manage("check", check=False)

    assert checked.returncode == 1
    assert "(realtime.E001) settings.REALTIME has no TICK" in checked.stderr
    assert "Traceback" not in checked.stderr
