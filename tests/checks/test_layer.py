"""A channel layer that does not reach all processes, or whose time-outs do not fit, is reported."""

import pytest

from tests.checks.conftest import expect_nothing, expect_only

IN_MEMORY = "channels.layers.InMemoryChannelLayer"
CORE = "channels_redis.core.RedisChannelLayer"
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"


@pytest.mark.parametrize(
    "id, changes, words",
    [
        ("W002", {"vendor": "postgresql"}, "the database is PostgreSQL"),
        ("W002", {"REALTIME": {"PUBLISHER": False}}, "REALTIME['PUBLISHER'] is off"),
        ("W002", {"environment WEB_CONCURRENCY": "4"}, "WEB_CONCURRENCY is 4"),
        ("W006", {"version redis": "8.1.0", "layer": {"BACKEND": CORE}}, "'socket_timeout': 20"),
        (
            "W006",
            {
                "version redis": "8.1.0",
                "layer": {
                    "BACKEND": CORE,
                    "CONFIG": {"hosts": [{"address": "redis://a", "socket_timeout": 20}, "redis://b"]},
                },
            },
            "RedisPubSubChannelLayer",
        ),
        ("W030", {"layer": {"BACKEND": "channels_rediss.core.RedisChannelLayer"}}, "No module named"),
        ("W030", {"layer": {"BACKEND": "channels_redis.core.RedisLayer"}}, "does not define"),
        ("W030", {"layer": {"BACKEND": "redis"}}, "django-tidemark[redis]"),
    ],
)
def test_a_layer_that_does_not_fit_is_reported_with_a_solution(spoil, id, changes, words):
    """By one message, and no other."""
    expect_only(spoil, id, changes, words)


@pytest.mark.parametrize(
    "changes",
    [
        {"vendor": "postgresql", "layer": {"BACKEND": PUBSUB, "CONFIG": {"hosts": ["redis://a"]}}},
        {"environment WEB_CONCURRENCY": "1"},
        {"environment WEB_CONCURRENCY": "many"},
        {"version redis": "8.1.0", "layer": {"BACKEND": PUBSUB}},
        {"version redis": "7.4.1", "layer": {"BACKEND": CORE}},
        {
            "version redis": "8.1.0",
            "layer": {
                "BACKEND": CORE,
                "CONFIG": {"hosts": [{"address": "redis://a", "socket_timeout": None}]},
            },
        },
    ],
    ids=str,
)
def test_layers_that_fit_are_not_reported(spoil, changes):
    """False reports would lead to silenced checks."""
    expect_nothing(spoil, changes)
