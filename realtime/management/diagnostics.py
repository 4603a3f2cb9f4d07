"""The diagnostics of ``manage.py doctor``: each function tries something, instead of reading settings, and returns
findings.

Nothing is left behind: rows are written in transactions that are rolled back, and no engine is started.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from channels.layers import InMemoryChannelLayer
from channels.routing import get_default_application
from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.urls import get_script_prefix
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string

from ..checks.layer import check_backend, check_layer, signs_of_processes
from ..checks.static_files import COLLECT, client_files, missing_static_file
from ..checks.wiring import WIRE
from ..conf import get_conf
from ..databases.base import Database
from ..databases.captures import Capture
from ..databases.registry import database
from ..databases.remedies import remedy
from ..databases.transactions import engine_transaction
from ..feeds import registry
from ..models import OutboxRow, Ticket
from ..publishing import capture, file_watch, lease
from ..publishing.layer import channel_layer
from ..runtime.asgi_types import Application, Event, Scope
from ..runtime.left_out import reason_of
from ..service import get_service

MAX_MIGRATIONS = 5
"""How many of the migrations that are not applied are named."""
LAYER_SECONDS = 5.0
"""How long a message may take round the channel layer."""
WATCH_SECONDS = 5.0
"""How long a write to the database's file may take to be noticed."""
ANSWER_SECONDS = 10.0
"""How long the application may take to answer."""
PULSE_SECONDS = 2.0
"""How much longer than ``LEASE_SECONDS`` a publisher may show no sign of life."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that works, or one that does not, with a remedy in ``cure``; ``cure`` is empty if it works."""

    words: str
    cure: str = ""


# ---------------------------------------------------------------- the database


def writes() -> Iterator[Finding]:
    """Write to each table of the engine, and roll it back; then make a commit that leaves nothing."""
    here = database()
    models = [model for model in apps.get_app_config("realtime").get_models() if model._meta.managed]
    for model in models:
        table = here.connection.ops.quote_name(model._meta.db_table)
        column = here.connection.ops.quote_name(str(model._meta.fields[1].column))
        try:
            with engine_transaction(), here.connection.cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET {column} = {column} WHERE 1 = 0")
                cursor.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0")
                cursor.execute(f"DELETE FROM {table} WHERE 1 = 0")
                transaction.set_rollback(True, using=here.alias)
        except DatabaseError as error:
            yield Finding(f"database: {first_line(error)}", _cure(error))
            return
    try:
        _commit()
    except DatabaseError as error:
        yield Finding(f"database: nothing can be committed: {first_line(error)}", _cure(error))
        return
    yield Finding("database: accepts writes")


def _commit() -> None:
    """Write and delete a row in one transaction; an update to the same value would write nothing on SQLite."""
    with engine_transaction():
        Ticket.objects.create(
            digest=f"doctor {get_random_string(12)}", login=[], expires_at=timezone.now()
        ).delete()


def migrations() -> Iterator[Finding]:
    """Whether the database has the tables and columns that the installed apps expect."""
    executor = MigrationExecutor(database().connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:MAX_MIGRATIONS])
        more = f" and {len(plan) - MAX_MIGRATIONS} more" if len(plan) > MAX_MIGRATIONS else ""
        yield Finding(f"migrations: not applied: {names}{more}", "run `manage.py migrate`")
    else:
        yield Finding("migrations: all are applied")


def captured() -> Iterator[Finding]:
    """Write a row of each live table unchanged, in a transaction that is rolled back, and check the outbox."""
    here = database()
    models = {model._meta.db_table: model for feed in registry for model in feed.captured}
    for found in capture.possible(here):
        key = models[found.table]._meta.pk
        assert key is not None
        try:
            outcome = _touch(here, found, str(key.column))
        except DatabaseError as error:
            yield Finding(f"table {found.table}: no write was tried: {first_line(error)}")
            continue
        if outcome is None:
            yield Finding(f"table {found.table}: no write was tried, it has no row")
        elif outcome:
            yield Finding(f"table {found.table}: its triggers note a write")
        else:
            yield Finding(
                f"table {found.table}: its triggers do not note a write",
                "run `manage.py migrate` as the owner of the table, and see whether the database runs triggers at all",
            )


def _touch(here: Database, found: Capture, key: str) -> bool | None:
    """Return whether a write of one row is noted in the outbox; None if there is no row."""
    quote = here.connection.ops.quote_name
    with engine_transaction(), here.connection.cursor() as cursor:
        try:
            last = OutboxRow.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            cursor.execute(
                f"UPDATE {quote(found.table)} SET {quote(key)} = {quote(key)} WHERE {quote(key)} = "
                f"(SELECT {quote(key)} FROM {quote(found.table)} LIMIT 1)"
            )
            if not cursor.rowcount:
                return None
            return OutboxRow.objects.filter(pk__gt=last, source=found.table).exists()
        finally:
            with suppress(transaction.TransactionManagementError):
                transaction.set_rollback(True, using=here.alias)


