"""Checks of the channel layer: whether it reaches all processes, and its time-outs."""

import os
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.db import connections
from django.utils.module_loading import import_string

from ..runtime.left_out import reason_of
from .conf import conf_or_defaults
from .versions import installed_version

CORE_LAYER_WAIT_SECONDS = 5  # channels_redis.core: how long one read of its queue may wait


def check_layer(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: warn about the in-memory layer where several processes seem to be intended."""
    conf, backend = conf_or_defaults(), configured_layer()[0]
    is_postgresql = connections[conf.database].vendor == "postgresql"
    found = [*(["the database is PostgreSQL"] if is_postgresql else []), *signs_of_processes()]
    if backend not in ("", "channels.layers.InMemoryChannelLayer") or not found:
        return []
    return [
        Warning(
            f"The channel layer is limited to one process, but several seem to be intended: {', '.join(found)}.",
            hint="Set CHANNEL_LAYERS (the demo: REDIS_URL). Nothing is lost without it, but each process queries the "
            f"database every {conf.tick_seconds:g} s for changes by the others. If there is only one process, "
            "silence this check.",
            id="realtime.W002",
        )
    ]


def signs_of_processes() -> list[str]:
    """Return the signs that this process is not the only one that serves."""
    workers = os.environ.get("WEB_CONCURRENCY", "")
    signs = {
        "REALTIME['PUBLISHER'] is off": not conf_or_defaults().publisher,
        f"WEB_CONCURRENCY is {workers}": workers.isdigit() and int(workers) > 1,
    }
    return [sign for sign, is_present in signs.items() if is_present]


def check_backend(**kwargs: Any) -> list[CheckMessage]:
    """Warn if no server can start because the package of its channel layer is missing, or its name is wrong."""
    backend = configured_layer()[0]
    try:
        import_string(backend or "channels.layers.InMemoryChannelLayer")
    except ImportError as error:
        return [
            Warning(
                f"CHANNEL_LAYERS names {backend}, which cannot be imported: {reason_of(error)}.",
                hint="Run `pip install 'django-tidemark[redis]'` for a layer of channels_redis, or correct BACKEND.",
                id="realtime.W030",
            )
        ]
    return []


def check_redis(**kwargs: Any) -> list[CheckMessage]:
    backend, config = configured_layer()
    hosts = config.get("hosts") or ["localhost"]
    limits = [host.get("socket_timeout", 5) if isinstance(host, dict) else 5 for host in hosts]
    is_short = any(limit is not None and limit <= CORE_LAYER_WAIT_SECONDS for limit in limits)
    if (
        backend != "channels_redis.core.RedisChannelLayer"
        or installed_version("redis") < (8,)
        or not is_short
    ):
        return []
    return [
        Warning(
            "redis-py 8 has a default time-out of 5 s, as long as this channel layer waits for a message: one "
            "connection of each process is closed every five idle seconds.",
            hint="Use channels_redis.pubsub.RedisPubSubChannelLayer, or give each of its hosts a longer "
            "'socket_timeout': {'address': …, 'socket_timeout': 20}.",
            id="realtime.W006",
        )
    ]


def configured_layer() -> tuple[str, dict[str, Any]]:
    """Return backend and configuration of the channel layer."""
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default", {})
    return layer.get("BACKEND", ""), layer.get("CONFIG", {})
