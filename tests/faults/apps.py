"""What a process of the suite may be told to do wrong, by its environment; the product has no such hooks.

``DIE_AT``: kill yourself at a step of the publisher's cycle; ``CLOCK_AHEAD``: seconds that the clock is ahead.
"""

import os
import signal
import time

from django.apps import AppConfig
from django.utils import timezone

STEPS = ("before_commit", "after_commit", "before_send", "after_send")
PASSES = 3  # die at the third time, in the midst of work


class FaultsConfig(AppConfig):
    name = "tests.faults"

    def ready(self) -> None:
        if step := os.environ.get("DIE_AT"):
            _die_at(step)
        if seconds := float(os.environ.get("CLOCK_AHEAD", "0")):
            _set_ahead(seconds)


def _die_at(step: str) -> None:
    from channels_redis.pubsub import RedisPubSubLoopLayer

    from realtime.publishing import log, publisher

    passes = 0

    def die() -> None:
        nonlocal passes
        passes += 1
        if passes >= PASSES:
            os.kill(os.getpid(), signal.SIGKILL)

    append, sequence = log.append, publisher.sequence
    group_send = RedisPubSubLoopLayer.group_send

    def dying_append(entries):
        append(entries)
        die()

    def dying_sequence(*arguments):
        batch = sequence(*arguments)
        if batch is not None:
            die()
        return batch

    async def dying_group_send(self, *arguments):
        if step == "before_send":
            die()
        await group_send(self, *arguments)
        if step == "after_send":
            die()

    if step == "before_commit":
        log.append = dying_append
    elif step == "after_commit":
        publisher.sequence = dying_sequence
    else:
        RedisPubSubLoopLayer.group_send = dying_group_send


def _set_ahead(seconds: float) -> None:
    clock, now = time.time, timezone.now
    time.time = lambda: clock() + seconds
    timezone.now = lambda: now() + timezone.timedelta(seconds=seconds)