def published() -> Iterator[Finding]:
    """Wait for a sign of life of the publisher, in whichever process it runs."""
    if lease.holder() is None:
        cure = "start a server, or `manage.py publish`"
        if not get_conf().publisher:
            cure = "start `manage.py publish`: servers do not publish, because PUBLISHER is off"
        yield Finding("publisher: none is running, changes wait", cure)
        return
    before = lease.signs_of_life()
    ends = time.monotonic() + get_conf().lease_seconds + PULSE_SECONDS
    while time.monotonic() < ends:
        if (now := lease.signs_of_life()) != before and now[0]:
            yield Finding(f"publisher: {now[0]} is at work")
            return
        time.sleep(0.05)
    yield Finding(
        f"publisher: {before[0]} has the lease and shows no sign of life",
        "see what its process logs, and restart it",
    )


# ---------------------------------------------------------------- between processes


def layer() -> Iterator[Finding]:
    """Send a message to a group by one connection and receive it by another, through each server of the layer."""
    if missing := check_backend():
        yield from (Finding(f"channel layer: {warning.msg}", str(warning.hint)) for warning in missing)
        return
    present = channel_layer()
    name = type(present).__name__
    if not getattr(settings, "CHANNEL_LAYERS", {}):
        name = f"{name}, because CHANNEL_LAYERS is not set"
        for warning in check_layer() if signs_of_processes() else []:
            yield Finding(f"channel layer: {warning.msg.rstrip('.')}", str(warning.hint))
    if isinstance(present, InMemoryChannelLayer):
        yield from _round(f"channel layer: {name}", present, present)
        return
    given: dict[str, Any] = {**cast(Any, settings.CHANNEL_LAYERS)["default"]}
    backend, config = import_string(given["BACKEND"]), given.get("CONFIG", {})
    for host in config.get("hosts") or [None]:
        one = config if host is None else {**config, "hosts": [host]}
        where = f"channel layer: {name}" if host is None else f"channel layer: {name} at {_address(host)}"
        yield from _round(where, backend(**one), backend(**one))


def _round(where: str, sender: Any, receiver: Any) -> Iterator[Finding]:
    try:
        seconds = asyncio.run(_send_and_receive(sender, receiver))
    except Exception as error:  # each layer has exceptions of its own
        yield Finding(f"{where}: {_layers_words(error)}", _layers_cure(error))
    else:
        yield Finding(f"{where}: a message took {1000 * seconds:.1f} ms")


async def _send_and_receive(sender: Any, receiver: Any) -> float:
    """Raises: TimeoutError, after ``LAYER_SECONDS``; what the layer raises."""
    group = f"realtime.doctor.{get_random_string(12)}"
    message = {"type": "realtime.doctor", "text": get_random_string(12)}
    async with asyncio.timeout(LAYER_SECONDS):
        channel = await receiver.new_channel()
        await receiver.group_add(group, channel)
        begun = time.monotonic()
        await sender.group_send(group, message)
        while await receiver.receive(channel) != message:
            pass
        await receiver.group_discard(group, channel)
    return time.monotonic() - begun


def _address(host: Any) -> str:
    """Return where a server of the layer is, without its password."""
    address = host.get("address", "") if isinstance(host, dict) else host
    return (
        str(address).rpartition("@")[2].removeprefix("redis://") if isinstance(address, str) else str(address)
    )


def _layers_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no message within {LAYER_SECONDS:g} s"
    return f"{type(error).__name__}: {first_line(error)}"


def _layers_cure(error: Exception) -> str:
    words = f"{type(error).__name__} {error}".lower()
    if any(part in words for part in ("authentication", "password", "wrongpass", "noauth")):
        return "correct user and password in REDIS_URL"
    if "permission" in words or "noperm" in words:
        return "let the user in REDIS_URL publish and subscribe to channels with the prefix REDIS_PREFIX"
    return "start the server, or correct its address in REDIS_URL; until then changes arrive by the log"


def watch() -> Iterator[Finding]:
    """Notice a commit by the database's file, where that is how commits of other processes are noticed first."""
    if not database().file_identity():
        return
    noticed = asyncio.run(_notice())
    if noticed is None:
        yield Finding(
            f"file watch: not on this system; a write is noticed within {get_conf().tick_seconds * 4:g} s"
        )
    elif noticed:
        yield Finding("file watch: a write is noticed")
    else:
        yield Finding(
            "file watch: a write is not noticed at once",
            "raise fs.inotify.max_user_watches and max_user_instances, and keep the database on a local disk",
        )


def _committed() -> None:
    try:
        _commit()
    finally:
        connections.close_all()


