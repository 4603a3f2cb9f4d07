"""The catalog: what has become of live tables; tests/contract/test_exchanged_tables.py has what is noticed where."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.models import OutboxRow, TriggerClaim
from realtime.publishing import capture
from realtime.publishing.catalog import Catalog


@pytest.fixture
def catalog(log) -> Catalog:
    """A catalog that has settled everything."""
    catalog = Catalog()
    catalog.look()
    catalog.read_again()
    catalog.look()
    return catalog


def test_a_look_is_one_query_while_nothing_has_changed(catalog):
    """Every process looks every second."""
    with CaptureQueriesContext(connection) as queries:
        catalog.look()

    assert len(queries) == 1
    assert not catalog.has_changed


def test_tables_are_read_again_once_whose_claims_say_nothing_of_them(catalog):
    """As after an update from a release that stored nothing, or when the claims were lost."""
    TriggerClaim.objects.update(seen="")
    catalog.forget()

    catalog.look()
    assert catalog.read_again() == ["boards_board", "boards_entry"]
    catalog.look()
    assert catalog.read_again() == []


def test_claims_that_are_missing_are_made(catalog):
    """Triggers that an older release has installed have none."""
    TriggerClaim.objects.all().delete()
    catalog.forget()

    catalog.look()

    assert catalog.read_again() == ["boards_board", "boards_entry"]
    catalog.look()
    assert not catalog.exchanged


def test_tables_that_lack_a_trigger_are_named_until_they_have_it(catalog):
    """What the engine changes itself is no reason to read a table again: it has been reset."""
    capture.uninstall(["boards_entry"])
    catalog.look()
    assert catalog.without_triggers == {"boards_entry"}
    assert not catalog.exchanged
    OutboxRow.objects.all().delete()

    capture.install()
    catalog.look()

    assert not catalog.without_triggers
    assert catalog.read_again() == []
    assert list(OutboxRow.objects.values_list("source", flat=True)) == ["boards_entry"]
