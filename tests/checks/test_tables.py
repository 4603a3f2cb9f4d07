"""Tables without triggers, and tables that cannot have any, are reported where a check may query the database."""

import re

import pytest
from django.apps.registry import Apps
from django.db import connection, models

from realtime.checks.tables import check_capture
from realtime.feeds import registry
from tests.support.contents import DEMO_TABLES


def test_a_check_warns_of_missing_triggers(uninstalled):
    """A warning, with a hint: an error would block the ``migrate`` that repairs it."""
    warnings = check_capture(databases=["default"])

    assert {warning.id for warning in warnings} == {"realtime.W001"}
    assert {warning.is_serious() for warning in warnings} == {False}
    assert sorted(re.findall(r"table (\w+)", " ".join(warning.msg for warning in warnings))) == sorted(
        DEMO_TABLES
    )
    assert "migrate" in warnings[0].hint


@pytest.mark.parametrize("databases", [None, [], ["other"]])
def test_the_check_of_capture_reads_only_the_databases_it_is_given(uninstalled, databases):
    """A plain ``check`` reads no database."""
    assert check_capture(databases=databases) == []


def test_the_check_of_capture_is_silent_when_all_is_well(log):
    """Then ``check --database default`` reports nothing."""
    assert check_capture(databases=["default"]) == []


def test_the_check_of_capture_leaves_wrong_settings_to_their_own_check(log, settings):
    """Without usable settings it is unknown which database is captured."""
    settings.REALTIME = {"NO_SUCH_SETTING": 1}

    assert check_capture(databases=["default"]) == []


def test_a_live_model_over_a_view_is_an_error(declare, make_model, log):
    """No trigger notes its changes; one that has no table at all neither."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE VIEW throwaway_seen AS SELECT id, title FROM boards_board")
    options = {"app_label": "throwaway", "apps": Apps(), "managed": False}
    try:
        for table, words in (
            ("throwaway_seen", "throwaway_seen is a view"),
            ("nothing", "nothing is not in"),
        ):
            meta = type("Meta", (), {**options, "db_table": table})
            model = type(f"Of{table}", (models.Model,), {"__module__": __name__, "Meta": meta})
            declare(model)

            (error,) = [found for found in check_capture(["default"]) if found.is_serious()]

            assert error.id == "realtime.E006"
            assert words in error.msg
            registry.remove("probe")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP VIEW throwaway_seen")
