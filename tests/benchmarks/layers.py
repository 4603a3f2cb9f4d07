"""The latency that a channel layer adds to a change, and its rate; part of ``make bench``. Prints Markdown.

    python -m tests.benchmarks.layers

Group messages of 1 KiB are sent from one layer object to another one of the same kind: one at a time to measure the
latency, then in bursts to measure the rate.
"""

import asyncio
import statistics
import time

from channels.layers import BaseChannelLayer, InMemoryChannelLayer
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from tests.support.valkey import Valkey

MESSAGES = 2000
BURST = 90
"""Below the capacity of 100, above which a core layer drops messages."""


async def measure(sender: BaseChannelLayer, receiver: BaseChannelLayer) -> tuple[float, float, float]:
    """Return p50 and p99 in milliseconds, and messages per second."""
    channel = await receiver.new_channel("bench")
    await receiver.group_add("bench", channel)
    await asyncio.sleep(0.3)
    message = {"type": "realtime.entry", "payload": "x" * 1024}
    taken = []
    for _ in range(MESSAGES):
        receiving = asyncio.create_task(receiver.receive(channel))
        await asyncio.sleep(0)
        began = time.perf_counter()
        await sender.group_send("bench", message)
        await receiving
        taken.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    for _ in range(MESSAGES // BURST):
        for _ in range(BURST):
            await sender.group_send("bench", message)
        for _ in range(BURST):
            await receiver.receive(channel)
    rate = MESSAGES // BURST * BURST / (time.perf_counter() - began)
    ordered = sorted(taken)
    return statistics.median(ordered), ordered[len(ordered) * 99 // 100], rate


async def main() -> None:
    valkey = Valkey()
    valkey.start()
    try:
        in_memory = InMemoryChannelLayer()
        layers = {
            "in memory": (in_memory, in_memory),
            "Valkey, core": (RedisChannelLayer([valkey.url]), RedisChannelLayer([valkey.url])),
            "Valkey, pub/sub": (RedisPubSubChannelLayer([valkey.url]), RedisPubSubChannelLayer([valkey.url])),
        }
        print("| channel layer | p50 ms | p99 ms | messages a second |")
        print("|---|---|---|---|")
        for name, (sender, receiver) in layers.items():
            p50, p99, rate = await measure(sender, receiver)
            print(f"| {name} | {p50:.2f} | {p99:.2f} | {rate:.0f} |", flush=True)
    finally:
        valkey.kill()


if __name__ == "__main__":
    asyncio.run(main())
