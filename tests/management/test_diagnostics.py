"""The diagnostics of ``manage.py doctor``: each is made to fail."""

import socket
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.urls import re_path

from realtime.management import diagnostics
from realtime.management.diagnostics import Finding
from realtime.publishing import lease
from realtime.routing import http_urlpatterns, websocket_urlpatterns
from realtime.transports.application import RealtimeApplication
from tests.support.contents import DEMO_TABLES


def faults(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return what does not work, with what to do."""
    return [(finding.words, finding.cure) for finding in findings if finding.cure]


# ---------------------------------------------------------------- the database


def test_a_database_that_takes_writes_is_well(log):
    """Each table of the engine was written, and the transaction rolled back."""
    assert list(diagnostics.writes()) == [Finding("database: accepts writes")]


def test_a_table_of_the_engine_that_is_missing_is_found(log):
    """A migration has not run."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE realtime_ticket RENAME TO aside")
    try:
        found = faults(diagnostics.writes())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE aside RENAME TO realtime_ticket")

    assert found == [("database: no such table: realtime_ticket", "run `manage.py migrate`")]


@pytest.mark.parametrize(
    "app, count, words",
    [("boards", 1, "migrations: not applied: boards.00"), ("auth", 8, " and 3 more")],
    ids=["one", "many"],
)
def test_migrations_that_were_not_applied_are_named(log, app, count, words):
    """A release was installed without ``migrate``."""
    assert list(diagnostics.migrations()) == [Finding("migrations: all are applied")]
    recorder = MigrationRecorder(connection)
    newest = sorted(name for one, name in recorder.applied_migrations() if one == app)[-count:]
    for name in newest:
        recorder.record_unapplied(app, name)
    try:
        ((found, cure),) = faults(diagnostics.migrations())
    finally:
        for name in newest:
            recorder.record_applied(app, name)

    assert words in found
    assert cure == "run `manage.py migrate`"


def test_a_database_that_only_reads_is_found(log):
    """Its file, its role or its server may be read-only."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = on")
        try:
            found = faults(diagnostics.writes())
        finally:
            cursor.execute("PRAGMA query_only = off")

    assert found == [
        (
            "database: attempt to write a readonly database",
            "let the user of this process write the file and its folder",
        )
    ]


def test_a_commit_that_fails_is_found(log, monkeypatch):
    """On a full disk what is rolled back may still succeed."""

    def fail() -> None:
        raise OperationalError("database or disk is full") from sqlite3.OperationalError(
            "database or disk is full"
        )

    monkeypatch.setattr(diagnostics, "_commit", fail)

    assert faults(diagnostics.writes()) == [
        (
            "database: nothing can be committed: database or disk is full",
            "free space on the disk of the database",
        )
    ]


WITHOUT_ROWS = {(f"table {table}: no write was tried, it has no row", "") for table in DEMO_TABLES}


def test_triggers_that_note_a_write_are_well(log, quay):
    """A row of each live table was written as it is."""
    assert {finding.words for finding in diagnostics.captured()} == {
        "table boards_entry: its triggers note a write",
        "table boards_board: its triggers note a write",
        *(
            words
            for words, _ in WITHOUT_ROWS
            if "boards_entry:" not in words and "boards_board:" not in words
        ),
    }


def test_a_table_without_rows_is_not_written(log):
    """An empty table is not a fault."""
    assert {(finding.words, finding.cure) for finding in diagnostics.captured()} == WITHOUT_ROWS


def test_a_trigger_that_notes_nothing_is_found(log, quay):
    """It has the right name, so only a write shows it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'boards_entry' AND name LIKE %s",
            ["%_update"],
        )
        name, definition = cursor.fetchone()
        cursor.execute(f'DROP TRIGGER "{name}"')
        cursor.execute(f'CREATE TRIGGER "{name}" AFTER UPDATE ON boards_entry BEGIN SELECT 1; END')
    try:
        found = faults(diagnostics.captured())
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP TRIGGER "{name}"')
            cursor.execute(definition)

    assert [words for words, _ in found] == ["table boards_entry: its triggers do not note a write"]
    assert "manage.py migrate" in found[0][1]


