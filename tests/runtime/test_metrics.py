"""Metrics: what Prometheus reads, and which clients may read it."""

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.db.backends.signals import connection_created
from django.db.models.functions import Now
from django.test import AsyncRequestFactory
from prometheus_client import Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from realtime import views
from realtime.models import Sequencer
from realtime.publishing import log as the_log
from realtime.publishing import positions
from realtime.publishing.sequencer import sequence
from realtime.runtime import metrics, threads
from realtime.service import get_service
from tests.conftest import until

ADDRESS = "/realtime/metrics/"


def figures(response) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


@pytest.fixture
def bearer(settings) -> dict[str, str]:
    settings.REALTIME = {**getattr(settings, "REALTIME", {}), "METRICS_TOKEN": "a token"}
    return {"Authorization": "Bearer a token"}


async def test_outbox_and_log_are_measured(log, quay, bearer, async_client):
    """A change waits, then it is sequenced, then pruned from the outbox."""
    before = figures(await async_client.get(ADDRESS, headers=bearer))
    await sync_to_async(quay.entries.create)(label="new")

    waiting = figures(await async_client.get(ADDRESS, headers=bearer))
    assert waiting["realtime_outbox_waiting"] == before["realtime_outbox_waiting"] + 1

    await sync_to_async(lambda: sequence(positions.probe()))()
    await sync_to_async(the_log.prune)()
    after = figures(await async_client.get(ADDRESS, headers=bearer))
    assert after["realtime_outbox_rows"] == after["realtime_outbox_waiting"] == 0
    assert after["realtime_log_entries"] > before["realtime_log_entries"]
    assert after["realtime_log_end"] == after["realtime_sequenced"] > before["realtime_sequenced"]
    assert "realtime_entries_published_total" in after


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer another", "a token"])
async def test_others_are_refused(log, bearer, async_client, authorization):
    """In words that say what to do."""
    response = await async_client.get(ADDRESS, headers={"Authorization": authorization})

    assert response.status_code == 403
    assert "METRICS_TOKEN" in response.content.decode()


async def test_without_a_token_in_the_settings_no_request_bears_it(log, async_client):
    """An empty setting is no password."""
    response = await async_client.get(ADDRESS, headers={"Authorization": "Bearer "})

    assert response.status_code == 403


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 403)])
async def test_staff_may_read(log, async_client, is_staff, status):
    """Other signed-in users may not."""
    user = await get_user_model().objects.acreate(username="somebody", is_staff=is_staff)
    await async_client.aforce_login(user)

    assert (await async_client.get(ADDRESS)).status_code == status


@pytest.mark.parametrize("error", [OperationalError("gone away"), TimeoutError()], ids=repr)
async def test_a_database_that_is_away_takes_no_figure_of_the_process_with_it(
    service, bearer, monkeypatch, error
):
    """The figures of the process are needed most then."""

    async def ask(question):
        raise error

    monkeypatch.setattr(service.health, "ask", ask)
    request = AsyncRequestFactory().get(ADDRESS, headers=bearer)

    found = figures(await views.metrics(request))

    assert found["realtime_database_up"] == 0
    assert found["realtime_connections"] == 0
    assert "realtime_outbox_rows" not in found


async def test_figures_of_the_process_and_of_the_database_are_shown_together(service, bearer):
    """With the lag, slow feeds and topics that cannot be read."""
    found = figures(await views.metrics(AsyncRequestFactory().get(ADDRESS, headers=bearer)))

    assert found["realtime_database_up"] == 1
    for name in ("behind_seconds", "slow_feeds", "unreadable_topics", "outbox_oldest_seconds"):
        assert found[f"realtime_{name}"] == 0


async def test_refusals_and_ends_are_counted_by_code(connect, service, secret_topic):
    """The codes of this server only: those of clients could be any number."""
    before = counted()
    peer = connect()
    await peer.open()
    await peer.send("subscribe", topic=secret_topic)
    await peer.receive_next("error")
    await peer.send("subscribe", topic="nonsense")
    await peer.receive_next("error")
    await peer.disconnect(code=3999)
    other = connect()
    await other.open()
    service.dismiss()
    await other.receive_rest()
    await other.disconnect()

    after = counted()
    grown = {key: after[key] - before.get(key, 0) for key in after if after[key] > before.get(key, 0)}
    assert grown == {
        ("refusals", "4403"): 1, ("refusals", "4404"): 1, ("closes", "client"): 1, ("closes", "4512"): 1,
    }  # fmt: skip


