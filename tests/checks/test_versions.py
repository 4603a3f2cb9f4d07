"""A package that is too old is reported."""

import pytest

from realtime.checks import versions
from tests.checks.conftest import expect_nothing, expect_only, found


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("W005", {"version daphne": "4.2.2"}, "daphne is older than 4.2.3"),
        ("W005", {"version autobahn": "25.12.2"}, "autobahn is older than 26.7.1"),
    ],
)
def test_a_package_that_is_too_old_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    expect_only(spoil, id, changes, words)


@pytest.mark.parametrize(
    "changes",
    [
        {"version daphne": "4.10.0", "version autobahn": "26.10.2"},
    ],
    ids=str,
)
def test_packages_that_are_new_enough_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    expect_nothing(spoil, changes)


def test_a_package_that_is_not_installed_is_not_reported_as_old(monkeypatch):
    """uvicorn requires neither daphne nor autobahn."""
    monkeypatch.setattr(versions, "LEAST_VERSIONS", {"no-such-package-here": ("1.0", "is old")})

    assert found() == {}
