"""The moment of closing, in two processes: a change that closes a board is sent to no visitor that it shuts out."""

import random

import pytest
from django.db import transaction

from realtime.boards.models import Board
from realtime.engine.messages import encode
from tests.conftest import until
from tests.contract.conftest import Database
from tests.delivery.conftest import SELDOM_SECONDS, Follower, has_row


class Outsider(Follower):
    """A visitor that has not signed in; remembers where its topic was when it was refused."""

    is_refused = False

    def revoke(self, topic: str) -> None:
        super().revoke(topic)
        self.is_refused = True


def received(*followers: Follower) -> str:
    """Return all that followers have received, as text: rows have no text of their own."""
    return str([encode(message, "json") for follower in followers for message in follower.received])


def by_django() -> None:
    with transaction.atomic():
        board = Board.objects.get(pk=1)
        board.entries.create(label="s3cret")
        board.is_public = False
        board.save()


@pytest.mark.parametrize("means", ["django", "sql"])
@pytest.mark.parametrize("layer_delivers", [True, False])
async def test_a_change_that_closes_a_board_is_sent_to_no_outsider(
    database: Database, make_hub, in_database, means, layer_delivers
):
    """Neither by the layer, in any order of its messages, nor by the log alone; other boards continue."""
    hubs = [await make_hub() for _ in range(2)]
    outsiders = [
        await Outsider(topic).follow(wire.hub) for wire in hubs for topic in ("entries.1", "board.1")
    ]
    others = [await Follower("entries.2").follow(wire.hub) for wire in hubs]

    if means == "django":
        await in_database(by_django)
    else:
        await in_database(
            database.sql,
            "BEGIN",
            "UPDATE boards_board SET is_public = false, title = 's3cret' WHERE id = 1",
            "INSERT INTO boards_entry (board_id, label) VALUES (1, 's3cret')",
            "COMMIT",
        )
    batch = await in_database(database.sequence)
    assert batch is not None
    if layer_delivers:
        random.shuffle(batch.entries)
        await hubs[0].send(batch)
    for wire in hubs:
        await wire.settle()
    await until(lambda: all(outsider.is_refused for outsider in outsiders))

    await in_database(database.sql, "INSERT INTO boards_entry (board_id, label) VALUES (2, 'for everyone')")
    await in_database(database.sequence)
    for other in others:
        await until(has_row(other, "for everyone"))
    assert "s3cret" not in received(*outsiders)
    assert "for everyone" in received(*others)


async def test_rows_read_between_two_rounds_are_held_back_until_their_closing_is_known(
    database: Database, make_hub, in_database
):
    """A topic is read anew, after a reset, while the transaction that closes it waits to be sequenced."""
    wire = await make_hub(SELDOM_SECONDS)  # otherwise it may read the topic before the board is closed
    outsider = await Outsider("entries.1").follow(wire.hub)
    await wire.settle()

    await in_database(database.sql, "INSERT INTO realtime_outboxrow (source) VALUES ('boards_entry')")
    await in_database(database.sequence)
    await in_database(by_django)
    await wire.settle()
    await until(lambda: outsider.is_refused)

    assert "s3cret" not in received(outsider)