async def _notice() -> bool | None:
    """Return whether a commit is noticed; None where the system cannot report it."""
    if not sys.platform.startswith("linux"):
        return None
    noticed = asyncio.Event()
    watched = file_watch.watch(noticed.set)
    if watched is None:
        return False
    try:
        await asyncio.to_thread(_committed)
        await asyncio.wait_for(noticed.wait(), WATCH_SECONDS)
    except TimeoutError:
        return False
    finally:
        watched.close()
    return True


# ---------------------------------------------------------------- pages


def static_files() -> Iterator[Finding]:
    """Look for each file of the page client at the address that pages use."""
    if fault := missing_static_file():
        yield Finding(f"static files: {fault}", COLLECT)
        return
    yield Finding(f"static files: all {len(client_files())} of the page client are there")


def application() -> Iterator[Finding]:
    """Open a WebSocket and ask for a page's script as a browser would, at the application that servers run."""
    try:
        found = get_default_application()
    except Exception as error:
        yield Finding(
            f"application: {reason_of(error)}", f"set ASGI_APPLICATION, and in the file that it names {WIRE}"
        )
        return
    yield from asyncio.run(_ask(found))


async def _ask(application: Application) -> list[Finding]:
    service = get_service()
    service.is_trial = True
    where = str(settings.ASGI_APPLICATION)
    socket = await _first_event(application, {"type": "websocket", "subprotocols": []}, "realtime/ws/")
    findings = []
    if socket is None or socket.get("type") != "websocket.accept":
        findings.append(
            Finding(
                f"WebSocket: refused by {where} at {get_script_prefix()}realtime/ws/",
                f"in the file that ASGI_APPLICATION names, {WIRE}, and add our host to ALLOWED_HOSTS; the line above "
                "may have the reason",
            )
        )
    else:
        findings.append(Finding(f"WebSocket: accepted by {where}"))
    if not service.has_started:
        findings.append(
            Finding(
                f"application: {where} starts no engine",
                f"in the file that ASGI_APPLICATION names, {WIRE}",
            )
        )
    for path, served in (("realtime/live/", "health"), (_script(), "the page client")):
        if not path:
            continue
        answer = await _first_event(application, {"type": "http", "method": "GET"}, path)
        status = 0 if answer is None else answer.get("status", 0)
        if status == 200:
            findings.append(Finding(f"application: serves {served}"))
        elif served == "health":
            findings.append(
                Finding(
                    f"application: answers {path} with {status}",
                    f"in the file that ASGI_APPLICATION names, {WIRE}",
                )
            )
        else:
            missing = "" if settings.STATIC_ROOT else f"; for that, set STATIC_ROOT and {COLLECT}"
            words = f"application: does not serve {path} ({status}): the proxy in front must{missing}"
            findings.append(Finding(words))
    return findings


def _script() -> str:
    """Return the path of the page client's entry, relative to the site; empty if another host serves it."""
    with suppress(ValueError):
        address = staticfiles_storage.url("realtime/live.min.js")
        if not urlsplit(address).netloc:
            return address.removeprefix(get_script_prefix())
    return ""


async def _first_event(application: Application, scope: Scope, path: str) -> Event | None:
    """Return the application's first event for a browser of our own host; None without one in time."""
    header, secure = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    scheme = "https" if settings.SECURE_SSL_REDIRECT else "http"
    host = _host()
    headers = [(b"host", host.encode()), (b"origin", f"{scheme}://{host}".encode())]
    if header and scheme == "https":
        headers.append((header.removeprefix("HTTP_").replace("_", "-").lower().encode(), secure.encode()))
    is_socket = scope["type"] == "websocket"
    whole = {
        "asgi": {"version": "3.0"}, "http_version": "1.1", "query_string": b"", "root_path": "",
        "scheme": {"http": "ws", "https": "wss"}[scheme] if is_socket else scheme, "client": ["127.0.0.1", 0],
        "server": [host, 443], "path": f"{get_script_prefix()}{path}", "headers": headers, **scope,
    }  # fmt: skip
    asked: asyncio.Queue[Event] = asyncio.Queue()
    answered: asyncio.Queue[Event] = asyncio.Queue()
    asked.put_nowait({"type": "websocket.connect"} if is_socket else {"type": "http.request"})
    running = asyncio.ensure_future(application(whole, asked.get, answered.put))
    first = asyncio.ensure_future(answered.get())
    await asyncio.wait([running, first], timeout=ANSWER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    asked.put_nowait({"type": "websocket.disconnect" if is_socket else "http.disconnect", "code": 1000})
    await asyncio.wait([running], timeout=1)
    running.cancel()
    first.cancel()
    await asyncio.gather(running, first, return_exceptions=True)
    return first.result() if not first.cancelled() else None


def _host() -> str:
    """Return a host name that the settings allow."""
    named = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
    return named[0] if named else "localhost"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without the lines in which a database shows the statement."""
    return str(error).strip().partition("\n")[0]


def _cure(error: DatabaseError) -> str:
    return remedy(error) or "see the log of the database"
