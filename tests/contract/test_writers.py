"""Any writer, any kind of write: after one sequencing, a reader of the log has what a SELECT returns."""

import pytest
from django.db import connection, transaction

from realtime.boards.models import Board, Entry
from tests.contract.conftest import Follower

TOPICS = ["entries.1", "entries.2", "entries.3", "board.1", "boards"]


def save():
    entry = Entry.objects.get(pk=1)
    entry.label = "saved"
    entry.save()


def roll_back():
    with transaction.atomic():
        Entry.objects.update(label="never")
        transaction.set_rollback(True)


def roll_back_a_savepoint():
    with transaction.atomic():
        Entry.objects.filter(pk=1).update(label="kept")
        with transaction.atomic():
            Entry.objects.all().delete()
            transaction.set_rollback(True)


def move_there_and_back():
    with transaction.atomic():
        Entry.objects.filter(pk=2).update(board=2)
        Entry.objects.filter(pk=2).update(board=3)
        Entry.objects.filter(pk=2).update(board=1)


def delete_and_insert_elsewhere():
    with transaction.atomic():
        Entry.objects.filter(pk=2).delete()
        Entry.objects.create(pk=2, board_id=3, label="again")


def upsert():
    Entry.objects.bulk_create(
        [Entry(pk=1, board_id=3, label="upserted"), Entry(pk=77, board_id=3, label="new")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["label", "board"],
    )


def bulk_update():
    entries = list(Entry.objects.all())
    for entry in entries:
        entry.label = f"bulk {entry.pk}"
        entry.board_id = 1 + entry.pk % 3
    Entry.objects.bulk_update(entries, ["label", "board"])


def insert_nothing():
    Entry.objects.bulk_create([Entry(pk=1, board_id=1, label="there already")], ignore_conflicts=True)


def raw_delete():
    Entry.objects.filter(pk__lt=4)._raw_delete("default")


@pytest.mark.parametrize(
    "write",
    [
        save, roll_back, roll_back_a_savepoint, move_there_and_back, delete_and_insert_elsewhere, upsert,
        bulk_update, insert_nothing, raw_delete,
        pytest.param(lambda: Entry.objects.create(board_id=3, label="new"), id="create"),
        pytest.param(lambda: Entry.objects.filter(board=1).update(is_visible=False), id="hide"),
        pytest.param(lambda: Board.objects.get(pk=1).delete(), id="cascade"),
        pytest.param(lambda: Board.objects.filter(pk=3).update(is_public=False), id="filter"),
    ],
)  # fmt: skip
def test_a_write_by_django_is_in_the_log(database, write):
    """Each method of the ORM, cascades, and transactions that are rolled back."""
    followers = [Follower(topic) for topic in TOPICS]

    write()
    database.sequence()

    for follower in followers:
        follower.follow()
        follower.assert_equals_source()
        assert follower.reads == 1, "the reader must follow by entries, not by reading all rows"


SQL = {
    "insert": "INSERT INTO boards_entry (board_id, label) VALUES (3, 'one'), (1, 'two')",
    "update": "UPDATE boards_entry SET label = 'é % ''quoted'' \"$$\"' WHERE id = 1",
    "nothing": "UPDATE boards_entry SET label = 'x' WHERE id = 0",
    "move": "UPDATE boards_entry SET board_id = 3 WHERE id = 1",
    "swap": "UPDATE boards_entry SET board_id = 3 - board_id",
    "key": "UPDATE boards_entry SET id = 1001 WHERE id = 1",
    "large key": "INSERT INTO boards_entry (id, board_id, label) VALUES (9007199254740993, 1, 'x')",
    "delete": "DELETE FROM boards_entry WHERE id < 5",
    "delete all": "DELETE FROM boards_entry",
    "upsert": "INSERT INTO boards_entry (id, board_id, label) VALUES (1, 3, 'x'), (99, 3, 'y') "
    "ON CONFLICT (id) DO UPDATE SET board_id = excluded.board_id",
}
SQLITE = {
    "replace": "INSERT OR REPLACE INTO boards_entry (id, board_id, label) VALUES (1, 3, 'x')",
    "replace by an update": "UPDATE OR REPLACE boards_entry SET id = id - 1 WHERE id % 2 = 0",
}
POSTGRESQL = {
    "truncate": "TRUNCATE boards_entry",
    "truncate cascade": "TRUNCATE boards_board CASCADE",
    "merge": "MERGE INTO boards_entry USING (VALUES (1, 3), (2, 1), (98, 2)) AS new (id, board_id) "
    "ON boards_entry.id = new.id "
    "WHEN MATCHED AND new.id = 1 THEN UPDATE SET board_id = new.board_id "
    "WHEN MATCHED THEN DELETE "
    "WHEN NOT MATCHED THEN INSERT (id, board_id, label) VALUES (new.id, new.board_id, 'merged')",
    "writable cte": "WITH gone AS (DELETE FROM boards_entry WHERE id < 3 RETURNING board_id, label) "
    "INSERT INTO boards_entry (board_id, label) SELECT 3, label FROM gone",
    "copy": "COPY boards_entry (board_id, label) FROM PROGRAM 'printf \"3\\tone\\n1\\ttwo\\n\"'",
}


@pytest.mark.parametrize("name", [*SQL, *SQLITE, *POSTGRESQL])
def test_a_write_in_sql_is_in_the_log(database, name):
    """By another program, with the statements of each database."""
    statements = SQL | (SQLITE if database.vendor == "sqlite" else POSTGRESQL)
    if name not in statements:
        pytest.skip("only on the other database")
    followers = [Follower(topic) for topic in TOPICS]

    database.sql(statements[name])
    database.sequence()

    for follower in followers:
        follower.follow()
        follower.assert_equals_source()
    assert database.sequence() is None


def test_a_database_cascade_is_captured(on_postgresql):
    """Rows that the database itself deletes or changes fire their table's triggers."""
    on_postgresql.sql(
        "ALTER TABLE boards_entry DROP CONSTRAINT boards_entry_board_id_42c1e66a_fk_boards_board_id, "
        "ADD FOREIGN KEY (board_id) REFERENCES boards_board ON DELETE CASCADE ON UPDATE CASCADE"
    )
    one, two, new = (Follower(f"entries.{board}") for board in (1, 2, 222))

    on_postgresql.sql(
        "DELETE FROM boards_board WHERE id = 1", "UPDATE boards_board SET id = 222 WHERE id = 2"
    )
    on_postgresql.sequence()

    for follower in (one, two, new):
        follower.follow()
        follower.assert_equals_source()
    assert not one.topic.rows
    assert not two.topic.rows
    assert new.topic.rows


def test_a_role_without_rights_on_the_outbox_is_captured(on_postgresql):
    """A role that may write the table needs no rights on the outbox, and cannot redirect the note."""
    role = f"clerk_{on_postgresql.name}"
    on_postgresql.sql(f"CREATE ROLE {role} LOGIN", f"GRANT SELECT, UPDATE ON boards_entry TO {role}")
    follower = Follower("entries.2")

    with on_postgresql.connect(role) as clerk:
        clerk.execute("SET search_path = pg_temp, public")
        clerk.execute("CREATE TEMP TABLE realtime_outboxrow (source text, image jsonb, xid bigint)")
        clerk.execute("UPDATE boards_entry SET label = 'by a clerk' WHERE id = 1")
    on_postgresql.sequence()

    assert len(follower.follow()) == 1
    follower.assert_equals_source()
    on_postgresql.sql(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_flood_is_one_reset(database, settings):
    """Too many changes for one message: readers read the topic again."""
    follower = Follower("entries.3")

    Entry.objects.bulk_create(Entry(board_id=3, label=f"flood {number}") for number in range(2500))
    batch = database.sequence()

    assert [(entry.topic, entry.kind) for entry in batch.entries] == [("entries.3", "reset")]
    follower.follow()
    follower.assert_equals_source()
    assert len(follower.topic.rows) == 2500


def test_a_notice_is_sequenced_if_its_transaction_commits(database):
    from realtime.notices import broadcast

    with transaction.atomic():
        broadcast("never")
        transaction.set_rollback(True)
    broadcast("the tide turns")

    assert [entry.payload for entry in database.sequence().entries] == ["the tide turns"]
    assert connection.vendor == database.vendor