@pytest.fixture
def secret_topic(safe) -> str:
    return f"entries.{safe.pk}"


def counted() -> dict[tuple[str, str], float]:
    """Return the refusals and closes so far, by code."""
    return {
        (name, sample.labels["code"]): sample.value
        for name, counter in (("refusals", metrics.refusals), ("closes", metrics.closes))
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def test_staff_are_told_that_they_cannot_be_recognised_without_the_database(service, monkeypatch):
    """By a status that a balancer and a person understand, instead of a traceback; the token needs no database."""

    async def fail(request):
        raise OperationalError("gone away")

    monkeypatch.setattr(views, "_is_staff", fail)

    response = await views.metrics(AsyncRequestFactory().get(ADDRESS))

    assert response.status_code == 503
    assert "METRICS_TOKEN" in response.content.decode()


async def test_a_process_that_cannot_write_does_not_lead_and_counts_its_failures(service, bearer, settings):
    """On a full disk, or a database that has become read-only: nothing waits then, because nothing can be noted."""
    settings.REALTIME = {**settings.REALTIME, "LEASE_SECONDS": 0.6, "MAX_LAG_SECONDS": 0.5}

    async def read() -> dict[str, float]:
        return figures(await views.metrics(AsyncRequestFactory().get(ADDRESS, headers=bearer)))

    def is_led() -> bool:
        return service.publisher.leads

    await until(is_led, 60)
    before = await read()
    is_full = True

    def fill(connection, **kwargs) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA query_only = {int(is_full)}")

    connection_created.connect(fill)
    try:
        threads.reopen_connections()
        await until(lambda: not service.publisher.leads, 60)
        failed = await read()
        while failed["realtime_publisher_age_seconds"] < 1 or not await service.health.problems():
            failed = await read()
        problems = await service.health.problems()
        is_full = False
        threads.reopen_connections()
        await until(is_led, 60)
    finally:
        connection_created.disconnect(fill)

    assert before["realtime_publisher_leads"] == 1
    assert failed["realtime_publisher_leads"] == 0
    assert failed["realtime_outbox_waiting"] == 0
    assert failed["realtime_failed_rounds_total"] > before.get("realtime_failed_rounds_total", 0)
    assert any(problem.startswith("publisher: none has sequenced for ") for problem in problems)


async def test_a_server_that_does_not_publish_shows_how_long_nothing_was_published(
    application, log, bearer, settings, in_database
):
    """It leads nothing, and what waits may be 0 although no process works; the age is that of whichever published."""
    settings.REALTIME = {**settings.REALTIME, "PUBLISHER": False}
    await get_service().ensure_started()
    await in_database(lambda: Sequencer.objects.update(sequenced_at=Now() - timedelta(seconds=90)))

    found = figures(await views.metrics(AsyncRequestFactory().get(ADDRESS, headers=bearer)))

    assert (found["realtime_publisher_leads"], found["realtime_outbox_waiting"]) == (0, 0)
    assert 89 <= found["realtime_publisher_age_seconds"] < 300


async def test_before_anything_was_published_there_is_no_age(application, log, bearer, in_database):
    """Zero would mean that all is well."""
    await in_database(lambda: Sequencer.objects.update(sequenced_at=None))

    found = figures(await views.metrics(AsyncRequestFactory().get(ADDRESS, headers=bearer)))

    assert "realtime_publisher_age_seconds" not in found


def test_totals_and_counts_are_read_from_the_metrics():
    """For pages of ours, which show what Prometheus would compute."""
    histogram = Histogram("seconds_of_a_test", "For a test.", registry=None)
    counter = Counter("things_of_a_test", "For a test.", ["code"], registry=None)
    assert (metrics.totals(histogram), metrics.by_label(counter)) == ((0, 0), {})

    histogram.observe(0.25)
    histogram.observe(20.0)
    counter.labels(4403).inc(2)
    counter.labels("client").inc()

    assert metrics.totals(histogram) == (2, 20.25)
    assert metrics.by_label(counter) == {"4403": 2, "client": 1}
