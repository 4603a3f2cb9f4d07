"""System checks of the engine: what would cost safety, changes or speed, and what to do about it.

Errors are only what no ``migrate`` cures: they would block it. docs/operations.md has the table of all.
"""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.version import get_version_tuple

from .conf import Conf, get_conf
from .publishing import capture

# What is installed must be at least of these versions, because older ones …
LEAST_VERSIONS = {
    "daphne": ("4.2.3", "takes messages of any size, and headers that a client has forged"),
    "autobahn": ("26.7.1", "inflates without a limit what a client has compressed"),
}
CORE_LAYER_WAITS_SECONDS = 5  # channels_redis.core: how long one look into its queue may take


def check_capture(databases=None, **kwargs) -> list[CheckMessage]:
    """Warn of live tables without their triggers. Reads the database: runs with ``check --database``."""
    try:
        using = get_conf().database
    except ImproperlyConfigured:
        return []  # reported by check_conf
    if using not in (databases or []):
        return []
    return [
        Warning(
            f"Changes of the table {missing.table} are not captured: a trigger is missing or out of date.",
            hint="Run `manage.py migrate`; it installs triggers. A starting server does so too.",
            id="realtime.W001",
        )
        for missing in capture.missing()
    ]


def check_conf(**kwargs) -> list[CheckMessage]:
    try:
        get_conf()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="docs/operations.md lists names and units.", id="realtime.E001")]
    return []


def check_urls(**kwargs) -> list[CheckMessage]:
    """Look at what was set: as read from the settings, the script prefix of the moment stands before it."""
    return [
        Error(
            f"{name} is {value!r}, which is relative: the script prefix is put before it for good, and daphne lets "
            "a client name that prefix.",
            hint=f"Begin {name} with a slash or with https://.",
            id="realtime.E002",
        )
        for name in ("STATIC_URL", "MEDIA_URL")
        if (value := getattr(settings._wrapped, name)) and not value.startswith(("/", "http://", "https://"))
    ]


def check_layer(**kwargs) -> list[CheckMessage]:
    """For deployments: warn of a layer within one process where several are meant."""
    conf, backend = _conf(), _layer()[0]
    workers = os.environ.get("WEB_CONCURRENCY", "")
    signs = {
        "the database is PostgreSQL": connections[conf.database].vendor == "postgresql",
        "REALTIME['PUBLISHER'] is off": not conf.publisher,
        f"WEB_CONCURRENCY is {workers}": workers.isdigit() and int(workers) > 1,
    }
    meant = [sign for sign, is_there in signs.items() if is_there]
    if backend != "channels.layers.InMemoryChannelLayer" or not meant:
        return []
    return [
        Warning(
            f"The channel layer reaches no other process, and several seem to be meant: {', '.join(meant)}.",
            hint="Set REDIS_URL. Nothing is lost without it: each process asks the database every "
            f"{conf.tick_seconds:g} s what others have changed, instead of being told. If there is one process, "
            "silence this.",
            id="realtime.W002",
        )
    ]


def check_hosts(**kwargs) -> list[CheckMessage]:
    """For deployments."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS holds '*': a page of any name that leads here counts as one of ours.",
            hint="Name the hosts: ALLOWED_HOSTS=live.example.com.",
            id="realtime.W003",
        )
    ]


def check_trusted_origins(**kwargs) -> list[CheckMessage]:
    """Warn of a ``*`` that stands for more than the subdomains of one domain."""
    wide = [
        origin
        for origin in settings.CSRF_TRUSTED_ORIGINS
        if "*" in origin and "." not in origin.partition("://*.")[2]
    ]
    return [
        Warning(
            f"CSRF_TRUSTED_ORIGINS holds {origin!r}, which names nobody's sites in particular.",
            hint="Name each origin whole, or the subdomains of one domain: https://*.example.com.",
            id="realtime.W004",
        )
        for origin in wide
    ]


def check_versions(**kwargs) -> list[CheckMessage]:
    return [
        Warning(
            f"{name} is older than {least}: it {fault}.",
            hint=f"pip install '{name}>={least}'",
            id="realtime.W005",
        )
        for name, (least, fault) in LEAST_VERSIONS.items()
        if () < _version(name) < get_version_tuple(least)
    ]


def check_redis(**kwargs) -> list[CheckMessage]:
    backend, config = _layer()
    hosts = config.get("hosts") or ["localhost"]
    limits = [host.get("socket_timeout", 5) if isinstance(host, dict) else 5 for host in hosts]
    is_short = any(limit is not None and limit <= CORE_LAYER_WAITS_SECONDS for limit in limits)
    if backend != "channels_redis.core.RedisChannelLayer" or _version("redis") < (8,) or not is_short:
        return []
    return [
        Warning(
            "redis-py 8 gives up after 5 s unless told otherwise, as long as this channel layer waits for a "
            "message: one connection of each process dies every five idle seconds.",
            hint="Use channels_redis.pubsub.RedisPubSubChannelLayer, or give each of its hosts a longer "
            "'socket_timeout': {'address': …, 'socket_timeout': 20}.",
            id="realtime.W006",
        )
    ]


def check_daphne(**kwargs) -> list[CheckMessage]:
    names = [name.partition(".")[0] for name in settings.INSTALLED_APPS]
    if "daphne" not in names[1:]:
        return []
    return [
        Warning(
            "daphne is not the first of INSTALLED_APPS: an app before it may choose another Twisted reactor, "
            "or another runserver.",
            hint="Put 'daphne' first.",
            id="realtime.W007",
        )
    ]


def check_database(**kwargs) -> list[CheckMessage]:
    """Look at the settings of the live database, not into it."""
    found: list[CheckMessage] = []
    connection = connections[_conf().database]
    if connection.settings_dict.get("ATOMIC_REQUESTS"):
        found.append(
            Warning(
                "ATOMIC_REQUESTS is on: each page is painted inside a transaction. On SQLite that keeps everybody "
                "from writing; on PostgreSQL the page has no exact position and takes a snapshot as it connects.",
                hint="Turn it off, and use transaction.atomic where a view writes.",
                id="realtime.W008",
            )
        )
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED"
    if connection.vendor == "sqlite" and mode.upper() == "DEFERRED":
        found.append(
            Warning(
                "SQLite transactions are deferred: one that reads and then writes fails at once, whatever the "
                "timeout, when another process has written in between.",
                hint="Set DATABASES[…]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
                id="realtime.W009",
            )
        )
    return found


def check_sessions(**kwargs) -> list[CheckMessage]:
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.signed_cookies":
        return []
    return [
        Warning(
            "Sessions live in cookies alone: a logout leaves nothing that the server could see, so open "
            "connections go on with the rights of who has signed out.",
            hint="Use django.contrib.sessions.backends.db or cached_db.",
            id="realtime.W010",
        )
    ]


ALWAYS = [
    check_conf,
    check_urls,
    check_trusted_origins,
    check_versions,
    check_redis,
    check_daphne,
    check_database,
    check_sessions,
]
FOR_DEPLOYMENTS = [check_layer, check_hosts]


def _conf() -> Conf:
    """Return the settings; the defaults where they cannot be used, which ``check_conf`` says."""
    try:
        return get_conf()
    except ImproperlyConfigured:
        return Conf()


def _layer() -> tuple[str, dict[str, Any]]:
    """Return backend and configuration of the channel layer."""
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default", {})
    return layer.get("BACKEND", ""), layer.get("CONFIG", {})


def _version(name: str) -> tuple[int, ...]:
    """Return the version of an installed package; empty when it is not installed."""
    try:
        return get_version_tuple(version(name))
    except PackageNotFoundError:
        return ()
