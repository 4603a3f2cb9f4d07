"""The checks of a server process: the first app, and the limit of open files."""

import pytest
from django.conf import settings

from tests.checks.conftest import expect_nothing, found


@pytest.mark.parametrize(
    "changes",
    [
        {"INSTALLED_APPS": [name for name in settings.INSTALLED_APPS if name != "daphne"]},
    ],
    ids=str,
)
def test_a_project_without_daphne_is_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    expect_nothing(spoil, changes)


def test_daphne_must_be_the_first_app(settings):
    """It installs Twisted's reactor when it is imported."""
    others = [name for name in settings.INSTALLED_APPS if name != "daphne"]
    settings.INSTALLED_APPS = [others[0], "daphne", *others[1:]]

    assert list(found()) == ["realtime.W007"]


@pytest.mark.parametrize("allowed", [1024, 11_684])
def test_too_few_open_files_are_reported(monkeypatch, allowed):
    """A server then accepts fewer connections than the settings say. 10,000 connections need 11,685 files."""
    monkeypatch.setattr("realtime.servers.open_files.limits", lambda: (512, allowed))

    assert f"may open {allowed} files" in found()["realtime.W014"]
    assert "LimitNOFILE=11685" in found()["realtime.W014"]


@pytest.mark.parametrize("allowed", [11_685, 2**31], ids=["enough", "unlimited"])
def test_enough_open_files_are_not_reported(monkeypatch, allowed):
    """The limit that a server raises, not the one that it starts with."""
    monkeypatch.setattr("realtime.servers.open_files.limits", lambda: (512, allowed))

    assert "realtime.W014" not in found()
