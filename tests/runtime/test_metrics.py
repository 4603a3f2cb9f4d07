"""Metrics: what Prometheus reads, and who may."""

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from prometheus_client.parser import text_string_to_metric_families

from realtime.publishing import log as the_log
from realtime.publishing import positions
from realtime.publishing.sequencer import sequence

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


async def test_without_a_token_nobody_bears_it(log, async_client):
    """An empty setting is no password."""
    response = await async_client.get(ADDRESS, headers={"Authorization": "Bearer "})

    assert response.status_code == 403


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 403)])
async def test_staff_may_read(log, async_client, is_staff, status):
    """Whoever else is signed in may not."""
    user = await get_user_model().objects.acreate(username="somebody", is_staff=is_staff)
    await async_client.aforce_login(user)

    assert (await async_client.get(ADDRESS)).status_code == status
