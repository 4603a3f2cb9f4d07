"""Settings of the live database that do not fit the engine are reported, and others are not."""

import pytest

from tests.checks.conftest import expect_nothing, expect_only

PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
IMMEDIATE = {"transaction_mode": "IMMEDIATE"}


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("W008", {"database ATOMIC_REQUESTS": True}, "ATOMIC_REQUESTS is on"),
        ("W009", {"database OPTIONS": {}}, "'IMMEDIATE'"),
        ("W009", {"database OPTIONS": {"transaction_mode": "deferred"}}, "'IMMEDIATE'"),
        ("E004", {"vendor": "postgresql", "driver": 2, "layer": {"BACKEND": PUBSUB}}, "psycopg2"),
        (
            "E005",
            {"database OPTIONS": IMMEDIATE | {"pool": True}},
            "has 4 of them, but each server process needs",
        ),
        ("E005", {"database OPTIONS": IMMEDIATE | {"pool": {"min_size": 2}}}, "has 2 of them"),
        ("E005", {"database OPTIONS": IMMEDIATE | {"pool": {"min_size": 4, "max_size": 9}}}, "has 9 of them"),
        (
            "E005",
            {
                "database OPTIONS": IMMEDIATE | {"pool": {"max_size": 30}},
                "REALTIME": {"READER_THREADS": 50},
            },
            "has 30 of them, but each server process needs at least",
        ),
    ],
)
def test_a_setting_of_the_database_that_does_not_fit_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    expect_only(spoil, id, changes, words)


@pytest.mark.parametrize(
    "changes",
    [
        {"database OPTIONS": {"transaction_mode": "EXCLUSIVE"}},
        {"database OPTIONS": {"transaction_mode": "IMMEDIATE", "pool": {"max_size": 30}}},
        {"database OPTIONS": {"transaction_mode": "IMMEDIATE", "pool": False}},
    ],
    ids=str,
)
def test_settings_of_the_database_that_fit_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    expect_nothing(spoil, changes)
