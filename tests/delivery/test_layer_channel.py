"""The channel of a process on the layer: a layer that fails, hangs or forgets costs time and nothing else."""

import asyncio
import time
from itertools import pairwise
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


# ---------------------------------------------------------------- thousands of groups


class BusyLayer(ScriptedLayer):
    """A layer whose calls each take some turns of the event loop; it counts those under way."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.at_once = self.most_at_once = 0
        self.failing: set[str] = set()

    async def _answer(self) -> None:
        self.calls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            await super()._answer()
        finally:
            self.at_once -= 1

    async def group_add(self, group: str, channel: str) -> None:
        await super().group_add(group, channel)
        if group in self.failing:
            raise OSError("refused")


GROUPS = [f"group.{number}" for number in range(300)]


@pytest.fixture
async def busy(monkeypatch) -> tuple[BusyLayer, LayerChannel]:
    """A busy layer and a channel on it, without pauses between calls, with time for a slow machine."""
    monkeypatch.setattr(layer_channel, "PACE_SECONDS", 0.0)
    monkeypatch.setattr(layer_channel, "CALL_SECONDS", 60.0)
    layer = BusyLayer()
    channel = LayerChannel(layer)
    await channel.open()
    return layer, channel


async def test_hundreds_of_groups_are_joined_a_few_at_a_time(busy):
    """All at once, most would fail: they would wait in the layer for longer than their time limit."""
    layer, channel = busy

    await asyncio.gather(*map(channel.join, GROUPS))
    joined = layer.most_at_once
    layer.most_at_once = 0
    channel._renew_at.clear()
    await channel.rejoin(GROUPS)
    renewed = layer.most_at_once
    layer.most_at_once = 0
    await channel.leave(*GROUPS, *GROUPS)

    assert joined == layer_channel.CALLS_AT_ONCE
    assert renewed == layer_channel.RENEWALS_AT_ONCE
    assert layer.most_at_once == layer_channel.CALLS_AT_ONCE
    assert layer.joined == []


async def test_a_subscriber_does_not_wait_until_all_groups_are_renewed(busy):
    """Its group is joined between them."""
    layer, channel = busy
    renewing = asyncio.create_task(channel.rejoin(GROUPS))
    while not layer.joined:
        await asyncio.sleep(0)

    await channel.join("new")

    assert len(layer.joined) < len(GROUPS) / 2
    await renewing
    assert sorted(layer.joined) == sorted([*GROUPS, "new"])


async def test_renewing_gives_the_event_loop_a_turn_after_each_few_groups(busy, monkeypatch):
    """Also if the layer answers at once, as the one in memory."""
    layer, channel = busy
    monkeypatch.setattr(BusyLayer, "_answer", ScriptedLayer._answer)
    turns: list[int] = []
    renewing = asyncio.create_task(channel.rejoin(GROUPS))

    while not renewing.done():
        turns.append(len(layer.joined))
        await asyncio.sleep(0)

    assert max(after - before for before, after in pairwise(turns)) <= layer_channel.CALLS_AT_ONCE


async def test_after_a_failure_thousands_of_joins_do_not_each_wait_for_the_time_limit(busy, monkeypatch):
    """Waiting joins are given up at once: their topics follow the log until the layer is tried again."""
    layer, channel = busy
    monkeypatch.setattr(layer_channel, "CALL_SECONDS", 0.01)
    monkeypatch.setattr(layer_channel, "RETRY_SECONDS", 1000.0)
    layer.hangs = True

    await asyncio.gather(*map(channel.join, GROUPS))
    await channel.rejoin(GROUPS)

    assert layer.calls == 1 + layer_channel.CALLS_AT_ONCE
    monkeypatch.setattr(layer_channel, "CALL_SECONDS", 60.0)
    monkeypatch.setattr(channel, "_retry_at", 0.0)
    layer.hangs = False
    await channel.rejoin(GROUPS)
    assert sorted(layer.joined) == sorted(GROUPS)


async def test_a_group_that_always_fails_does_not_have_the_others_joined_for_ever(busy, monkeypatch):
    """One failure puts all memberships in doubt; further ones, until all are renewed, only their own."""
    layer, channel = busy
    monkeypatch.setattr(layer_channel, "RETRY_SECONDS", -1.0)
    layer.failing = {GROUPS[100]}

    for _ in range(5):
        await channel.rejoin(GROUPS)

    assert all(layer.joined.count(group) <= 2 for group in GROUPS if group not in layer.failing)
    assert layer.joined.count(GROUPS[100]) == 5


async def test_groups_that_were_joined_together_are_renewed_apart(busy, monkeypatch):
    """Spread over the second half of the interval; and sooner, if the layer lets memberships expire earlier."""
    layer, channel = busy
    await channel.rejoin(GROUPS)
    now = time.monotonic()

    due = sorted(at - now for at in channel._renew_at.values())

    assert due[0] > 0
    assert due[-1] <= layer_channel.REJOIN_SECONDS
    assert due[-1] - due[0] > layer_channel.REJOIN_SECONDS / 4
    layer.group_expiry = 10
    channel._renew_at.clear()
    await channel.rejoin(GROUPS)
    assert max(channel._renew_at.values()) <= time.monotonic() + 5


async def test_a_group_that_is_joined_while_it_is_left_is_joined_again(busy):
    """Which call reached the layer last is not known."""
    layer, channel = busy
    await channel.join("a")

    await asyncio.gather(channel.leave("a"), channel.join("a"))
    await channel.rejoin(["a"])

    assert layer.calls == 5  # the channel, two joins, one that leaves, and the last
    assert layer.joined[-1] == "a"
