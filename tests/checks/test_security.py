"""Settings by which passwords may be guessed are reported."""

import pytest
from django.conf import settings

from tests.checks.conftest import expect_nothing, expect_only, found


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("W003", {"ALLOWED_HOSTS": ["live.example.com", "*"]}, "Name the hosts"),
        ("W004", {"CSRF_TRUSTED_ORIGINS": ["https://*"]}, "'https://*'"),
        ("W004", {"CSRF_TRUSTED_ORIGINS": ["https://a.example", "https://*.com"]}, "'https://*.com'"),
        ("W010", {"SESSION_ENGINE": "django.contrib.sessions.backends.signed_cookies"}, "signed out"),
    ],
)
def test_a_setting_that_opens_more_than_is_meant_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    expect_only(spoil, id, changes, words)


@pytest.mark.parametrize(
    "changes",
    [
        {"ALLOWED_HOSTS": [".example.com"]},
        {"CSRF_TRUSTED_ORIGINS": ["https://example.com", "https://*.example.com"]},
        {"SESSION_ENGINE": "django.contrib.sessions.backends.cached_db"},
    ],
    ids=str,
)
def test_settings_that_name_what_they_open_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    expect_nothing(spoil, changes)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AUTHENTICATION_BACKENDS", ["django.contrib.auth.backends.ModelBackend"], "guessed without limit"),
        ("AUTHENTICATION_BACKENDS", [*reversed(settings.AUTHENTICATION_BACKENDS)], "guessed without limit"),
        ("AUTHENTICATION_BACKENDS", [], "guessed without limit"),
        ("MIDDLEWARE", [], "how long to wait"),
    ],
    ids=["no backend", "not the first", "none at all", "no middleware"],
)
def test_passwords_that_may_be_guessed_are_reported(spoil, name, value, words):
    """Django itself does not count wrong passwords."""
    spoil(name, value)

    assert words in found()["realtime.W013"]
