"""The latency that a channel layer adds to a change, and its rate.

Group messages of 1 KiB are sent from one layer object to another one of the same kind: one at a time to measure the
latency, then in bursts to measure the rate.
"""

import asyncio
import time

from channels.layers import BaseChannelLayer, InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from .bench import Bench
from .outcome import Outcome, latency

MESSAGES = 2000
BURST = 90
"""Below the capacity of 100, above which a core layer drops messages."""


async def measure(
    sender: BaseChannelLayer, receiver: BaseChannelLayer, messages: int
) -> tuple[list[float], float]:
    """Return the latencies in milliseconds, and messages per second."""
    channel = await receiver.new_channel("bench")
    await receiver.group_add("bench", channel)
    await asyncio.sleep(0.3)
    message = {"type": "realtime.entry", "payload": "x" * 1024}
    taken = []
    for _ in range(messages):
        receiving = asyncio.create_task(receiver.receive(channel))
        await asyncio.sleep(0)
        began = time.perf_counter()
        await sender.group_send("bench", message)
        await receiving
        taken.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    bursts = max(1, messages // BURST)
    for _ in range(bursts):
        for _ in range(BURST):
            await sender.group_send("bench", message)
        for _ in range(BURST):
            await receiver.receive(channel)
    return taken, bursts * BURST / (time.perf_counter() - began)


async def added(bench: Bench, out: Outcome) -> None:
    """Group messages of 1 KiB from one layer object to another: in memory, and by Valkey."""
    in_memory, url = InMemoryChannelLayer(), bench.valkey.url
    layers = {
        "in memory": (in_memory, in_memory),
        "Valkey, core": (RedisChannelLayer([url]), RedisChannelLayer([url])),
        "Valkey, pub/sub": (RedisPubSubChannelLayer([url]), RedisPubSubChannelLayer([url])),
    }
    for name, (sender, receiver) in layers.items():
        with out.tolerating(name):
            taken, rate = await measure(sender, receiver, bench.count(MESSAGES))
            out.add("layers", {"": name, **latency(taken), "messages/s": rate})