def test_a_publisher_that_stands_still_is_found(log, settings, monkeypatch):
    """Its lease may still run: it is frozen, or has died a moment ago."""
    settings.REALTIME = {"LEASE_SECONDS": 600}
    monkeypatch.setattr(diagnostics, "PULSE_SECONDS", -599.8)
    assert lease.acquire("a process")

    (found,) = faults(diagnostics.published())

    assert found[0] == "publisher: a process has the lease and shows no sign of life"


def test_a_missing_publisher_is_found(log):
    """At once: nothing has the lease."""
    assert [words for words, _ in faults(diagnostics.published())] == [
        "publisher: none is running, changes wait"
    ]


def test_a_server_is_no_cure_where_servers_do_not_publish(log, settings):
    """With PUBLISHER off only ``manage.py publish`` helps."""
    settings.REALTIME = {"PUBLISHER": False}

    ((_, cure),) = faults(diagnostics.published())

    assert cure.startswith("start `manage.py publish`")


@pytest.mark.parametrize("kind", ["refused", "silent"])
def test_a_file_that_is_not_watched_is_found(log, monkeypatch, kind):
    """The number of watches is limited, and network file systems report no writes of others."""

    class Silent:
        def close(self) -> None:
            pass

    monkeypatch.setattr(diagnostics, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(
        "realtime.publishing.file_watch.watch", lambda written: None if kind == "refused" else Silent()
    )

    assert [words for words, _ in faults(diagnostics.watch())] == [
        "file watch: a write is not noticed at once"
    ]


def test_a_file_that_is_watched_is_well(log):
    """A commit of another connection was noticed."""
    assert list(diagnostics.watch()) == [Finding("file watch: a write is noticed")]


# ---------------------------------------------------------------- the channel layer


class Redis:
    """A server that answers every command in the same way, or not at all."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer_all, args=[client], daemon=True).start()

    def _answer_all(self, client: socket.socket) -> None:
        with client:
            while client.recv(65536):
                if self._answer:
                    client.sendall(self._answer)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def use_layer(settings) -> Iterator[Callable[..., None]]:
    """A function that makes the channel layer one with this configuration."""

    def use(**layer: Any) -> None:
        settings.CHANNEL_LAYERS = {"default": layer} if layer else {}
        channel_layers.backends.clear()

    yield use
    channel_layers.backends.clear()


def redis_at(*hosts: Any) -> dict[str, Any]:
    return {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": list(hosts), "prefix": "test"},
    }


def test_a_layer_that_delivers_is_well():
    """A message came back."""
    (found,) = diagnostics.layer()

    assert found.words.startswith("channel layer: InMemoryChannelLayer: a message took ")
    assert found.cure == ""


def test_a_layer_at_a_dead_port_is_found(use_layer):
    """Each of several servers is tried; passwords are not shown."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    hosts = f"redis://:a-secret@127.0.0.1:{port}/0", {"address": f"redis://user:a-secret@127.0.0.1:{port}/1"}
    use_layer(**redis_at(*hosts))

    found = faults(diagnostics.layer())

    for number, (words, cure) in enumerate(found):
        assert words.startswith(
            f"channel layer: RedisPubSubChannelLayer at 127.0.0.1:{port}/{number}: ConnectionError"
        )
        assert cure.startswith("start the server, or correct its address in REDIS_URL")
    assert len(found) == 2
    assert "a-secret" not in str(found)


@pytest.mark.parametrize(
    ("answer", "words", "cure"),
    [
        (
            b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
            "Authentication",
            "correct user and",
        ),
        (b"-NOAUTH Authentication required.\r\n", "Authentication", "correct user and password"),
        (
            b"-NOPERM this user has no permissions to access the channel\r\n",
            "NoPermission",
            "publish and subscribe",
        ),
        (b"", "no message within", "start the server"),
    ],
    ids=["wrong password", "no password", "no right", "silent"],
)
def test_a_layer_that_refuses_or_hangs_is_found(use_layer, monkeypatch, answer, words, cure):
    """By what it answers, within a time limit."""
    monkeypatch.setattr(diagnostics, "LAYER_SECONDS", 30.0 if answer else 0.3)
    redis = Redis(answer)
    use_layer(**redis_at(f"redis://user:a-secret@127.0.0.1:{redis.port}/0"))

    (found,) = faults(diagnostics.layer())
    redis.close()

    assert words in found[0]
    assert cure in found[1]


class Forgetful(InMemoryChannelLayer):
    """Delivers nothing, as two connections to different servers would."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        pass


def test_a_layer_that_loses_messages_is_found(use_layer, monkeypatch):
    """It accepts them without an error."""
    monkeypatch.setattr(diagnostics, "LAYER_SECONDS", 0.2)
    use_layer(BACKEND=f"{__name__}.Forgetful")

    (found,) = faults(diagnostics.layer())

    assert "no message within 0.2 s" in found[0]


def test_a_missing_layer_is_reported_as_sufficient_for_one_process(use_layer):
    """One process needs no layer."""
    use_layer()

    (found,) = diagnostics.layer()

    assert found.words.startswith(
        "channel layer: InMemoryChannelLayer, because CHANNEL_LAYERS is not set: a message"
    )
    assert not found.cure


def test_a_missing_layer_between_processes_is_found(use_layer, settings):
    """Each process would query the database for the changes of the others."""
    use_layer()
    settings.REALTIME = {"PUBLISHER": False}

    assert ["limited to one process" in words for words, _ in faults(diagnostics.layer())] == [True]


# ---------------------------------------------------------------- what pages need


@pytest.mark.parametrize(
    "storage",
    ["config.static_files.HashedStaticFilesStorage", "django.contrib.staticfiles.storage.StaticFilesStorage"],
)
def test_static_files_that_were_not_collected_are_found(settings, tmp_path, storage):
    """Pages would not change any more, without an error message."""
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": storage},
    }

    (found,) = faults(diagnostics.static_files())

    assert found[0].startswith("static files: ")
    assert found[1] == "run `manage.py collectstatic --no-input`"


def test_the_application_of_this_project_is_well(log, static_files, monkeypatch):
    """A WebSocket is accepted, health and the page client are served."""
    monkeypatch.delitem(
        sys.modules, "config.asgi", raising=False
    )  # it may have been made without static files
    assert list(diagnostics.application()) == [
        Finding("WebSocket: accepted by config.asgi.application"),
        Finding("application: serves health"),
        Finding("application: serves the page client"),
    ]


django_alone: Any = get_asgi_application()
unwrapped = ProtocolTypeRouter(
    {
        "http": URLRouter([*http_urlpatterns, re_path("", django_alone)]),
        "websocket": URLRouter(websocket_urlpatterns),
    }
)
without_sockets = RealtimeApplication(ProtocolTypeRouter({"http": URLRouter(http_urlpatterns)}))
without_addresses = RealtimeApplication(
    ProtocolTypeRouter({"http": django_alone, "websocket": URLRouter(websocket_urlpatterns)})
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("django_alone", ["WebSocket: refused", "starts no engine", "answers realtime/live/ with 404"]),
        ("unwrapped", ["starts no engine"]),
        ("without_sockets", ["WebSocket: refused"]),
        ("without_addresses", ["answers realtime/live/ with 404"]),
        ("missing", ["application: "]),
    ],
)
def test_an_application_that_is_not_wired_is_found(log, settings, name, words):
    """Pages would stay "loading", without a word in the browser's console."""
    settings.ASGI_APPLICATION = f"{__name__}.{name}"

    found = faults(diagnostics.application())

    assert len(found) == len(words), found
    assert all(part in one for part, (one, _) in zip(words, found, strict=True)), found


def test_an_application_behind_tls_is_asked_as_its_proxy_asks(log, settings):
    """Otherwise it would redirect the request, and refuse the socket."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.ALLOWED_HOSTS = [".example.com"]

    assert faults(diagnostics.application()) == []
