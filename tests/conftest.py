"""Fixtures for tests that use Django: a fresh log, models that are live for one test, an application, its clients."""

import asyncio
import contextlib
import gc
import json
import logging
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.layers import channel_layers
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.testing import WebsocketCommunicator
from django.apps.registry import Apps
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db import connection, connections, models
from django.db.models.functions import Now
from django.test import Client
from django.utils import translation
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker

from realtime.access import password_attempts
from realtime.boards.models import Board, Entry
from realtime.changes import handlers
from realtime.databases.registry import database
from realtime.delivery import audience, broadcasts, layer_channel
from realtime.engine.messages import decode_changes
from realtime.feeds import Feed, registry
from realtime.log_filters import FewOfAKind, FirstOfASeries
from realtime.models import LogEntry, OutboxRow, Sequencer, TriggerClaim
from realtime.publishing import capture, feed_changes, positions
from realtime.publishing.log import EVERYONE
from realtime.publishing.sequencer import Batch, sequence
from realtime.publishing.slow_feeds import SlowFeeds
from realtime.publishing.table_watch import TableWatch
from realtime.routing import http_urlpatterns, unknown_websocket, websocket_urlpatterns
from realtime.runtime.threads import close_former_connections
from realtime.service import Service, get_service
from realtime.transports.application import RealtimeApplication
from tests.support.matrix import mark_repetitions
from tests.support.memory import keep_files_in_memory
from tests.support.shares import Shares, longest_first

Summary = dict[str, list[tuple[str, str]] | str]
PATIENCE_SECONDS = 45.0

keep_files_in_memory()

# No property test fails because the machine was slow.
hypothesis_settings.register_profile("untimed", deadline=None)
hypothesis_settings.load_profile("untimed")

# A shell that starts the tests in the background has them ignore Ctrl-C, and the programs that they start would, too.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The history of the boards and the page of operators have feeds of their own, and tests count the log's entries.
registry.remove("allentries")
registry.remove("allboards")
registry.remove("realtime_processes")
handlers.pop("boards.history", None)
handlers.pop("boards.history_of_boards", None)


ALL_OF_SERVERS = [Path(__file__).parent / name for name in ("browser", "contract", "processes")]
"""Folders whose conftest.py marks every test."""

