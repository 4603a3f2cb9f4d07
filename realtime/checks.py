"""System checks: configurations that cost security, changes or speed, with a hint for each.

Errors block ``migrate``, so problems that it solves are warnings. docs/operations.md has a table of all checks.
"""

import inspect
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.contrib.staticfiles.utils import get_files
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from django.db import DatabaseError, connections, models
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.utils.version import get_version_tuple

from .changes import handlers
from .conf import Conf, get_conf
from .databases.registry import database
from .databases.remedies import remedy
from .databases.transactions import engine_transaction
from .feeds import Feed, registry
from .publishing import capture
from .rows import queries, relations
from .rows.declaration_faults import fault_of_queryset
from .runtime.left_out import reason_of
from .servers import open_files
from .service import ASSET_THREADS

# The oldest acceptable versions, and what is wrong with older ones.
LEAST_VERSIONS = {
    "daphne": ("4.2.3", "accepts messages of any size, and forged headers"),
    "autobahn": ("26.7.1", "decompresses a client's data without a limit"),
}
POOL_SIZE = 4  # of psycopg_pool, if it is given none
# The publisher, its housekeeping, two jobs, health, the check of passwords, interest; files and metrics.
ENGINE_CONNECTIONS = 7 + ASSET_THREADS
WIRE = "write `application = realtime.asgi.application(get_asgi_application())`"
SCRIPT = "realtime/live.min.js"
COLLECT = "run `manage.py collectstatic --no-input`"
CORE_LAYER_WAIT_SECONDS = 5  # channels_redis.core: how long one read of its queue may wait


