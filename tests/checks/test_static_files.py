"""Static files that were not collected for this release are reported."""

import pytest
from django.core.management import call_command

from tests.checks.conftest import expect_nothing, expect_only, found


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("W017", {"STATIC_URL": "static/"}, "STATIC_URL is 'static/'"),
        ("W017", {"MEDIA_URL": "media/"}, "MEDIA_URL is 'media/'"),
    ],
)
def test_a_relative_address_of_files_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    expect_only(spoil, id, changes, words)


@pytest.mark.parametrize(
    "changes",
    [
        {"STATIC_URL": "https://static.example.com/", "MEDIA_URL": "/media/"},
        {"STATIC_URL": None},
    ],
    ids=str,
)
def test_absolute_addresses_of_files_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    expect_nothing(spoil, changes)


@pytest.mark.parametrize(
    "storage",
    ["config.static_files.HashedStaticFilesStorage", "django.contrib.staticfiles.storage.StaticFilesStorage"],
)
def test_static_files_that_were_not_collected_are_reported(settings, tmp_path, storage):
    """Every page is answered 500 then, or lacks its script."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": storage}}

    assert "manage.py collectstatic --no-input" in found()["realtime.E007"]
    assert "realtime.E007" not in found(deploy=False)


HASHED = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"


@pytest.mark.parametrize(
    ("storage", "removed"),
    [
        (HASHED, []),
        (HASHED, ["realtime/live.min.js"]),
        ("django.contrib.staticfiles.storage.StaticFilesStorage", []),
    ],
    ids=["hashed", "hashed alone", "plain"],
)
def test_static_files_of_another_release_are_reported(settings, tmp_path, storage, removed):
    """Pages work with them, with yesterday's script."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": storage}}
    call_command("collectstatic", "--no-input", verbosity=0)
    for name in removed:
        (tmp_path / name).unlink()
    assert "realtime.E007" not in found()

    for path in tmp_path.glob("realtime/live.min*.js"):
        path.write_text("another release")

    assert "realtime/live.min.js in" in found()["realtime.E007"]


@pytest.mark.parametrize("url", [None, "/static/"])
def test_static_files_that_are_served_from_the_apps_are_not_reported(settings, url):
    settings.STATIC_URL = url

    assert "realtime.E007" not in found()
