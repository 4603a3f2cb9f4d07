"""``manage.py publish``: run the publisher in a process without a server."""

import asyncio
import signal
from concurrent.futures import TimeoutError as NotInTime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseError
from prometheus_client import start_http_server

from realtime.conf import get_conf
from realtime.delivery.health import ANSWER_SECONDS
from realtime.publishing import log
from realtime.publishing.layer import channel_layer
from realtime.publishing.publisher import Publisher, publisher_leads
from realtime.runtime import metrics
from realtime.runtime.metrics import Figure
from realtime.runtime.threads import DatabaseThreads


class Command(BaseCommand):
    help = (
        "Sequence changes, send them to the channel layer and run the periodic jobs, until stopped. "
        "Required if REALTIME['PUBLISHER'] is off in all servers; otherwise a standby."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(self._publish())

    async def _publish(self) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        publisher = Publisher(channel_layer(), get_conf().floor_seconds)
        where = _serve_metrics(publisher, get_conf().publisher_metrics)
        publisher.start()
        self.stdout.write(f"publishing as {publisher.name}{where}; stop with Ctrl-C")
        self.stdout.flush()  # a pipe or a journal would show it at the end
        await stopped.wait()
        await publisher.stop()
        self.stdout.write("stopped")


def _serve_metrics(publisher: Publisher, address: str) -> str:
    """Serve the metrics in a thread, if an address is set; return words for the start line.

    Raises: CommandError, if the address cannot be used.
    """
    if not address:
        return ""
    host, _, port = address.rpartition(":")
    thread = DatabaseThreads("realtime-health", 1)
    try:
        start_http_server(
            int(port), host.strip("[]"), registry=metrics.registry(lambda: _figures(publisher, thread))
        )
    except (OSError, ValueError, OverflowError) as error:
        raise CommandError(
            f"PUBLISHER_METRICS is {address!r}: {error}; write a free address, such as 127.0.0.1:9101"
        ) from error
    return f", metrics at http://{address}/"


def _figures(publisher: Publisher, thread: DatabaseThreads) -> list[Figure]:
    """Return figures of the publisher, and of outbox and log if the database answers in time."""
    asked = thread.submit(log.sizes)
    try:
        sizes = asked.result(timeout=ANSWER_SECONDS)
    except (DatabaseError, NotInTime):
        asked.cancel()  # unless a query still runs: the next one waits behind it
        sizes = None
    up = Figure("database_up", "1 if the database answers.", int(sizes is not None))
    return [publisher_leads(publisher.leads), *(sizes or []), up]
