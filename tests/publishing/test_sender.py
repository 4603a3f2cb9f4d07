"""The sender: a layer that fails, hangs or is slow delays nothing but its own messages."""

import asyncio
import time
from typing import Any

import pytest

from realtime.models import LogEntry
from realtime.publishing import sender as module
from realtime.publishing.sender import Sender
from realtime.publishing.sequencer import Batch
from realtime.runtime import metrics


class ScriptedLayer:
    """Records what is sent; fails or hangs as a test sets it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.error: Exception | None = None
        self.hangs = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        self.sent.append((group, message["position"]))


def batch(*topics: str) -> Batch:
    entries = [
        LogEntry(
            topic=topic, kind="changes", after=0, begins=0, position=number, payload="[]", fingerprint=""
        )
        for number, topic in enumerate(topics, 1)
    ]
    return Batch("e", len(topics), entries)


@pytest.fixture
def layer() -> ScriptedLayer:
    return ScriptedLayer()


@pytest.fixture
def hints() -> list[str]:
    """One item for each time that the hub was asked to read the log."""
    return []


@pytest.fixture
def sender(layer, hints) -> Sender:
    return Sender(layer, lambda: hints.append("read the log"))


async def test_entries_are_sent_in_their_order(sender, layer, hints):
    """Each to the group of its topic."""
    sender.put(batch("boards", "entries.1"))

    await sender.send_next()
    await sender.send_next()

    assert layer.sent == [("realtime.topic.boards", 1), ("realtime.topic.entries.1", 2)]
    assert hints == []


def observed() -> tuple[float, float]:
    """Return how many times were observed until the layer had an entry, and their sum."""
    (family,) = metrics.sent.collect()
    values = {sample.name: sample.value for sample in family.samples}
    return values["realtime_sent_seconds_count"], values["realtime_sent_seconds_sum"]


async def test_the_time_since_the_write_is_observed_for_each_entry(sender, layer):
    """Where it is known, and only once the layer has the entry."""
    dated, undated = batch("boards"), batch("entries.1")
    dated.entries[0].written_at = time.time() - 1000
    sender.put(dated)
    sender.put(undated)
    count, total = observed()

    await sender.send_next()
    await sender.send_next()

    assert observed()[0] == count + 1
    assert 999 < observed()[1] - total < 2000

    layer.error = OSError("refused")
    sender.put(dated)
    await sender.send_next()
    assert observed()[0] == count + 1


async def test_an_entry_for_all_topics_of_a_feed_is_sent_to_everyone(sender, layer):
    """No hub is in a group of the feed's own name."""
    sender.put(batch("entries"))

    await sender.send_next()

    assert layer.sent == [("realtime.everyone", 1)]


@pytest.mark.parametrize("hangs, error", [(True, None), (False, OSError("refused"))], ids=["hangs", "fails"])
async def test_after_a_failure_the_queue_is_left_to_the_log(
    sender, layer, hints, monkeypatch, lines, hangs, error
):
    """Old messages are worth nothing when the layer is back; this process's hub reads the log at once."""
    monkeypatch.setattr(module, "SEND_SECONDS", 0.01)
    layer.hangs, layer.error = hangs, error
    sender.put(batch("boards", "entries.1", "entries.2"))

    await sender.send_next()

    layer.hangs, layer.error = False, None
    sender.put(batch("boards"))
    await sender.send_next()
    assert layer.sent == [("realtime.topic.boards", 1)]
    assert hints == ["read the log"]
    (line,) = lines(name="realtime.layer")
    assert line.startswith("not sent: ")
    assert "3 entries" in line


async def test_the_number_of_waiting_entries_is_limited(layer, monkeypatch):
    """More of them would only use memory: they are in the log."""
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    sender = Sender(layer, lambda: None)

    sender.put(batch("boards", "entries.1", "entries.2"))

    await sender.send_next()
    await sender.send_next()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sender.send_next(), 0.05)
    assert len(layer.sent) == 2