INTEGRATED = {"application", "client"}
"""Fixtures whose tests take five times as long as the others: a started engine, and a client that asks for pages."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no test of a server where none is to run: it takes seconds of each worker."""
    is_quick = config.option.markexpr == "not integration and not server and not browser and not matrix"
    return (is_quick and collection_path in ALL_OF_SERVERS) or None


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    mark_repetitions(items)  # before pytest selects tests by their marks
    for item in items:
        if not INTEGRATED.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)
    yield
    items[:] = longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares | None:
    return Shares(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Take the tests and all modules out of garbage collections, each of which would take longer than many tests."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> None:
    """Hash passwords quickly: the default takes half a second for each sign-in, to slow down guessing."""
    django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def no_static_files() -> None:
    """Let no client's handler look for the static files: it takes longer than the requests of most tests."""
    django_settings.SERVESTATIC_USE_FINDERS = django_settings.SERVESTATIC_USE_STATIC_ROOT = False


@pytest.fixture
def static_files(settings) -> None:
    """Serve the static files, as the project does."""
    settings.SERVESTATIC_USE_FINDERS = True


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Let SQLite wait for no disk: the test database need not survive a power failure."""
    connections.settings["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"


@pytest.fixture(scope="session")
def migrated(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[sqlite3.Connection]:
    """A copy of the test database as the migrations leave it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as copy:
        with django_db_blocker.unblock():
            table_watch = TableWatch()
            table_watch.look()
            table_watch.read_again()
            connection.connection.backup(copy)
        yield copy


@pytest.fixture
def transactional_db(migrated: sqlite3.Connection, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let a test commit, and restore the database after it: in a tenth of the time of pytest-django's flush."""
    with django_db_blocker.unblock():
        yield
        close_former_connections()  # here: in a later test, its first request would close them
        connection.close()
        connection.ensure_connection()
        migrated.backup(connection.connection)


@pytest.fixture(autouse=True)
def fresh_password_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test be refused for the wrong passwords of others."""
    monkeypatch.setattr(password_attempts, "attempts", password_attempts.PasswordAttempts())


@pytest.fixture(autouse=True)
def site_language() -> None:
    """Begin in the site's language: that of the last request stays active in a thread."""
    translation.deactivate()


class Log:
    """Sequences the outbox and reads the log for a test."""

    @property
    def state(self) -> Sequencer:
        return Sequencer.objects.get(pk=Sequencer.ROW)

    def sequence(self) -> Batch | None:
        """Do what a tick of the publisher does."""
        return sequence(positions.probe())

    def sequenced(self) -> Summary:
        """Sequence; return for each topic its sorted (op, key) pairs, or the kind of its entry."""
        batch = self.sequence()
        return {} if batch is None else summary(batch.entries)

    def entries(self, topic: str) -> list[LogEntry]:
        return list(LogEntry.objects.filter(topic=topic).order_by("position", "id"))


def summary(entries: list[LogEntry]) -> Summary:
    """Return what changed in each topic; not where only rights may have changed: for that see ``in_question``."""
    summary: Summary = {}
    for entry in entries:
        is_of_rows = entry.topic != EVERYONE and bool(entry.payload)
        if entry.kind == LogEntry.Kind.CHANGES or (entry.kind == LogEntry.Kind.RIGHTS and is_of_rows):
            changes: list[tuple[str, str]] = [
                (change.op, change.key) for change in decode_changes(entry.payload)
            ]
            if changes or entry.kind == LogEntry.Kind.CHANGES:
                summary[entry.topic] = sorted(changes)
        else:
            summary[entry.topic] = str(entry.kind)
    return summary


def in_question(entries: list[LogEntry]) -> set[str]:
    """Return the topics, and the feeds, before whose changes the rights of subscribers are asked again."""
    return {entry.topic for entry in entries if entry.kind == LogEntry.Kind.RIGHTS}


@pytest.fixture
def log(transactional_db, settings, monkeypatch) -> Log:
    """A log with a new epoch; all earlier changes are sequenced. On a loaded machine no feed is slow, either."""
    settings.REALTIME = {"FEED_SECONDS": 20.0, "READ_SECONDS": 60.0, **getattr(settings, "REALTIME", {})}
    monkeypatch.setattr(feed_changes, "slow_feeds", SlowFeeds())
    for known in ("_failures", "_logged"):
        monkeypatch.setattr(capture, known, {})
    # A restored database is a changed one; without this every table would be read again.
    TriggerClaim.objects.update(seen=database().common_state(), claimed_at=Now())
    positions.begin_epoch()
    return Log()


@pytest.fixture
def uninstalled(log) -> Iterator[None]:
    """A log whose tables have lost their triggers."""
    capture.uninstall()
    yield
    capture.install()


@pytest.fixture
def images(log) -> Callable[[type[models.Model]], list[tuple[object, ...] | None]]:
    """A function that returns the values of each image that a table's triggers have noted since the log began."""

    def since_the_beginning(model: type[models.Model]) -> list[tuple[object, ...] | None]:
        rows = OutboxRow.objects.filter(source=model._meta.db_table, id__gte=log.state.next).order_by("id")
        noted = rows.values_list("image", flat=True)
        return [None if image is None else tuple(image.values()) for image in noted]

    return since_the_beginning


@pytest.fixture
def quay(log) -> Board:
    """A public board with two entries, already sequenced."""
    board = Board.objects.create(slug="quay", title="The quay")
    Entry.objects.create(board=board, label="Saltmere", position=1)
    Entry.objects.create(board=board, label="Kelpstone", position=2)
    log.sequence()
    return board


@pytest.fixture
def safe(log) -> Board:
    """A board for staff only, with one entry, already sequenced."""
    board = Board.objects.create(slug="safe", title="Harbour safe", is_public=False)
    Entry.objects.create(board=board, label="Combination", value="s3cret")
    log.sequence()
    return board


@pytest.fixture
def live(log) -> Iterator[Callable[..., Feed]]:
    """A function that registers a feed for one test: ``live(Model, name=…, topic_field=…)``."""
    names: list[str] = []

    def register(model: type[models.Model], /, **attributes: Any) -> Feed:
        attributes.setdefault("can_subscribe", lambda self, user, key: True)
        feed = type("ThrowAwayFeed", (Feed,), attributes)(model)
        registry.add(feed)
        names.append(feed.name)
        capture.install()
        log.sequence()
        return feed

    yield register
    for name in names:
        registry.remove(name)  # its triggers end with the database


@pytest.fixture
def sociable(monkeypatch) -> type[Feed]:
    """The feed of entries, whose viewers are counted quickly and named, and may broadcast."""
    feed = type(registry["entries"])
    monkeypatch.setattr(feed, "presence", "names")
    monkeypatch.setattr(feed, "can_broadcast", lambda self, user, key: True, raising=False)
    monkeypatch.setattr(audience, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(broadcasts, "QUESTION_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(layer_channel, "CALL_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(broadcasts, "QUESTION_LOOKS", 1000)
    return feed


@pytest.fixture
def make_model(log) -> Callable[..., type[models.Model]]:
    """A function that creates a model and its table for one test: ``make_model("Thing", name=CharField(…))``."""

    def make(name: str, meta: dict[str, Any] | None = None, /, **columns: Any) -> type[models.Model]:
        options = {"app_label": "throwaway", "apps": Apps(), **(meta or {})}
        model = type(
            name,
            (models.Model,),
            {"__module__": __name__, "Meta": type("Meta", (), options), **columns},
        )
        with connection.schema_editor() as editor:
            editor.create_model(model)
        return model

    return make  # the tables end with the database


@pytest.fixture(autouse=True)
def fresh_log_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no line of a test be dropped or changed for those of earlier tests."""
    monkeypatch.setattr(logging.getLogger("realtime.layer"), "filters", [FirstOfASeries()])
    for handler in logging.getLogger().handlers:
        for one in handler.filters:
            if isinstance(one, FewOfAKind):
                monkeypatch.setattr(one, "_kinds", {})


@pytest.fixture
def lines(caplog, monkeypatch) -> Callable[..., list[str]]:
    """A function that returns the logged lines of ``realtime``, all or of one level: ``lines(logging.WARNING)``."""
    monkeypatch.setattr(logging.getLogger("realtime"), "propagate", True)
    caplog.set_level(logging.DEBUG, logger="realtime")

    def logged(level: int | None = None, name: str = "realtime") -> list[str]:
        return [
            record.getMessage() + ("\nTraceback" if record.exc_info else "")
            for record in caplog.records
            if record.name.startswith(name) and level in (None, record.levelno)
        ]

    return logged


@pytest.fixture
def layer() -> Iterator[Any]:
    """A channel layer for one test."""
    channel_layers.backends.clear()
    yield channel_layers["default"]
    channel_layers.backends.clear()


@pytest.fixture
async def application(log, layer, settings) -> AsyncIterator[RealtimeApplication]:
    """The ASGI application with quick ticks; its service is stopped after the test."""
    settings.REALTIME = {"TICK_SECONDS": 0.01, "FLOOR_SECONDS": 0.2, **getattr(settings, "REALTIME", {})}
    sockets = URLRouter([*websocket_urlpatterns, unknown_websocket])
    yield RealtimeApplication(ProtocolTypeRouter({"http": URLRouter(http_urlpatterns), "websocket": sockets}))
    await get_service().stop()


@pytest.fixture
async def service(application) -> Service:
    """The started service of the application."""
    await get_service().ensure_started()
    return get_service()


class Peer(WebsocketCommunicator):
    """A WebSocket client that sends and receives JSON."""

    async def open(self) -> dict[str, Any]:
        """Connect and return the welcome message."""
        is_accepted, _ = await self.connect(PATIENCE_SECONDS)
        assert is_accepted, "the handshake was refused"
        return await self.receive()

    _pings = 0

    async def send(self, type: str, **fields: Any) -> None:
        self._pings += type == "ping"
        await self.send_to(text_data=json.dumps({"type": type, **fields}))

    async def receive(self) -> dict[str, Any]:
        """Return the next message, without unrequested heartbeats, which may arrive at any time."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            message = await self._receive_any()
            if message["type"] != "heartbeat":
                return message
            if self._pings:
                self._pings -= 1
                return message
        raise AssertionError(f"nothing but heartbeats in {PATIENCE_SECONDS} s")

    async def _receive_any(self) -> dict[str, Any]:
        return json.loads(await self.receive_from(PATIENCE_SECONDS))

    async def receive_next(self, type: str, topic: str | None = None) -> dict[str, Any]:
        """Return the next message of this type, and of this topic if given; drop all messages before it."""
        while True:
            message = await self._receive_any()
            if message["type"] == type and topic in (None, message.get("topic")):
                return message

    async def receive_rest(self) -> tuple[list[dict[str, Any]], int]:
        """Return all messages until the connection is closed, and the close code."""
        messages: list[dict[str, Any]] = []
        while True:
            event = await self.receive_output(PATIENCE_SECONDS)
            if event["type"] == "websocket.close":
                return messages, event["code"]
            messages.append(json.loads(event["text"]))

    async def follow(self, topic: str, position: str | None = None, format: str = "rows") -> dict[str, Any]:
        """Subscribe and return the first message about the topic."""
        await self.send("subscribe", topic=topic, position=position, format=format)
        while True:
            message = await self.receive()
            if message.get("topic") == topic:
                return message


@pytest.fixture
async def connect(application) -> AsyncIterator[Callable[..., Peer]]:
    """A function that returns a client, by default with the handshake of a browser; all disconnect after the test."""
    peers: list[Peer] = []

    def make(
        origin: str | None = "http://localhost",
        host: str = "localhost",
        session: str | None = None,
        subprotocols: list[str] | None = None,
        headers: list[tuple[bytes, bytes]] | None = None,
        path: str = "/realtime/ws/",
        query: str = "",
    ) -> Peer:
        given = [(b"host", host.encode()), *(headers or [])]
        if origin is not None:
            given.append((b"origin", origin.encode()))
        if session is not None:
            given.append((b"cookie", f"{django_settings.SESSION_COOKIE_NAME}={session}".encode()))
        peer = Peer(application, f"{path}?{query}" if query else path, given, subprotocols)
        peer.scope["client"] = ["127.0.0.1", 9]
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        if peer.future is not None and not peer.future.done():
            await peer.disconnect(timeout=PATIENCE_SECONDS)


@pytest.fixture
def staff(transactional_db):
    return get_user_model().objects.create_user("staff", password="words", is_staff=True)


@pytest.fixture
def sign_in(transactional_db) -> Callable[[Any], str]:
    """A function that signs in a user and returns the session key."""

    def session_of(user: Any) -> str:
        client = Client()
        client.force_login(user)
        return client.cookies[django_settings.SESSION_COOKIE_NAME].value

    return session_of


@pytest.fixture
def in_database() -> Callable[..., Any]:
    """A function that gives another one database access in an asynchronous test: ``await in_database(entry.save)``."""

    async def run(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await database_sync_to_async(function)(*args, **kwargs)

    return run


async def until(condition: Callable[..., Any], seconds: float = PATIENCE_SECONDS) -> None:
    """Run the event loop until a condition holds: for state that no message reports."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
