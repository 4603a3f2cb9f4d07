"""Formats: rows are rendered in those that have subscribers, and readers have the topic as their process holds it."""

import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import pytest
from django.conf import settings as project

from realtime.boards.models import Entry
from realtime.delivery.held_topics import HeldTopics
from realtime.delivery.hub import Hub
from realtime.engine import messages
from realtime.engine.messages import Format, Row
from realtime.feeds import Feed, registry
from realtime.models import LogEntry
from realtime.publishing import capture, positions
from realtime.rows import rendering
from realtime.runtime.left_out import left_out
from tests.conftest import until
from tests.contract.conftest import Database, log_changes
from tests.contract.own_feeds import only_own_feeds, prepared  # noqa: F401
from tests.delivery.conftest import Follower, Wire
from tests.support.contents import html_of, json_of
from tests.support.replica import Replica

NAME = "pictures"
TOPIC = f"{NAME}.2"
TEMPLATE = (
    "<li>{{ entry.label }} {{ entry.note }}{% if entry.label == 'no html' %}{{ entry.boom }}{% endif %}</li>"
)


class Reader(Follower):
    """Follows the topic in one format."""

    def __init__(self, format: Format) -> None:
        super().__init__(TOPIC)
        self.replica = Replica(TOPIC, format)

    async def follow(self, hub: Hub) -> Self:
        topic = await hub.subscribe(TOPIC, self, self.replica.format)
        self.session.subscribe(topic, self.replica.position, self.replica.format)
        self.flush()
        return self


@pytest.fixture
def feed(database, tmp_path, settings, monkeypatch):
    """A feed whose rows fail in HTML for one label, and as rows for another."""
    (tmp_path / "picture.html").write_text(TEMPLATE)
    settings.TEMPLATES = [{**project.TEMPLATES[0], "DIRS": [tmp_path]}]
    monkeypatch.setattr(Entry, "boom", property(lambda self: 1 / 0), raising=False)
    encode = messages.encode_value

    def encode_unless_spoilt(value: Any, fallback: Any = None) -> bytes:
        if value.get("label") == "no rows":
            raise ValueError("no rows")
        return encode(value, fallback)

    monkeypatch.setattr(rendering, "encode_value", encode_unless_spoilt)
    left_out.clear()
    attributes = {
        "name": NAME, "topic_field": "board_id", "fields": ["label"], "ordering": ["position"],
        "template_name": "picture.html",
    }  # fmt: skip
    registry.add(type("Pictures", (Feed,), attributes)(Entry))
    capture.install()
    database.sequence()
    yield registry[NAME]
    registry.remove(NAME)
    left_out.clear()


@pytest.fixture
async def make_noting_hub(feed, make_hub) -> AsyncIterator[Callable]:
    """A function that starts a hub which notes what it holds."""
    made: list[HeldTopics] = []

    async def make(*arguments: Any) -> Wire:
        wire = await make_hub(*arguments)
        wire.hub._held_topics = held = HeldTopics()
        made.append(held)
        return wire

    yield make
    for held in made:
        await held.stop()


def contents(rows: list[Row], format: Format) -> dict[str, tuple[str, bytes | str]]:
    return {row.key: (row.order, html_of(row) if "html" in format else json_of(row)) for row in rows}


async def assert_current(wire: Wire, reader: Reader, in_database) -> None:
    """Its rows are the topic as its process holds it, and the heartbeat agrees."""
    held = wire.hub._shared[TOPIC].format
    reading = await in_database(positions.read_topic, TOPIC, None, held)
    assert reader.replica.rows == contents(reading.rows, reader.replica.format)
    verified = reader.replica.verified
    reader.pulse()
    assert reader.replica.verified == verified + 1
    assert reader.replica.corrections == 0


WRITES: list[Callable[[random.Random], object]] = [
    lambda choice: Entry.objects.filter(board=2, position=key(choice)).update(
        label=f"label {choice.random()}"
    ),
    lambda choice: Entry.objects.filter(board=2, position=key(choice)).update(note=f"note {choice.random()}"),
    lambda choice: Entry.objects.filter(position=key(choice)).update(label="no html"),
    lambda choice: Entry.objects.filter(position=key(choice)).update(label="no rows"),
    lambda choice: Entry.objects.filter(position=key(choice)).update(board=choice.choice([1, 2])),
    lambda choice: Entry.objects.filter(position=key(choice)).update(label="well"),
    lambda choice: Entry.objects.filter(pk__in=Entry.objects.filter(board=1).values("pk")[:1]).delete(),
    lambda choice: Entry.objects.create(board_id=2, label="more", position=key(choice)),
]


