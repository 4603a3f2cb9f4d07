"""Outbox rows with values that no row of a feed can have: each touches its own row at most, and never another."""

import datetime
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import connection, models

from realtime.boards.models import Board, Entry
from realtime.feeds import Feed, registry
from realtime.publishing import capture
from realtime.publishing.slow_feeds import slow_feeds
from tests.contract.conftest import Follower
from tests.contract.test_units_of_failure import sequence, spoil


class Marked(models.Model):
    """A row whose key and topic are texts."""

    mark: Any = models.TextField(primary_key=True)
    shelf: Any = models.TextField(null=True)
    name = models.TextField(default="")

    objects: Any = models.Manager()

    class Meta:
        app_label = "throwaway"
        apps = Apps()


class Dated(models.Model):
    """A row whose key and topic are dates."""

    mark: Any = models.DateField(primary_key=True)
    shelf: Any = models.DateField(null=True)
    name = models.TextField(default="")

    objects: Any = models.Manager()

    class Meta:
        app_label = "throwaway"
        apps = Apps()


class FusedField(models.TextField):
    """A third-party field, whose converter raises for one text what would end a thread, task or process."""

    error: BaseException

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value == "fuse":
            raise self.error
        return value


class Fused(models.Model):
    mark: Any = models.TextField(primary_key=True)
    shelf: Any = FusedField(null=True)
    name = models.TextField(default="")

    objects: Any = models.Manager()

    class Meta:
        app_label = "throwaway"
        apps = Apps()


@pytest.fixture
def live(database) -> Iterator[Callable[[Any], Feed]]:
    """A function that makes a model's table and registers a feed ``things`` for it."""

    def register(model: Any) -> Feed:
        with connection.schema_editor() as editor:
            editor.create_model(model)
        registry.add(
            type("ThrowAwayFeed", (Feed,), {"name": "things", "fields": ["name"], "topic_field": "shelf"})(
                model
            )
        )
        capture.install()
        database.sequence()
        return registry["things"]

    yield register
    registry.remove("things")


NO_VALUES = [
    '"x"', "[1, 2]", '{"a": 1}', '""', "1.5", '["x"]', "9" * 400, str(2**63), str(-(2**63) - 1), "1e400", "[]", '[""]',
    '"' + "x" * 100_000 + '"', '"' + "9" * 1_000_000 + '"', "[" * 200 + "]" * 200,
]  # fmt: skip
"""JSON values that are no integer of a column."""


def test_a_topic_that_no_row_has_touches_its_row_alone(database):
    """The row is read; no other topic of its feed is read again."""
    follower, other = Follower("entries.2"), Follower("entries.1")
    for value in NO_VALUES:
        spoil("boards_entry", f'{{"id": 3, "board_id": {value}}}')
    Entry.objects.filter(pk=4).update(label="beside it")

    told = sequence(database)

    assert told.pop("entries.2") == "changes"
    assert told.pop("entries.1") == "changes"
    assert "entries" not in told  # a number may be the topic of no board, of which the row leaves
    for each in (follower, other):
        each.follow()
        each.assert_equals_source()
        assert each.reads == 1


def test_a_key_that_no_row_has_touches_nothing(database):
    """The change beside it is sequenced."""
    follower = Follower("entries.2")
    for value in [*NO_VALUES, "null"]:
        spoil("boards_entry", f'{{"id": {value}, "board_id": 2}}')
    Entry.objects.filter(pk=3).update(label="beside it")

    assert sequence(database) == {"entries.2": "changes"}
    follower.follow()
    follower.assert_equals_source()
    assert follower.reads == 1


def test_a_flood_with_a_topic_that_no_row_has_resets_the_others_one_by_one(database, settings):
    """The images are looked at for their topics only."""
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 2}
    for value in NO_VALUES:
        spoil("boards_entry", f'{{"id": 3, "board_id": {value}}}')
    Entry.objects.filter(board=2).update(label="flood")

    told = sequence(database)

    assert told.pop("entries.2") == "reset"
    assert "entries" not in told


