"""Two servers on one database and a Valkey that fails: every change arrives, and later uses Valkey again."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgpack
import pytest
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from realtime.delivery import layer_channel
from realtime.publishing.layer import group
from tests.support import servers
from tests.support.client import Client
from tests.support.servers import Project, Server
from tests.support.valkey import Valkey

TOPIC = "entries.1"


@pytest.fixture
def on_redis(project: Project) -> Callable[..., Project]:
    """Return the project with its channel layer on these addresses."""

    def make(*addresses: str, **environment: str) -> Project:
        project.environment |= {"REDIS_URL": ",".join(addresses), **environment}
        return project

    return make


@contextlib.contextmanager
def two_servers(project: Project) -> Iterator[list[Server]]:
    with servers.running(project, "daphne") as one, servers.running(project, "uvicorn") as other:
        yield [one, other]


class Watch:
    """A client at each server; ``shows`` writes a value with sqlite3 and waits until all clients have it."""

    def __init__(self, project: Project, running: list[Server]) -> None:
        self._database = project.connect()
        self._running = running
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.clients = [
            await self._stack.enter_async_context(Client(server.socket_url, TOPIC))
            for server in self._running
        ]
        for client in self.clients:
            await client.until_snapshot()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()
        self._database.close()

    async def shows(self, value: str) -> None:
        self._database.execute("UPDATE boards_entry SET value = ? WHERE id = 1", [value])
        for client in self.clients:
            await client.until_row("1", f'"{value}"')


def subscriptions(server: Valkey) -> int:
    """Return how many processes have joined the topic's group at that server."""
    channels = subscribed_channels(server, f"*{group(TOPIC)}")
    if not channels:
        return 0
    counts = server.command("PUBSUB", "NUMSUB", *channels)
    assert isinstance(counts, list)
    return sum(counts[1::2])


def subscribed_channels(server: Valkey, pattern: str = "*") -> list[bytes]:
    channels = server.command("PUBSUB", "CHANNELS", pattern)
    assert isinstance(channels, list)
    return channels


async def joined(*valkeys: Valkey) -> None:
    """Wait until both processes have joined the topic's group, which is at one of the servers."""
    async with asyncio.timeout(60):
        while sum(map(subscriptions, valkeys)) < 2:
            await asyncio.sleep(0.1)


async def test_changes_arrive_whatever_fails_in_valkey(
    on_redis: Callable[..., Project], valkey: Valkey
) -> None:
    """It is killed, frozen and flushed, and its clients are disconnected: afterwards the groups are joined again."""
    project = on_redis(valkey.url)
    with two_servers(project) as running:
        async with Watch(project, running) as watch:
            await joined(valkey)
            await watch.shows("through valkey")

            valkey.kill()
            await watch.shows("while it is dead")
            valkey.start()
            await joined(valkey)
            await watch.shows("through the new one")

            valkey.freeze()
            await watch.shows("while it is frozen")
            valkey.thaw()
            await joined(valkey)

            valkey.command("FLUSHALL")
            await watch.shows("after a flush")
            for kind in ("normal", "pubsub"):
                valkey.command("CLIENT", "KILL", "TYPE", kind)
            await watch.shows("after all clients were disconnected")
            await joined(valkey)

        assert all(client.connections == 1 for client in watch.clients), "a page was disconnected"
    for server in running:
        assert "Traceback" not in server.log.read_text()


async def test_a_server_starts_without_its_layer(on_redis: Callable[..., Project], valkey: Valkey) -> None:
    """Changes arrive by way of the log; when the layer is available, its groups are joined."""
    valkey.kill()
    project = on_redis(valkey.url)
    with two_servers(project) as running:
        async with Watch(project, running) as watch:
            await watch.shows("without a layer")
            valkey.start()
            await joined(valkey)
            await watch.shows("with it")