def check_capture(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report live tables without triggers, or without rows that can be read, by queries: for ``check --database``."""
    try:
        using = get_conf().database
    except ImproperlyConfigured:
        return []  # reported by check_conf
    if using not in (databases or []):
        return []
    return [
        *_without_tables(using),
        *_untriggered(),
        *_unreadable(),
    ]


def _untriggered() -> list[CheckMessage]:
    refusal = database().triggers.refusal
    return [
        Warning(
            f"Changes of the table {missing.table} are not captured: a trigger is missing or out of date.",
            hint=_sentence(refusal(missing.table))
            or "Run `manage.py migrate`, or start a server; both install triggers.",
            id="realtime.W001",
        )
        for missing in capture.missing()
    ]


def _unreadable() -> Iterator[CheckMessage]:
    """Find live tables of which the role may read nothing."""
    for found in capture.possible(database()):
        try:
            with engine_transaction() as here, here.connection.cursor() as cursor:
                cursor.execute(f"SELECT 1 FROM {here.connection.ops.quote_name(found.table)} WHERE 1 = 0")
        except DatabaseError as error:
            yield Warning(
                f"Rows of the table {found.table} cannot be read: {reason_of(error)}",
                hint=_sentence(remedy(error)) or "See the log of the database.",
                id="realtime.W016",
            )


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _without_tables(using: str) -> list[CheckMessage]:
    """Find live models over a view, or over a table that no migration will make."""
    connection = connections[using]
    with connection.cursor() as cursor:
        kinds = {table.name: table.type for table in connection.introspection.get_table_list(cursor)}
    found: list[CheckMessage] = []
    for feed in registry:
        for model in feed.sources:
            meta = model._meta
            kind = kinds.get(meta.db_table)
            if kind == "v" or (kind is None and not meta.managed):
                what = "a view" if kind == "v" else "not in the database"
                found.append(
                    Error(
                        f"The feed {feed.name!r} cannot be live: {meta.db_table} is {what}, and no trigger can "
                        "note its changes.",
                        hint="Register a feed for the model of the table behind it, with depends_on for related ones.",
                        id="realtime.E006",
                    )
                )
    return found


def check_feeds(**kwargs: Any) -> list[CheckMessage]:
    """Report declarations that cannot work, and those whose rows would show late what has changed."""
    found: list[CheckMessage] = []
    if check_conf():
        return found  # it names the database that the feeds are checked for
    faults = [
        (name, error, "docs/feeds.md lists what a feed may declare.")
        for name, error in registry.refused.items()
    ]
    faults += [(feed.name, fault.words, fault.hint) for feed in registry.off for fault in feed.faults]
    for feed in registry:
        if feed.template_name:
            try:
                get_template(feed.template_name)
            except (TemplateDoesNotExist, TemplateSyntaxError) as error:
                faults.append(
                    (
                        feed.name,
                        f"its template {feed.template_name} cannot be loaded: {error}",
                        "Correct template_name.",
                    )
                )
        try:
            rows = feed.get_queryset()
            if fault := fault_of_queryset(rows):
                faults.append((feed.name, fault.words, fault.hint))
            found += _of_queryset(feed, rows)
        except Exception as error:
            faults.append((feed.name, f"its queryset raises {error!r}", "Correct filter or get_queryset."))
    return [
        *(
            Error(f"The feed {name!r} is not live: {words}.", hint=hint, id="realtime.E003")
            for name, words, hint in faults
        ),
        *found,
    ]


def _of_queryset(feed: Feed, rows: "models.QuerySet[Any]") -> Iterator[CheckMessage]:
    asks_the_time = queries.reads_the_time(rows) or queries.calls_a_clock(type(feed).get_queryset)
    if asks_the_time and feed.refresh_seconds is None:
        yield Warning(
            f"The time decides which rows the feed {feed.name!r} has, and nothing is written when it passes: rows "
            "appear and disappear late.",
            hint="Set refresh_seconds, or let a job write a column.",
            id="realtime.W011",
        )
    undeclared: dict[str, set[str]] = {}
    functions: list[Any] = [value.made_by for value in feed.values if inspect.isfunction(value.made_by)]
    if type(feed).serialize is not Feed.serialize:
        functions.append(type(feed).serialize)
    for table, where in relations.read_tables(rows, feed.ordering, feed.template_name, functions):
        if table not in feed.tables:
            undeclared.setdefault(table, set()).add(where)
    for table, places in undeclared.items():
        yield Warning(
            f"Rows of the feed {feed.name!r} are read from {table}, by {' and '.join(sorted(places))}, but changes "
            "in that table do not refresh them.",
            hint="Name the relation in depends_on.",
            id="realtime.W012",
        )
    for value in feed.values:
        if getattr(getattr(value.field, "storage", None), "querystring_auth", False):
            yield Warning(
                f"The feed {feed.name!r} sends the address of {value.name}, which its storage signs anew each time: "
                "pages never have what the server has.",
                hint="Send its name, by a @computed method, and let a view sign it; or turn querystring_auth off.",
                id="realtime.W025",
            )
    if queries.reads_other_rows(rows):
        yield Info(
            f"Rows of the feed {feed.name!r} depend on each other (a window, or a subquery of the same table): each "
            "change causes its topic to be read as a whole.",
            hint="Keep the topics small, or add limit; silence this check if that is intended.",
            id="realtime.I001",
        )


def check_order_keys(**kwargs: Any) -> list[CheckMessage]:
    """Report feeds whose order keys show values that their rows do not."""
    return [
        Warning(
            f"The feed {feed.name!r} is ordered by {name!r}, which neither its fields nor its template show, but the "
            "order key of each row contains its value, and every subscriber receives it.",
            hint="If the value is no secret, add it to fields; if it is one, set opaque_order = True.",
            id="realtime.W015",
        )
        for feed in ([] if check_conf() else registry)
        if not feed.opaque_order
        for name in relations.withheld(
            feed.model, [value.name for value in feed.values], feed.ordering, feed.template_name
        )
    ]


def check_handlers(**kwargs: Any) -> list[CheckMessage]:
    """Report functions of ``on_change`` that are never called."""
    return [
        Warning(
            f"The function {handler.name} of on_change is not called: {words}.", hint=hint, id="realtime.W024"
        )
        for handler in ([] if check_conf() else handlers.values())
        for words, hint in handler.faults
    ]


def check_conf(**kwargs: Any) -> list[CheckMessage]:
    try:
        get_conf()
    except ImproperlyConfigured as error:
        return [
            Error(
                str(error), hint="docs/operations.md lists all settings with their units.", id="realtime.E001"
            )
        ]
    return []


def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: check the values as they were set, to which ``settings`` adds a script prefix."""
    wrapped = cast(Any, settings)._wrapped
    return [
        Warning(
            f"{name} is {value!r}, which is relative: Django prepends a script prefix once and for all, and an "
            "application that realtime.asgi.application does not wrap takes it from the first request.",
            hint=f"Begin {name} with a slash or with https://.",
            id="realtime.W017",
        )
        for name in ("STATIC_URL", "MEDIA_URL")
        if (value := getattr(wrapped, name)) and not value.startswith(("/", "http://", "https://"))
    ]


def signs_of_processes() -> list[str]:
    """Return what says that this process is not the only one that serves."""
    workers = os.environ.get("WEB_CONCURRENCY", "")
    signs = {
        "REALTIME['PUBLISHER'] is off": not _conf().publisher,
        f"WEB_CONCURRENCY is {workers}": workers.isdigit() and int(workers) > 1,
    }
    return [sign for sign, is_present in signs.items() if is_present]


def check_layer(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: warn about the in-memory layer where several processes seem to be intended."""
    conf, backend = _conf(), _layer()[0]
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


def check_hosts(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: warn about a ``*`` in ALLOWED_HOSTS."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS contains '*': a page of any host name that resolves to this server counts as one of ours.",
            hint="Name the hosts: ALLOWED_HOSTS=live.example.com.",
            id="realtime.W003",
        )
    ]


def check_trusted_origins(**kwargs: Any) -> list[CheckMessage]:
    """Warn about a ``*`` that matches more than the subdomains of one domain."""
    wide = [
        origin
        for origin in settings.CSRF_TRUSTED_ORIGINS
        if "*" in origin and "." not in origin.partition("://*.")[2]
    ]
    return [
        Warning(
            f"CSRF_TRUSTED_ORIGINS contains {origin!r}, which matches sites of many owners.",
            hint="Write each origin in full, or the subdomains of one domain: https://*.example.com.",
            id="realtime.W004",
        )
        for origin in wide
    ]


def check_versions(**kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{name} is older than {least}: it {fault}.",
            hint=f"pip install '{name}>={least}'",
            id="realtime.W005",
        )
        for name, (least, fault) in LEAST_VERSIONS.items()
        if () < _version(name) < get_version_tuple(least)
    ]


def check_redis(**kwargs: Any) -> list[CheckMessage]:
    backend, config = _layer()
    hosts = config.get("hosts") or ["localhost"]
    limits = [host.get("socket_timeout", 5) if isinstance(host, dict) else 5 for host in hosts]
    is_short = any(limit is not None and limit <= CORE_LAYER_WAIT_SECONDS for limit in limits)
    if backend != "channels_redis.core.RedisChannelLayer" or _version("redis") < (8,) or not is_short:
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


def check_daphne(**kwargs: Any) -> list[CheckMessage]:
    names = [name.partition(".")[0] for name in settings.INSTALLED_APPS]
    if "daphne" not in names[1:]:
        return []
    return [
        Warning(
            "daphne is not the first of INSTALLED_APPS: an app before it may install another Twisted reactor, "
            "or another runserver.",
            hint="Put 'daphne' first.",
            id="realtime.W007",
        )
    ]


def check_database(**kwargs: Any) -> list[CheckMessage]:
    """Check the settings of the live database, without a query."""
    found: list[CheckMessage] = []
    connection = connections[_conf().database]
    if connection.settings_dict.get("ATOMIC_REQUESTS"):
        found.append(
            Warning(
                "ATOMIC_REQUESTS is on: each page is rendered inside a transaction. On SQLite that blocks all "
                "writers; on PostgreSQL the page has no exact position and receives a snapshot when it connects.",
                hint="Turn it off, and use transaction.atomic in views that write.",
                id="realtime.W008",
            )
        )
    if connection.vendor == "postgresql" and not is_psycopg3():
        found.append(
            Error(
                "The driver of PostgreSQL is psycopg2, and the engine needs psycopg 3.",
                hint="pip install 'psycopg[binary]' and uninstall psycopg2; Django uses the newer one if it is there.",
                id="realtime.E004",
            )
        )
    found += _of_pool(connection.settings_dict["OPTIONS"].get("pool"))
    mode = connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED"
    if connection.vendor == "sqlite" and mode.upper() == "DEFERRED":
        found.append(
            Warning(
                "SQLite transactions are deferred: one that reads and then writes fails immediately, whatever "
                "the timeout, if another process has written in between.",
                hint="Set DATABASES[…]['OPTIONS']['transaction_mode'] = 'IMMEDIATE'.",
                id="realtime.W009",
            )
        )
    return found


def _of_pool(pool: Any) -> Iterator[CheckMessage]:
    """Yield an error if a pool has fewer connections than this process has threads that keep one."""
    if not pool:
        return
    options = pool if isinstance(pool, dict) else {}
    size = options.get("max_size") or options.get("min_size", POOL_SIZE)  # as psycopg_pool reads them
    conf = _conf()
    threads = sum(getattr(conf, field.name) for field in fields(Conf) if field.name.endswith("_threads"))
    needed = threads + ENGINE_CONNECTIONS
    if size < needed:
        yield Error(
            f"The pool of database connections has {size} of them, but each server process needs at least {needed}: "
            "one for each of its threads.",
            hint=f"Set OPTIONS['pool'] = {{'max_size': {needed}}}, or no pool.",
            id="realtime.E005",
        )


def check_sessions(**kwargs: Any) -> list[CheckMessage]:
    if settings.SESSION_ENGINE != "django.contrib.sessions.backends.signed_cookies":
        return []
    return [
        Warning(
            "Sessions are stored only in cookies: the server cannot detect a logout, so open connections keep "
            "the rights of a user who has signed out.",
            hint="Use django.contrib.sessions.backends.db or cached_db.",
            id="realtime.W010",
        )
    ]


def check_passwords(**kwargs: Any) -> list[CheckMessage]:
    """For deployments: warn where passwords may be guessed: Django itself does not limit how often one is tried."""
    backend, middleware = (
        "realtime.backends.PasswordAttemptsBackend",
        "realtime.middleware.PasswordAttemptsMiddleware",
    )
    missing = []
    if settings.AUTHENTICATION_BACKENDS[:1] != [backend]:
        missing.append(
            f"{backend} is not the first of AUTHENTICATION_BACKENDS: passwords may be guessed at will."
        )
    elif middleware not in settings.MIDDLEWARE:
        missing.append(
            f"{middleware} is not in MIDDLEWARE: no page says how long to wait after wrong passwords."
        )
    return [
        Warning(
            fault,
            hint="docs/operations.md has the settings of a project; silence this check if something else does it.",
            id="realtime.W013",
        )
        for fault in missing
    ]


def check_open_files(**kwargs: Any) -> list[CheckMessage]:
    if check_conf():
        return []  # it reports why the number of connections is unknown
    needed, (_, allowed) = open_files.files_needed(), open_files.limits()
    if allowed >= needed:
        return []
    return [
        Warning(
            f"A process here may open {allowed} files, and REALTIME['MAX_CONNECTIONS'] needs {needed}: a server "
            "accepts fewer connections, so that it can still open its database.",
            hint=f"Raise the limit (LimitNOFILE={needed} in a systemd unit, ulimit -Hn), or lower MAX_CONNECTIONS.",
            id="realtime.W014",
        )
    ]


def check_static_files(**kwargs: Any) -> list[CheckMessage]:
    fault = missing_static_file() if settings.STATIC_URL else ""
    if not fault:
        return []
    return [
        Error(
            f"Static files were not collected for this release, so pages fail or lack their scripts: {fault}.",
            hint=f"First {COLLECT}, then start the servers again: they read the list of files once.",
            id="realtime.E007",
        )
    ]


def missing_static_file() -> str:
    """Return what is wrong with a file of the page client where pages are sent to.

    Shape: empty if all are there, and those of this release.
    """
    for name in client_files():
        try:
            address = staticfiles_storage.url(name)
        except ValueError as error:  # the manifest does not have it
            return str(error).splitlines()[0]
        stored = address.removeprefix(settings.STATIC_URL)
        if settings.STATIC_ROOT and not staticfiles_storage.exists(stored):
            return f"{stored} is not in {settings.STATIC_ROOT}"
        if settings.STATIC_ROOT and _is_stale(name, stored):
            return f"{name} in {settings.STATIC_ROOT} is that of another release"
    return ""


def _is_stale(name: str, stored: str) -> bool:
    """Return whether the file that was collected has another content than the one that would be collected now."""
    source = finders.find(name)
    # A storage may keep nothing but files with a hash, in which the imports have hashes too: the bundle has none.
    copy = name if staticfiles_storage.exists(name) else stored if name == SCRIPT else ""
    if not source or not copy:
        return False
    with staticfiles_storage.open(copy) as collected:
        return bool(collected.read() != Path(source).read_bytes())


def client_files() -> list[str]:
    """Return the names of the static files of the page client."""
    folder = Path(apps.get_app_config("realtime").path) / "static"
    return [name for name in get_files(FileSystemStorage(folder)) if name.startswith("realtime/")]


def is_psycopg3() -> bool:
    """Return whether Django uses psycopg 3; call it only where it uses PostgreSQL."""
    from django.db.backends.postgresql import psycopg_any

    return bool(psycopg_any.is_psycopg3)


ALWAYS = [
    check_conf,
    check_feeds,
    check_order_keys,
    check_handlers,
    check_trusted_origins,
    check_versions,
    check_redis,
    check_daphne,
    check_database,
    check_sessions,
    check_open_files,
]
FOR_DEPLOYMENTS = [check_layer, check_hosts, check_static_files, check_urls, check_passwords]


def _conf() -> Conf:
    """Return the settings; the defaults if they are invalid, which ``check_conf`` reports."""
    try:
        return get_conf()
    except ImproperlyConfigured:
        return Conf()


def _layer() -> tuple[str, dict[str, Any]]:
    """Return backend and configuration of the channel layer."""
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default", {})
    return layer.get("BACKEND", ""), layer.get("CONFIG", {})


def _version(name: str) -> tuple[int, ...]:
    """Return the version of an installed package; empty if it is not installed."""
    try:
        return get_version_tuple(version(name))
    except PackageNotFoundError:
        return ()
