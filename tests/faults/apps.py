"""Faults inside a process, selected by its environment; the product itself has no such hooks.

``DIE_AT``: the step of the publisher's cycle at which the process kills itself. ``FREEZE_AFTER``, such as ``reader:7``:
the statement in the transactions of its reader threads after which it freezes itself. ``CLOCK_AHEAD``: the number of
seconds that its clock is ahead.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.utils import timezone

STEPS = ("before_commit", "after_commit", "before_send", "after_send")
PASSES = 3
"""At which pass of the step the process kills itself: not the first, so that it is in the midst of work."""


class FaultsConfig(AppConfig):
    name = "tests.faults"

    def ready(self) -> None:
        if step := os.environ.get("DIE_AT"):
            _die_at(step)
        if place := os.environ.get("FREEZE_AFTER"):
            thread, _, number = place.partition(":")
            _freeze_after(f"realtime-{thread}", int(number))
        if seconds := float(os.environ.get("CLOCK_AHEAD", "0")):
            _set_ahead(seconds)


def _die_at(step: str) -> None:
    from channels_redis.pubsub import RedisPubSubLoopLayer

    from realtime.databases.outbox import Probe
    from realtime.models import LogEntry
    from realtime.publishing import log, publisher, sequencer
    from realtime.publishing.sequencer import Batch

    passes = 0

    def die() -> None:
        nonlocal passes
        passes += 1
        if passes >= PASSES:
            os.kill(os.getpid(), signal.SIGKILL)

    append, sequence = log.append, sequencer.sequence
    group_send = RedisPubSubLoopLayer.group_send

    def dying_append(added: Sequence[LogEntry]) -> None:
        append(added)
        die()

    def dying_sequence(seen: Probe, quiet: Probe | None = None) -> Batch | None:
        batch = sequence(seen, quiet)
        if batch is not None:
            die()
        return batch

    async def dying_group_send(self: RedisPubSubLoopLayer, *arguments: object) -> None:
        if step == "before_send":
            die()
        await group_send(self, *arguments)
        if step == "after_send":
            die()

    if step == "before_commit":
        log.append = dying_append
    elif step == "after_commit":
        vars(publisher)["sequence"] = dying_sequence  # the publisher has imported it by name
    else:
        RedisPubSubLoopLayer.group_send = dying_group_send


def _freeze_after(thread: str, number: int) -> None:
    """Freeze the process right after a statement in a transaction of these threads; another one can continue it."""
    lock = threading.Lock()
    executed = 0

    def count(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        nonlocal executed
        result = execute(sql, params, many, context)
        if context["connection"].in_atomic_block and threading.current_thread().name.startswith(thread):
            with lock:
                executed += 1
                is_due = executed == number
            if is_due:
                os.kill(os.getpid(), signal.SIGSTOP)
        return result

    def watch(connection: Any, **kwargs: object) -> None:
        connection.execute_wrappers.append(count)

    connection_created.connect(watch, weak=False)


def _set_ahead(seconds: float) -> None:
    clock, now = time.time, timezone.now
    time.time = lambda: clock() + seconds
    timezone.now = lambda: now() + timedelta(seconds=seconds)
