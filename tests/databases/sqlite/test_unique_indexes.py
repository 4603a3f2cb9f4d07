"""INSERT and UPDATE OR REPLACE: every row that it replaces is noted, and none is searched for without an index."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.db.models.functions import Collate, Length, Lower, Mod

from realtime.databases.captures import Capture
from realtime.databases.sqlite.triggers import SQLiteTriggers
from realtime.models import OutboxRow
from realtime.publishing import capture
from tests.support.positions import position_now

TABLE = "stalls"
CAPTURE = Capture(TABLE, ("id", "topic"), (("id",),))
ROWS = 400

# By name: the index, the values of (name, place, owner, is_taken) of two rows that conflict and of one that does not.
SHAPES = {
    "one column": ("(name)", ("a", 1, "x", 1), ("a", 2, "y", 1), ("A", 1, "x", 1)),
    "two columns": ("(name, place)", ("a", 1, "x", 1), ("a", 1, "y", 1), ("a", 2, "x", 1)),
    "a column with null": ("(place)", ("a", 0, "x", 1), ("b", 0, "x", 1), ("b", None, "x", 1)),
    "another collation": ("(name COLLATE NOCASE)", ("Æa", 1, "x", 1), ("ÆA", 2, "y", 1), ("æa", 1, "x", 1)),
    "descending": ("(place DESC, name)", ("a", 1, "x", 1), ("a", 1, "y", 1), ("b", 1, "x", 1)),
    "a condition": ("(place) WHERE is_taken", ("a", 1, "x", 1), ("b", 1, "y", 1), ("b", 1, "y", 0)),
    "a condition in parentheses": (
        "(place) WHERE (is_taken AND (name > 'a' OR owner IS NULL))",
        ("b", 1, "x", 1), ("c", 1, None, 1), ("a", 1, "x", 1),
    ),
    "a condition on null": ("(name) WHERE owner IS NULL", ("a", 1, None, 1), ("a", 2, None, 1), ("a", 2, "x", 1)),
    "a condition on not null": (
        "(name) WHERE owner IS NOT NULL", ("a", 1, "x", 1), ("a", 2, "y", 1), ("a", 2, None, 1),
    ),
    "a condition on its own column": ("(place) WHERE place > 5", ("a", 6, "x", 1), ("b", 6, "y", 1), ("b", 5, "y", 1)),
    "a condition with quotes": (
        """("name") WHERE "owner" <> 'it''s, 100% (not) -- "yours"'""",
        ("a", 1, "x", 1), ("a", 2, "y", 1), ("a", 2, """it's, 100% (not) -- "yours\"""", 1),
    ),
    "a condition with IN": (
        "(place) WHERE owner IN ('x', 'y')", ("a", 1, "x", 1), ("a", 1, "y", 1), ("a", 1, "z", 1),
    ),
    "an expression": ("(lower(name))", ("a", 1, "x", 1), ("A", 2, "y", 1), ("b", 1, "x", 1)),
    "expressions and columns": (
        "(lower(name) DESC, place, (place % 2 + length(owner)))",
        ("a", 1, "x", 1), ("A", 1, "y", 1), ("a", 1, "xx", 1),
    ),
    "an expression with a collation": (
        "(substr(name, 1, 2) COLLATE NOCASE)", ("ab", 1, "x", 1), ("ABc", 2, "y", 1), ("b", 1, "x", 1),
    ),
    "an expression of null": ("(nullif(name, ''))", ("a", 1, "x", 1), ("a", 2, "y", 1), ("", 1, "x", 1)),
    "an expression with a condition": (
        "(lower(name)) WHERE is_taken = 1", ("a", 1, "x", 1), ("A", 2, "y", 1), ("A", 1, "x", 0),
    ),
    "comments": (
        "(lower(name) /* , ) */, -- ( WHERE\n place) -- a, (b\n WHERE /* not */ is_taken -- the end",
        ("a", 1, "x", 1), ("A", 1, "y", 1), ("A", 1, "y", 0),
    ),
    "names in brackets": ("([name], `place`) WHERE [is_taken]", ("a", 1, "x", 1), ("a", 1, "y", 1), ("a", 1, "y", 0)),
}  # fmt: skip


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, None)


def insert(name: Any, place: Any, owner: Any, is_taken: Any, topic: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT OR REPLACE INTO {TABLE} (name, place, owner, is_taken, topic) VALUES (%s, %s, %s, %s, %s)",
            [name, place, owner, is_taken, topic],
        )


