"""The channel of a process on the layer: a layer that fails, hangs or forgets costs time and nothing else."""

import asyncio
from typing import Any

import pytest

from realtime.delivery import layer_channel
from realtime.delivery.layer_channel import LayerChannel
from realtime.publishing.layer import group
from tests.conftest import until
from tests.delivery.conftest import Follower, has_row


class ScriptedLayer:
    """A layer that fails, hangs or answers as a test sets it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False
        self.message: Any = None
        self.joined: list[str] = []

    async def _answer(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    async def new_channel(self, prefix: str) -> str:
        await self._answer()
        return f"{prefix}.channel"

    async def group_add(self, group: str, channel: str) -> None:
        await self._answer()
        self.joined.append(group)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._answer()
        self.joined.remove(group)

    async def receive(self, channel: str) -> Any:
        await self._answer()
        return self.message


@pytest.fixture
def scripted(monkeypatch) -> ScriptedLayer:
    """A scripted layer; time limits are short."""
    monkeypatch.setattr(layer_channel, "CALL_SECONDS", 0.01)
    monkeypatch.setattr(layer_channel, "RETRY_SECONDS", 0.0)
    return ScriptedLayer()


@pytest.mark.parametrize("hangs, error", [(True, None), (False, OSError("refused"))], ids=["hangs", "fails"])
async def test_no_call_waits_or_fails_longer_than_its_time_limit(scripted, hangs, error, lines):
    """A subscriber waits for its group; a stopping process waits until it has left."""
    channel = LayerChannel(scripted)
    await channel.open()
    scripted.hangs, scripted.error = hangs, error

    await channel.join("realtime.topic.boards")
    await channel.leave("realtime.topic.boards")

    assert any(line.startswith("not joined: ") for line in lines(name="realtime.layer"))


async def test_a_process_without_a_channel_requests_one_again(scripted):
    """Meanwhile it joins no group; afterwards it joins all of them."""
    channel = LayerChannel(scripted)
    scripted.error = OSError("refused")
    await channel.open()
    await channel.join("a")
    await channel.rejoin(["a", "b"])
    scripted.error = None

    assert await channel.receive() is None
    await channel.rejoin(["a", "b"])

    assert scripted.joined == ["a", "b"]


async def test_groups_are_joined_again_rarely_and_soon_after_a_failure(scripted, monkeypatch):
    """Once in ``REJOIN_SECONDS``; a failed join makes them due after ``RETRY_SECONDS``, here in the past."""
    monkeypatch.setattr(layer_channel, "RETRY_SECONDS", -1.0)
    channel = LayerChannel(scripted)
    await channel.open()
    await channel.rejoin(["a"])
    await channel.rejoin(["a"])
    assert scripted.joined == ["a"]

    scripted.error = OSError("refused")
    await channel.join("b")
    scripted.error = None
    await channel.rejoin(["a", "b"])

    assert scripted.joined == ["a", "a", "b"]


@pytest.mark.parametrize(
    "message, received", [({"type": "x"}, {"type": "x"}), (None, None), ("text", None), ([1], None)], ids=repr
)
async def test_only_dicts_are_messages(scripted, message, received):
    """Other programs may write anything to the layer."""
    channel = LayerChannel(scripted)
    await channel.open()
    scripted.message = message

    assert await channel.receive() == received


async def test_bytes_that_the_layer_cannot_unpack_are_skipped(scripted, lines):
    """The receiver goes on, and a line is logged."""
    channel = LayerChannel(scripted)
    await channel.open()
    scripted.error = ValueError("unpack failed")

    assert await channel.receive() is None
    assert lines(name="realtime.layer") == ["message not understood: ValueError('unpack failed')"]


async def test_a_lost_membership_is_renewed(quick, quay, topic, monkeypatch):
    """A flushed layer has lost its groups: the log delivers, and the group is joined again."""
    monkeypatch.setattr(layer_channel, "REJOIN_SECONDS", 0.05)
    follower = await Follower(topic).follow(quick.hub)
    quick.layer.groups.clear()

    await quick.write(quay.entries.create, label="meanwhile")

    await until(has_row(follower, "meanwhile"))
    await until(lambda: quick.layer.groups.get(group(topic)))


async def test_a_layer_that_is_down_costs_only_time(make_wire, layer, quay, topic, monkeypatch):
    """Joining and receiving fail; the log delivers."""

    async def refuse(*args: object) -> None:
        raise ConnectionError("no layer")

    monkeypatch.setattr(layer, "group_add", refuse)
    monkeypatch.setattr(layer, "receive", refuse)
    wire = await make_wire(0.01)
    follower = await Follower(topic).follow(wire.hub)

    await wire.write(quay.entries.create, label="still here")

    await until(has_row(follower, "still here"))