async def test_unknown_messages_from_the_layer_are_ignored(
    on_redis: Callable[..., Project], valkey: Valkey
) -> None:
    """Garbage, other types, other versions and Channels' own events are sent to the group and to the process."""
    unknown = [
        b"\xc1 garbage",
        msgpack.packb({1: 2}),
        msgpack.packb(["no", "message"]),
        msgpack.packb({"type": "websocket.disconnect", "code": 1000}),
        msgpack.packb({"type": "of.the.future", "text": "x"}),
        msgpack.packb({"type": "realtime.entry", "version": 2}),
        msgpack.packb({"type": "realtime.entry", "epoch": "x", "topic": TOPIC, "kind": "changes", "after": 0,
                       "begins": 0, "position": 10**15, "payload": "[{]"}),
    ]  # fmt: skip
    project = on_redis(valkey.url)
    with two_servers(project) as running:
        async with Watch(project, running) as watch:
            await joined(valkey)
            for channel in subscribed_channels(valkey):
                for message in unknown:
                    valkey.command("PUBLISH", channel, message)
            await watch.shows("after the unknown messages")
            assert all(client.connections == 1 for client in watch.clients)
    for server in running:
        assert "Traceback" not in server.log.read_text()


async def test_groups_are_spread_over_two_servers(
    on_redis: Callable[..., Project], valkey: Valkey, shared_valkey: Valkey
) -> None:
    """When one is killed, the changes of its groups arrive by way of the log."""
    # The prefix decides where a group is; with one made from a random key all may be at one server.
    project = on_redis(valkey.url, shared_valkey.url, REDIS_PREFIX="tests")
    with two_servers(project) as running:
        async with contextlib.AsyncExitStack() as stack:
            for topic in ("entries.2", "board.1", "board.2", "boards"):
                client = await stack.enter_async_context(Client(running[0].socket_url, topic))
                await client.until_snapshot()
            async with Watch(project, running) as watch:
                await joined(valkey, shared_valkey)
                async with asyncio.timeout(60):
                    while not all(map(subscribed_channels, (valkey, shared_valkey))):
                        await asyncio.sleep(0.1)
                await watch.shows("through one of two")
                valkey.kill()
                await watch.shows("with one of two")
                for client in watch.clients:
                    assert client.connections == 1


async def test_deployments_on_one_valkey_do_not_receive_each_others_notices(
    on_redis: Callable[..., Project], tmp_path: Path, prepared: Project, shared_valkey: Valkey
) -> None:
    """A notice to every page reaches only the pages of its own deployment."""
    ours = on_redis(shared_valkey.url)
    theirs = servers.copy(
        prepared, tmp_path / "theirs", REDIS_URL=shared_valkey.url, SECRET_KEY="another one"
    )
    with servers.running(ours, "uvicorn") as one, servers.running(theirs, "uvicorn") as other:
        async with Client(one.socket_url, TOPIC) as here, Client(other.socket_url, TOPIC) as there:
            for client in (here, there):
                await client.until_snapshot()
            ours.manage("broadcast", "for us")
            theirs.manage("broadcast", "for them")
            await here.until(lambda: "for us" in str(here.seen))
            await there.until(lambda: "for them" in str(there.seen))
            assert "for them" not in str(here.seen)
            assert "for us" not in str(there.seen)


async def test_a_large_change_is_sent_as_a_hint(
    on_redis: Callable[..., Project], shared_valkey: Valkey
) -> None:
    """No message over 256 KiB goes through the layer; the other server reads the log."""
    project = on_redis(shared_valkey.url)
    with two_servers(project) as running:
        async with Watch(project, running) as watch:
            await joined(shared_valkey)
            database = project.connect()
            database.execute("UPDATE boards_entry SET note = ? WHERE board_id = 1", ["x" * 100_000])
            keys = [str(key) for (key,) in database.execute("SELECT id FROM boards_entry WHERE board_id = 1")]
            for client in watch.clients:
                for key in keys:
                    await client.until_row(key, "xxxx")
            database.close()


@pytest.mark.parametrize("kind", [RedisChannelLayer, RedisPubSubChannelLayer], ids=["core", "pub/sub"])
async def test_hundreds_of_groups_are_joined_and_renewed_without_a_failure(
    kind: Callable[..., Any], shared_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the first subscribers of many topics join them at once, and after a failure all are renewed."""
    monkeypatch.setattr(layer_channel, "CALL_SECONDS", 60.0)  # for a slow machine
    layer = kind(hosts=[shared_valkey.url], prefix=f"many-{kind.__name__}")
    channel = layer_channel.LayerChannel(layer)
    await channel.open()
    groups = [f"group.{number}" for number in range(300)]

    await asyncio.gather(*map(channel.join, groups))
    assert len(channel._renew_at) == len(groups)
    channel._renew_at.clear()
    await channel.rejoin(groups)

    assert len(channel._renew_at) == len(groups)
    await channel.leave(*groups)
    await layer.flush()
