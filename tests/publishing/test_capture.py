"""Capture: the triggers match the feeds, are installed once, and are replaced when they are outdated."""

import re
from collections import Counter

import pytest
from django.db import connection, models
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from realtime.boards.models import Entry
from realtime.databases.captures import Capture
from realtime.databases.registry import database
from realtime.databases.sqlite.triggers import SQLiteTriggers
from realtime.feeds import registry
from realtime.models import TriggerClaim
from realtime.publishing import capture
from tests.support.contents import DEMO_TABLES


def trigger_names() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        return {name for (name,) in cursor.fetchall()}


def test_a_second_installation_does_nothing(log, images):
    """No table is locked, no reset is written."""
    names = trigger_names()

    assert capture.install() == []
    assert trigger_names() == names
    assert images(Entry) == []


@pytest.mark.parametrize("is_lacking, times", [(False, 1), (True, 4)])
def test_installing_examines_each_table_a_few_times(log, monkeypatch, is_lacking, times):
    """Not once more for each table that lacks its triggers: that took a start of many tables seconds."""
    if is_lacking:
        capture.uninstall()
    examined: Counter[str] = Counter()
    statements = SQLiteTriggers.statements

    def counted(triggers: SQLiteTriggers, needed: Capture) -> dict[str, str]:
        examined[needed.table] += 1
        return statements(triggers, needed)

    monkeypatch.setattr(SQLiteTriggers, "statements", counted)
    capture.install()

    assert set(examined.values()) == {times}


def test_uninstalling_drops_all_triggers_of_the_engine(uninstalled):
    """It may be repeated; afterwards the triggers of every live table are missing."""
    capture.uninstall()

    assert not [name for name in trigger_names() if name.startswith("realtime_")]
    assert {missing.table for missing in capture.missing()} == DEMO_TABLES


def test_triggers_of_some_tables_can_be_uninstalled(log):
    """The triggers of the other tables stay."""
    capture.uninstall(["boards_entry"])

    assert {missing.table for missing in capture.missing()} == {"boards_entry"}
    assert {installed.table for installed in capture.install()} == {"boards_entry"}


def test_an_installation_is_followed_by_a_reset(uninstalled, quay, log, images):
    """Changes made while the triggers were missing are found by reading the table again."""
    Entry.objects.create(board=quay, label="unseen")

    capture.install()

    assert images(Entry) == [None]
    names = {feed.name for feed in registry if feed.tables & DEMO_TABLES}
    assert names >= {
        "entries",
        "notices",
        "board",
        "boards",
        "staffboards",
        "screens",
        "messages",
        "reactions",
    }
    assert log.sequenced() == dict.fromkeys(names, "reset")


def test_one_missing_trigger_is_found(log):
    """All of a table's triggers are compared, by names that change with their definition."""
    name = next(name for name in trigger_names() if name.endswith("_delete"))
    with connection.cursor() as cursor:
        cursor.execute(f'DROP TRIGGER "{name}"')

    assert len(capture.missing()) == 1
    capture.install()
    assert capture.missing() == []


def test_a_trigger_of_an_older_definition_is_replaced(log, make_model, live):
    """The column of a new topic field is noted after the next installation; the old triggers are dropped."""
    things = make_model("Thing", shelf=models.IntegerField())
    live(things, name="things")
    before = trigger_names()

    live(things, name="things_by_shelf", topic_field="shelf")
    assert len(trigger_names()) > len(before), "another release may need the older triggers"
    TriggerClaim.objects.update(claimed_at=Now() - capture.CLAIM_TIME)
    capture.install()

    assert len(trigger_names()) == len(before)
    assert capture.missing() == []
    assert [one.columns for one in capture.captures(registry) if one.table == "throwaway_thing"] == [
        ("id", "shelf")
    ]


def test_triggers_of_a_table_that_is_no_longer_live_are_dropped(log, make_model, live):
    """Writes to such a table cost nothing extra."""
    live(make_model("Thing"), name="things")
    registry.remove("things")
    TriggerClaim.objects.update(claimed_at=Now() - capture.CLAIM_TIME)

    capture.install()

    assert "throwaway_thing" not in {trigger.table for trigger in database().triggers.installed()}


def test_a_rebuilt_table_has_lost_its_triggers(log, make_model, live):
    """Django rebuilds every table that it alters on SQLite; therefore migrations end with an installation."""
    things = make_model("Thing", name=models.CharField(max_length=10))
    live(things, name="things")
    wider = models.CharField(max_length=20)
    wider.set_attributes_from_name("name")
    wider.model = things

    with connection.schema_editor() as editor:
        editor.alter_field(things, things._meta.get_field("name"), wider)

    assert [missing.table for missing in capture.missing()] == ["throwaway_thing"]


@pytest.mark.parametrize("column", ["group", "a b", "sélection d'été", "a__b", "Größe", "x.y", "0"])
def test_any_column_name_can_be_captured(log, make_model, live, column):
    """Triggers name the column, not the field, and quote it."""
    things = make_model("Thing", shelf=models.IntegerField(db_column=column))
    live(things, name="things", topic_field="shelf")

    key = str(things.objects.create(shelf=5).pk)

    assert log.sequenced() == {"things.5": [("upsert", key)]}


def test_each_table_has_one_capture_with_the_columns_of_all_its_feeds(log, make_model, live):
    """The feeds of a table share its triggers."""
    things = make_model(
        "Thing",
        {"unique_together": [("shelf", "place")]},
        shelf=models.IntegerField(),
        place=models.IntegerField(),
    )
    live(things, name="by_shelf", topic_field="shelf")
    live(things, name="by_place", topic_field="place")

    (found,) = [one for one in capture.captures(registry) if one.table == "throwaway_thing"]

    assert found.columns == ("id", "shelf", "place")
    assert found.unique == (("id",), ("shelf", "place"))


def test_a_table_without_a_captured_column_is_not_captured(log, make_model, live):
    """A trigger that names a missing column would make every write fail; a migration may not have run yet."""
    things = make_model("Thing", shelf=models.IntegerField())
    live(things, name="things", topic_field="shelf")

    with connection.schema_editor() as editor:
        editor.alter_field(things, things._meta.get_field("shelf"), renamed(things, "rack"))

    assert "throwaway_thing" not in {found.table for found in capture.possible(database())}
    assert capture.missing() == []


def renamed(model: type[models.Model], name: str) -> models.Field:
    field = models.IntegerField()
    field.set_attributes_from_name(name)
    field.model = model
    return field


def test_claims_are_stored_in_the_order_of_their_names(log):
    """In another order than a process that reads tables again would lock them, each would wait for the other."""
    with CaptureQueriesContext(connection) as queries:
        capture.claim(database())

    (insert,) = [one["sql"] for one in queries if "INSERT" in one["sql"]]
    names = re.findall(r"realtime_[0-9a-f]{12}_\w+", insert)
    assert len(names) == 6 * len(DEMO_TABLES)
    assert names == sorted(names)