@pytest.fixture
def stalls(log) -> Iterator[None]:
    run(
        f"CREATE TABLE {TABLE} (id integer PRIMARY KEY AUTOINCREMENT, name text, place integer, "
        "owner text, is_taken bool, topic text)"
    )
    yield
    run(f"DROP TABLE {TABLE}")


def create(index: str) -> None:
    run(f'CREATE UNIQUE INDEX "the, (only) one" ON {TABLE} {index}')
    with transaction.atomic():
        triggers = SQLiteTriggers(connection)
        triggers.create(triggers.completed(CAPTURE))


def topics_noted(since: int) -> list[str]:
    rows = OutboxRow.objects.filter(source=TABLE, id__gte=since).order_by("id")
    return [row.image["topic"] for row in rows]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_replaced_through_any_index_is_noted(stalls, shape):
    """Once, with its topic, although no trigger fires for its deletion."""
    index, first, second, _ = SHAPES[shape]
    create(index)
    insert(*first, topic="old")
    before = position_now().offset

    insert(*second, topic="new")

    assert topics_noted(before) == ["old", "new"]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT topic FROM {TABLE}")
        assert cursor.fetchall() == [("new",)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_that_is_not_replaced_is_not_noted(stalls, shape):
    """Each row noted is read again, and costs its writer as much as another insert."""
    index, first, _, third = SHAPES[shape]
    create(index)
    insert(*first, topic="old")
    before = position_now().offset

    insert(*third, topic="new")

    assert topics_noted(before) == ["new"]


def update(values: tuple[Any, ...], topic: str) -> None:
    """Give the row of a topic other values, in the place of the row that has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE OR REPLACE {TABLE} SET (name, place, owner, is_taken) = (%s, %s, %s, %s) WHERE topic = %s",
            [*values, topic],
        )


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_replaced_by_an_update_is_noted(stalls, shape):
    """Once, and the updated row not as one that is replaced by itself."""
    index, first, second, third = SHAPES[shape]
    create(index)
    insert(*first, topic="old")
    insert(*third, topic="new")
    before = position_now().offset

    update(second, topic="new")

    assert topics_noted(before) == ["old", "new"]
    before = position_now().offset
    update(second, topic="new")
    assert topics_noted(before) == ["new"]


@pytest.mark.parametrize("key", ["id = 1", "rowid = 1", "_rowid_ = 1, topic = topic", "OID = id - 1"])
def test_a_row_replaced_by_an_update_of_a_key_is_noted(stalls, key):
    """By whichever of its names, and in a table without other unique columns."""
    with transaction.atomic():
        triggers = SQLiteTriggers(connection)
        triggers.create(triggers.completed(CAPTURE))
    insert("a", 1, "x", 1, topic="old")
    insert("b", 2, "y", 1, topic="new")
    before = position_now().offset

    run(f"UPDATE OR REPLACE {TABLE} SET {key} WHERE id = 2")

    assert sorted(topics_noted(before)) == ["new", "new", "old"]


def test_a_row_replaced_by_a_rule_of_the_table_is_noted(stalls):
    """The statement does not say that it replaces anything, and the column is computed from another."""
    run(
        f"DROP TABLE {TABLE}",
        f"CREATE TABLE {TABLE} (id integer PRIMARY KEY, name text, topic text, "
        "code text GENERATED ALWAYS AS (lower(name)) STORED UNIQUE ON CONFLICT REPLACE)",
    )
    with transaction.atomic():
        triggers = SQLiteTriggers(connection)
        triggers.create(triggers.completed(Capture(TABLE, ("id", "topic"), (("id",), ("code",)))))
    run(f"INSERT INTO {TABLE} (id, name, topic) VALUES (1, 'a', 'old'), (2, 'b', 'new')")
    before = position_now().offset

    run(f"UPDATE {TABLE} SET name = 'A' WHERE id = 2")

    assert topics_noted(before) == ["old", "new"]


@pytest.mark.parametrize("shape", SHAPES)
def test_each_query_for_replaced_rows_uses_an_index(stalls, shape):
    """Without it every insert would read the whole table."""
    index, *_ = SHAPES[shape]
    create(index)
    triggers = SQLiteTriggers(connection)
    statements = [
        statement
        for name, statement in triggers.statements(triggers.completed(CAPTURE)).items()
        if name.endswith("_replace")
    ]
    bodies = [
        statement.partition(" BEGIN ")[2].removesuffix(" END").replace("%%", "%") for statement in statements
    ]
    queries = [
        query for body in bodies for query in re.findall(r"(SELECT .*?);(?= INSERT|$)", body, re.DOTALL)
    ]
    assert len(queries) == 4

    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + re.sub(r'(NEW|OLD)\."\w+"', "NULL", query), None)
            plan = [detail for *_, detail in cursor.fetchall() if "evicted" in detail]
        assert len(plan) == 1
        assert plan[0].startswith("SEARCH evicted USING"), plan


@pytest.mark.parametrize("shape", SHAPES)
def test_an_insert_takes_as_many_steps_in_a_large_table(stalls, shape):
    """Measured in steps of SQLite's machine, with the triggers that are really there."""
    index, first, *_ = SHAPES[shape]
    create(index)

    def steps() -> int:
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        connection.connection.set_progress_handler(step, 1)
        insert(*first, topic="one")
        connection.connection.set_progress_handler(None, 0)
        run(f"DELETE FROM {TABLE} WHERE topic = 'one'")
        return taken

    few = steps()
    with transaction.atomic():
        for number in range(ROWS):
            insert(f"{number} name", 1000 + number, f"owner {number}", 1, topic="many")
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {TABLE}")
        assert cursor.fetchone()[0] > 1

    assert steps() <= few + 20


def test_a_row_replaced_through_any_constraint_of_a_model_is_noted(log, live, make_model, images):
    """As Django declares them, with expressions, orders and conditions of every kind."""
    stalls = make_model(
        "Stall",
        {
            "unique_together": [("row", "place")],
            "constraints": [
                models.UniqueConstraint(fields=["row", "label"], name="plain"),
                models.UniqueConstraint(
                    fields=["place"],
                    condition=models.Q(owner__in=["it's", '50% "off"']) | models.Q(is_taken=True, row__lt=3),
                    name="conditional",
                ),
                models.UniqueConstraint(Lower("label").desc(), "row", name="expressions"),
                models.UniqueConstraint(Collate("owner", "nocase"), name="collation"),
                models.UniqueConstraint(
                    Mod("place", 100), Length("label"), condition=models.Q(is_taken=True), name="both"
                ),
            ],
        },
        code=models.CharField(max_length=20, unique=True),
        label=models.CharField(max_length=20, null=True),
        row=models.IntegerField(),
        place=models.IntegerField(),
        owner=models.CharField(max_length=20, null=True),
        is_taken=models.BooleanField(default=False),
    )
    live(stalls, topic_field="code")
    columns = ("id", "code", "label", "row", "place", "owner", "is_taken")
    old: dict[str, Any] = dict(zip(columns, (1, "old", "Label", 1, 1, "it's", True), strict=True))
    none: dict[str, Any] = dict(zip(columns, (2, "new", None, 9, 9, None, False), strict=True))
    conflicts = (
        ["id"], ["code"], ["row", "place"], ["row", "label"], ["place", "owner"], ["place", "is_taken", "row"],
        ["owner"],
    )  # fmt: skip
    changed = [
        *({**none, **{name: old[name] for name in names}} for names in conflicts),
        {**none, "label": "lABEL", "row": 1},
        {**none, "owner": "IT'S"},
        {**none, "place": 101, "label": "other", "is_taken": True},
    ]

    for new in changed:
        stalls.objects.all().delete()
        stalls.objects.create(**old)
        log.sequence()
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT OR REPLACE INTO throwaway_stall ({', '.join(columns)}) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [new[column] for column in columns],
            )

        assert stalls.objects.get().code == new["code"]
        assert {(1, "old"), (new["id"], new["code"])} <= set(images(stalls)), new


def test_a_new_unique_index_renews_the_triggers(log, live, make_model):
    """It may have been created by hand; the trigger's name shows that it is outdated."""
    stalls = make_model("Stall", label=models.CharField(max_length=20))
    live(stalls, topic_field="label")
    assert capture.missing() == []

    run("CREATE UNIQUE INDEX by_hand ON throwaway_stall (lower(label))")

    (found,) = capture.missing()
    assert found.table == "throwaway_stall"
    capture.install()
    assert capture.missing() == []
