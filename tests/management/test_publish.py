"""``manage.py publish``: publishes until a signal stops it."""

import asyncio
import io
import os
import signal

import pytest

from realtime.management.commands.publish import Command
from realtime.models import LogEntry
from tests.conftest import until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_changes_are_published_until_a_signal_arrives(log, layer, quay, in_database, number):
    """The command then stops by itself; supervisors and Ctrl-C need nothing else."""
    output = io.StringIO()
    publishing = asyncio.create_task(Command(stdout=output)._publish())
    await until(lambda: "publishing as " in output.getvalue())
    await in_database(quay.entries.create, label="new")
    published = LogEntry.objects.filter(topic=f"entries.{quay.pk}", payload__contains="new")
    while not await in_database(published.exists):
        assert not publishing.done()

    os.kill(os.getpid(), number)
    await asyncio.wait_for(publishing, 10)

    assert output.getvalue().endswith("stopped\n")