@pytest.mark.parametrize("column", ["mark", "shelf"])
def test_halves_of_surrogate_pairs_touch_their_row_alone(database, live, column):
    """JSON may contain halves of surrogate pairs, which PostgreSQL refuses."""
    live(Marked)
    Marked.objects.create(mark="a", shelf="s", name="1")
    sequence(database)
    follower = Follower("things.s")
    for value in ["\\ud800", "a\\udfff", "\\udc80\\ud800"] if database.vendor == "sqlite" else []:
        image = {"mark": "a", "shelf": "s"} | {column: value}
        spoil("throwaway_marked", f'{{"mark": "{image["mark"]}", "shelf": "{image["shelf"]}"}}')
    Marked.objects.filter(mark="a").update(name="2")

    assert sequence(database) == {"things.s": "changes"}
    follower.follow()
    follower.assert_equals_source()
    assert follower.reads == 1


BAD_TEXTS = ["CAST(X'61FF' AS text)", "CAST(X'FF' AS text)", "CAST(X'EDA080' AS text)"]
"""SQL of values in a column of text on SQLite that are no text: bytes that are not UTF-8, and a surrogate."""


@pytest.mark.parametrize("bad", BAD_TEXTS)
def test_text_that_is_not_utf8_is_left_out_and_comes_back(database, live, bad):
    """As topic, as key and as another field: the rows beside it are sequenced, one at a time and as a flood."""
    if database.vendor != "sqlite":
        pytest.skip("PostgreSQL refuses it")
    live(Marked)
    Marked.objects.bulk_create(Marked(mark=mark, shelf="s", name="good") for mark in "abcd")
    sequence(database)
    follower = Follower("things.s")

    database.sql(
        f"UPDATE throwaway_marked SET shelf = {bad} WHERE mark = 'a'",
        f"UPDATE throwaway_marked SET mark = {bad} WHERE mark = 'b'",
        f"UPDATE throwaway_marked SET name = {bad} WHERE mark = 'c'",
        "UPDATE throwaway_marked SET name = 'better' WHERE mark = 'd'",
    )

    assert sequence(database) == {"things.s": "changes"}
    follower.follow()
    follower.assert_equals_source()
    assert follower.reads == 1
    assert "d" in {row.key for row in follower.topic.rows}
    assert not {"a", "b"} & {row.key for row in follower.topic.rows}

    database.sql(
        f"UPDATE throwaway_marked SET shelf = 's' WHERE shelf = {bad}",
        f"UPDATE throwaway_marked SET mark = 'b' WHERE mark = {bad}",
        "UPDATE throwaway_marked SET name = 'good' WHERE mark = 'c'",
    )

    assert sequence(database) == {"things.s": "changes"}
    follower.follow()
    follower.assert_equals_source()
    assert [row.key for row in follower.topic.rows] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("bad", BAD_TEXTS)
def test_a_flood_with_text_that_is_not_utf8_resets_the_other_topics(database, live, bad, settings):
    """Neither is the feed reset, nor does the round fail for a source that cannot be read."""
    if database.vendor != "sqlite":
        pytest.skip("PostgreSQL refuses it")
    settings.REALTIME = {**settings.REALTIME, "MAX_BATCH_ROWS": 2}
    live(Marked)
    Marked.objects.bulk_create(Marked(mark=mark, shelf="s") for mark in "abcd")
    sequence(database)

    database.sql(
        f"UPDATE throwaway_marked SET shelf = {bad} WHERE mark = 'a'",
        f"INSERT INTO realtime_outboxrow (source, image) VALUES ({bad}, '{{}}')",
        "UPDATE throwaway_marked SET name = 'better'",
    )

    assert sequence(database) == {"things.s": "reset"}


BAD_DATES = ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01"]


@pytest.mark.parametrize("bad", BAD_DATES)
def test_a_date_that_python_does_not_have_is_left_out_and_comes_back(database, live, bad):
    """As topic and as key: the rows beside it are sequenced."""
    if database.vendor != "postgresql":
        pytest.skip("a text on SQLite, as above")
    live(Dated)
    days = [datetime.date(2026, 1, day) for day in (1, 2, 3)]
    Dated.objects.bulk_create(Dated(mark=day, shelf=days[0], name="good") for day in days)
    sequence(database)
    follower = Follower(f"things.{days[0]}")

    database.sql(
        f"UPDATE throwaway_dated SET shelf = '{bad}' WHERE mark = '2026-01-01'",
        f"UPDATE throwaway_dated SET mark = '{bad}' WHERE mark = '2026-01-02'",
        "UPDATE throwaway_dated SET name = 'better' WHERE mark = '2026-01-03'",
    )

    assert sequence(database) == {"things.2026-01-01": "changes"}
    follower.follow()
    follower.assert_equals_source()
    assert follower.reads == 1
    assert [row.key for row in follower.topic.rows] == ["2026-01-03"]

    database.sql(
        f"UPDATE throwaway_dated SET shelf = '2026-01-01' WHERE shelf = '{bad}'",
        f"UPDATE throwaway_dated SET mark = '2026-01-02' WHERE mark = '{bad}'",
    )

    assert sequence(database) == {"things.2026-01-01": "changes"}
    follower.follow()
    follower.assert_equals_source()
    assert len(follower.topic.rows) == 3