def key(choice: random.Random) -> int:
    return choice.randint(1, 10)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_formats_are_held_where_each_reader_has_its_rows(
    database: Database, make_noting_hub, in_database, seed
):
    """With rows that fail in one format, formats that are requested later, and entries that the layer loses."""
    choice = random.Random(seed)
    wires = [await make_noting_hub() for _ in range(3)]
    firsts: list[tuple[Format, ...]] = [("rows",), ("html",), ("rows", "html")]
    readers = [
        (wire, await Reader(format).follow(wire.hub))
        for wire, formats in zip(wires, firsts, strict=True)
        for format in formats
    ]
    for step in range(12):
        for write in choice.choices(WRITES, k=choice.randint(1, 3)):
            await in_database(write, choice)
        batch = await in_database(database.sequence)
        if batch is not None and choice.random() < 0.7:
            await wires[0].send(batch)
        if step in (5, 8):  # now in another format, too
            wire, reader = (wires[0], Reader("html")) if step == 5 else (wires[1], Reader("rows+html"))
            readers.append((wire, await reader.follow(wire.hub)))
        for wire in wires:
            await wire.settle()
        for wire, reader in readers:
            await assert_current(wire, reader, in_database)


async def test_rows_are_rendered_in_the_formats_that_are_held(database, make_noting_hub, in_database):
    """In one while all ask for that; entries in it are used as they are."""
    rows, html = await make_noting_hub(), await make_noting_hub()
    reads: list[str] = []
    for wire in (rows, html):
        wire.reads.read = counting(wire.reads.read, reads)
    readers: list[Reader] = []

    async def changed(label: str) -> LogEntry:
        await in_database(relabel, label)
        batch = await in_database(database.sequence)
        for wire, reader in zip((rows, html), readers, strict=False):
            await wire.settle()
            await assert_current(wire, reader, in_database)
        return next(entry for entry in batch.entries if entry.topic == TOPIC)

    readers.append(await Reader("rows").follow(rows.hub))
    entry = await changed("as rows")
    assert [entry.format, {bool(change.row) and not change.html for change in log_changes(entry)}] == [
        "rows", {True},
    ]  # fmt: skip

    readers.append(await Reader("html").follow(html.hub))
    entry = await changed("as both")
    assert [entry.format, {bool(change.row and change.html) for change in log_changes(entry)}] == ["", {True}]

    assert reads == [TOPIC, TOPIC], (
        "entries in more formats, and those in the one that is held, need no reading"
    )


def relabel(label: str, *keys: int) -> None:
    rows = Entry.objects.filter(board=2)
    (rows.filter(pk__in=keys) if keys else rows).update(label=label)


def counting(read: Callable, reads: list[str]) -> Callable:
    async def counted(topic: str, *arguments: Any) -> Any:
        reads.append(topic)
        return await read(topic, *arguments)

    return counted


async def test_a_row_that_fails_in_a_format_without_subscribers_is_there(
    database, make_noting_hub, in_database
):
    """Where that format is requested, too, the row is in neither; and it is named as left out."""
    wire = await make_noting_hub()
    reader = await Reader("rows").follow(wire.hub)
    failing = await in_database(lambda: str(Entry.objects.filter(board=2).earliest("pk").pk))

    await in_database(relabel, "no html", int(failing))
    await in_database(database.sequence)
    await wire.settle()

    assert failing in reader.replica.rows
    await assert_current(wire, reader, in_database)
    other = await Reader("html").follow(wire.hub)
    await until(lambda: failing not in reader.replica.rows)
    assert failing not in other.replica.rows
    assert failing in left_out.reasons(NAME)
    for each in (reader, other):
        await assert_current(wire, each, in_database)


async def test_another_format_costs_present_subscribers_nothing(database, make_noting_hub, in_database):
    """Their rows are the same; the new one has its own, from the position that its page shows."""
    wire = await make_noting_hub()
    reader = await Reader("rows").follow(wire.hub)
    await in_database(relabel, "before")
    await in_database(database.sequence)
    await wire.settle()
    received = len(reader.received)

    other = await Reader("html").follow(wire.hub)

    assert reader.received[received:] == []
    assert other.replica.snapshots == 1
    for each in (reader, other):
        await assert_current(wire, each, in_database)


async def test_an_old_page_in_a_format_that_is_new_here_gets_what_it_lacks(
    database, make_noting_hub, in_database
):
    """The changes that are kept for others lack its format."""
    first, second = await make_noting_hub(), await make_noting_hub()
    page = await Reader("html").follow(first.hub)
    first.hub.unsubscribe(TOPIC, page)
    reader = await Reader("rows").follow(second.hub)
    for label in ("one", "two"):
        await in_database(relabel, label)
        await in_database(database.sequence)
        await second.settle()

    page.session.unsubscribe(TOPIC)
    await page.follow(second.hub)

    for each in (reader, page):
        await assert_current(second, each, in_database)
