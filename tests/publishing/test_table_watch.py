"""The table watch; tests/contract/test_exchanged_tables.py has its promises on each database."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from realtime.models import OutboxRow, TriggerClaim
from realtime.publishing import capture
from realtime.publishing.table_watch import TableWatch
from tests.support.contents import DEMO_TABLES


@pytest.fixture
def table_watch(log) -> TableWatch:
    """A table watch that has settled everything."""
    table_watch = TableWatch()
    table_watch.look()
    table_watch.read_again()
    table_watch.look()
    return table_watch


def test_a_look_is_one_query_while_nothing_has_changed(table_watch):
    """Every process looks every second."""
    with CaptureQueriesContext(connection) as queries:
        table_watch.look()

    assert len(queries) == 1
    assert not table_watch.has_changed


def test_tables_are_read_again_once_whose_claims_say_nothing_of_them(table_watch):
    """As after an update from a release that stored nothing, or when the claims were lost."""
    TriggerClaim.objects.update(seen="")
    table_watch.forget()

    table_watch.look()
    assert table_watch.read_again() == sorted(DEMO_TABLES)
    table_watch.look()
    assert table_watch.read_again() == []


def test_claims_that_are_missing_are_made(table_watch):
    """Triggers that an older release has installed have none."""
    TriggerClaim.objects.all().delete()
    table_watch.forget()

    table_watch.look()

    assert table_watch.read_again() == sorted(DEMO_TABLES)
    table_watch.look()
    assert not table_watch.exchanged


def test_tables_that_lack_a_trigger_are_named_until_they_have_it(table_watch):
    """Changes by the engine itself are no reason to read a table again: it has been reset."""
    capture.uninstall(["boards_entry"])
    table_watch.look()
    assert table_watch.without_triggers == {"boards_entry"}
    assert not table_watch.exchanged
    OutboxRow.objects.all().delete()

    capture.install()
    table_watch.look()

    assert not table_watch.without_triggers
    assert table_watch.read_again() == []
    assert list(OutboxRow.objects.values_list("source", flat=True)) == ["boards_entry"]