@pytest.mark.parametrize("written_at", [math.inf, -math.inf, -1e300, 1e300, 0.0])
def test_a_time_of_writing_that_cannot_be_affects_nothing(database, written_at):
    """It is shown as lag only."""
    spoil("boards_entry", '{"id": 3, "board_id": 2}')
    with connection.cursor() as cursor:
        cursor.execute("UPDATE realtime_outboxrow SET written_at = %s", [written_at])

    from realtime.publishing import log

    assert log.tail(0).waiting_seconds >= 0
    assert sequence(database) == {"entries.2": "changes"}


# ---------------------------------------------------------------- reading rows by their keys


@pytest.mark.parametrize("bad", [["\ud800"], ["\udcff", "x\ud800y", "\udfff"]], ids=len)
def test_a_key_that_cannot_be_asked_for_keeps_no_other_row_from_being_read(database, live, bad):
    """The query is divided until the bad key is alone, by few queries."""
    feed = live(Marked)
    good = [f"{number:03}" for number in range(200)]
    Marked.objects.bulk_create(Marked(mark=mark, shelf="s") for mark in good)
    keys = good[:50] + bad[:1] + good[50:] + bad[1:]
    queries = []

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        queries.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(count):
        found = feed.read_rows(keys)

    assert sorted(found) == good
    assert (
        len([sql for sql in queries if "SAVEPOINT" not in sql]) <= 1 + len(bad) * 2 * len(keys).bit_length()
    )


ENDINGS = pytest.mark.parametrize(
    "error", [SystemExit(1), GeneratorExit(), BaseException("quit")], ids=lambda error: type(error).__name__
)


@ENDINGS
@pytest.mark.parametrize("is_slow", [False, True])
def test_a_converter_that_ends_more_than_its_call_touches_its_row_alone(
    database, live, monkeypatch, error, is_slow
):
    """Its row is in no topic, and returns when its value can be read; also while the feed is slow."""
    monkeypatch.setattr(FusedField, "error", error, raising=False)
    feed = live(Fused)
    Fused.objects.create(mark="a", shelf="s")
    Fused.objects.create(mark="b", shelf="s")
    sequence(database)
    follower, other = Follower("things.s"), Follower("entries.2")
    if is_slow:
        slow_feeds.note(feed, 1.0, "a test", {})

    database.sql("UPDATE throwaway_fused SET shelf = 'fuse' WHERE mark = 'a'")
    database.sql("UPDATE throwaway_fused SET name = 'beside it' WHERE mark = 'b'")
    Entry.objects.filter(pk=3).update(label="beside it")

    kind = "reset" if is_slow else "changes"
    assert sequence(database) == {"things.s": kind, "entries.2": "changes"}
    for each in (follower, other):
        each.follow()
        each.assert_equals_source()
    assert [row.key for row in follower.topic.rows] == ["b"]
    database.sql("UPDATE throwaway_fused SET shelf = 's' WHERE mark = 'a'")
    sequence(database)
    follower.follow()
    assert [row.key for row in follower.topic.rows] == ["a", "b"]


@ENDINGS
def test_a_feed_that_ends_more_than_its_call_when_rights_change_stops_no_other(database, monkeypatch, error):
    """All rights to its own topics are asked again."""

    def topics_in_question(table: str, image: Any) -> set[str]:
        raise error

    monkeypatch.setattr(registry["entries"], "topics_in_question", topics_in_question)
    Board.objects.filter(pk=3).update(is_public=False)

    told = sequence(database)

    assert told["entries"] == "rights"
    assert "board.3" in told
