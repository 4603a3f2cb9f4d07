"""``manage.py publish``: run the publisher in a process without a server."""

import asyncio
import signal
from typing import Any

from channels.layers import get_channel_layer
from django.core.management.base import BaseCommand

from realtime.conf import get_conf
from realtime.publishing.publisher import Publisher


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
        publisher = Publisher(get_channel_layer(), get_conf().floor_seconds)
        publisher.start()
        self.stdout.write(f"publishing as {publisher.name}; stop with Ctrl-C")
        await stopped.wait()
        await publisher.stop()
        self.stdout.write("stopped")
