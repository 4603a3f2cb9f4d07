"""``manage.py publish``: publishes until a signal stops it."""

import asyncio
import io
import os
import signal
import socket
import threading
import urllib.request

import pytest
from django.core.management.base import CommandError
from django.db import OperationalError
from prometheus_client.parser import text_string_to_metric_families

from realtime.management.commands import publish
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
    await asyncio.wait_for(publishing, 60)

    assert output.getvalue().endswith("stopped\n")


@pytest.fixture
async def published(log, layer, settings):
    """The address of the metrics of a command that publishes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    settings.REALTIME = {"PUBLISHER_METRICS": address}
    output = io.StringIO()
    publishing = asyncio.create_task(Command(stdout=output)._publish())
    await until(lambda: "publishing as " in output.getvalue())
    assert f", metrics at http://{address}/; stop with Ctrl-C" in output.getvalue()
    yield address
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(publishing, 30)


async def read(address: str) -> dict[str, float]:
    """Return the metrics, as Prometheus reads them."""

    def fetch() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as response:
            return response.read().decode()

    text = await asyncio.to_thread(fetch)
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_publisher_without_a_server_has_metrics(published):
    """Its own, and those of outbox and log, which no server's may be compared with where servers do not publish."""
    found = await read(published)
    while not found["realtime_publisher_leads"] or "realtime_publisher_age_seconds" not in found:
        found = await read(published)

    assert found["realtime_database_up"] == 1
    assert found["realtime_outbox_waiting"] == 0
    assert found["realtime_publisher_age_seconds"] < 60
    assert "realtime_entries_published_total" in found


@pytest.mark.parametrize("is_hanging", [False, True], ids=["away", "hangs"])
async def test_a_publishers_metrics_survive_the_database(published, monkeypatch, is_hanging):
    """Figures of the process itself are shown; those of the database are absent."""
    may_end = threading.Event()

    def fail() -> list:
        may_end.wait(60 if is_hanging else 0)
        raise OperationalError("away")

    monkeypatch.setattr(publish, "ANSWER_SECONDS", 0.1 if is_hanging else 30.0)
    monkeypatch.setattr("realtime.publishing.log.sizes", fail)

    found = await read(published)
    may_end.set()

    assert found["realtime_database_up"] == 0
    assert "realtime_publisher_leads" in found
    assert "realtime_outbox_waiting" not in found


@pytest.mark.parametrize("address", ["9101x", "127.0.0.1:", "127.0.0.1:99999", "203.0.113.1:9101"])
async def test_an_address_that_cannot_be_used_is_reported(log, layer, settings, address):
    """The command ends before it publishes."""
    settings.REALTIME = {"PUBLISHER_METRICS": address}

    with pytest.raises(CommandError, match="write a free address"):
        await Command(stdout=io.StringIO())._publish()
