"""The lease: one process at a time has it, until it releases it or stops renewing it."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from realtime.models import Sequencer
from realtime.publishing import lease


def test_a_lease_belongs_to_one_holder_until_it_expires(log, settings):
    """Only its holder renews it; it is free at once when released."""
    assert lease.acquire("one")
    assert lease.acquire("one")
    assert not lease.acquire("two")

    settings.REALTIME = {"LEASE_SECONDS": -1}
    assert lease.acquire("one")
    assert lease.acquire("two")

    settings.REALTIME = {}
    assert lease.acquire("two")
    lease.release("two")
    assert lease.acquire("one")


@pytest.mark.parametrize("hours", [3, 24 * 365 * 10], ids=["a time zone", "ten years"])
def test_a_lease_from_before_the_clock_was_set_back_is_free(log, hours):
    """Its holder may have been killed: no process would run jobs or prune for that long."""
    assert lease.acquire("killed")
    Sequencer.objects.update(expires_at=Now() + timedelta(hours=hours))

    assert lease.acquire("next")
    assert not lease.acquire("another")


def test_only_the_holder_releases_a_lease(log):
    """A process that lost the lease long ago does not end the next one's."""
    assert lease.acquire("two")

    lease.release("one")

    assert not lease.acquire("one")


def test_the_holder_is_named_while_its_lease_lasts(log, settings):
    """An expired or released lease has no holder."""
    assert lease.holder() is None
    lease.acquire("one")
    assert lease.holder() == "one"

    settings.REALTIME = {"LEASE_SECONDS": -1}
    lease.acquire("one")
    assert lease.holder() is None


def test_a_holder_that_works_shows_signs_of_life(log):
    """By another renewal or another round of sequencing; without a holder there is no name."""
    assert lease.signs_of_life()[0] == ""
    lease.acquire("one")
    name, signs = lease.signs_of_life()
    assert name == "one"
    assert lease.signs_of_life() == (name, signs)

    Sequencer.objects.update(sequenced_at=Now() + timedelta(seconds=1))

    assert lease.signs_of_life()[1] != signs
