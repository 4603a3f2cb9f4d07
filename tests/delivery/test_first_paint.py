"""First paints: rendered once per process, and never less than what the page's own connection has written."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection, transaction
from django.template import Context, Template

from realtime.boards.models import Board, Entry
from realtime.delivery.first_paint import KEPT_SECONDS, FirstPaint, FirstPaints
from realtime.engine.messages import Row, decode_changes
from realtime.engine.topic import Topic
from realtime.feeds import Feed, registry
from realtime.publishing import progress
from realtime.publishing.positions import read_topic
from realtime.rows.rendering import render_row
from tests.conftest import until
from tests.delivery.conftest import SELDOM_SECONDS, Follower
from tests.support.positions import position_now

TEMPLATE = "boards/_entry.html"


class Holder:
    """A hub that a test fills by hand."""

    def __init__(self, *topics: str) -> None:
        self.is_all_captured = True
        self.topics: dict[str, Topic] = {}
        for topic in topics:
            self.topics[topic] = Topic(topic)
            self.read(topic)

    def read(self, topic: str) -> None:
        reading = read_topic(topic)
        self.topics[topic].load(reading.position, reading.rows, reading.unchanged_since)

    def vouched(self, name: str) -> Topic | None:
        return self.topics.get(name)

    def is_captured(self, tables) -> bool:
        return self.is_all_captured


@pytest.fixture
def rendered(monkeypatch) -> list[str]:
    """The keys of the rows that were rendered, in order."""
    keys: list[str] = []

    def counted(instance, *args) -> Row:
        keys.append(str(instance.pk))
        return render_row(instance, *args)

    monkeypatch.setattr("realtime.rows.feed_rows.render_row", counted)
    return keys


@pytest.fixture
def make_feed(live, quay) -> Callable[..., Feed]:
    """A function that makes the entries of boards live in another feed, rendered for pages."""

    def make(**attributes) -> Feed:
        declaration = {
            "topic_field": "board_id",
            "fields": ["label"],
            "template_name": TEMPLATE,
            **attributes,
        }
        return live(Entry, name="painted", **declaration)

    return make


@pytest.fixture
def topic(make_feed, quay) -> str:
    """The name of a topic of two rows."""
    return make_feed().topic(quay.pk)


def labels(first_paint: FirstPaint) -> list[str]:
    """Return the labels that a page shows."""
    return [label for label in Entry.objects.values_list("label", flat=True) if label in first_paint.html]


def rename(board: Board, label: str) -> None:
    board.entries.filter(position=1).update(label=label)


@pytest.fixture
def publishing_by_hand(settings) -> None:
    """No publisher renders rows for the log meanwhile."""
    settings.REALTIME = {**settings.REALTIME, "PUBLISHER": False}


async def test_a_hundred_pages_of_a_topic_that_is_held_render_none_of_its_thousand_rows(
    publishing_by_hand, service, connect, live, quay, rendered, in_database
):
    """The hub has rendered them, when the topic got its first subscriber."""
    await in_database(Entry.objects.all().delete)
    entries = [Entry(board=quay, label=f"entry {number}", position=number) for number in range(1000)]
    await in_database(Entry.objects.bulk_create, entries)
    await in_database(
        live, Entry, name="painted", topic_field="board_id", fields=["label"], template_name=TEMPLATE
    )
    topic = f"painted.{quay.pk}"
    peer = connect()
    await peer.open()
    await peer.follow(topic, format="html")
    await until(lambda: service.hub.vouched(topic) is not None)
    rendered.clear()
    page = Template("{% load realtime %}{% live 'painted' key %}")
    context = Context({"key": quay.pk, "user": AnonymousUser()})

    pages = {await in_database(page.render, context) for _ in range(100)}

    assert rendered == []
    assert [page.count("data-digest=") for page in pages] == [1000]


def test_a_hundred_pages_of_a_topic_that_is_not_held_render_it_once(topic, rendered):
    """The first page renders it for the others."""
    first_paints = FirstPaints(clock=lambda: 0.0)

    pages = {first_paints.paint(topic, Holder()).html for _ in range(100)}

    assert len(pages) == 1
    assert len(rendered) == 2


def test_a_page_from_the_hub_is_the_same_as_one_that_was_read(topic, quay):
    """Rows, order and digests, before and after a change."""
    hub, first_paints = Holder(topic), FirstPaints()
    for label in ("Saltmere", "A new one"):
        rename(quay, label)
        hub.read(topic)

        painted, read = first_paints.paint(topic, hub), FirstPaints().paint(topic, None)

        assert (painted.html, list(painted.rows)) == (read.html, list(read.rows))
        assert label in painted.html


def test_after_a_change_only_its_row_gets_its_digest_anew(topic, quay, log):
    """The others are the same objects as before."""
    hub, first_paints = Holder(topic), FirstPaints()
    before = first_paints.paint(topic, hub)
    rename(quay, "A new one")
    (entry,) = [each for each in log.sequence().entries if each.topic == topic]
    hub.topics[topic].apply(entry.after, entry.begins, entry.position, decode_changes(entry.payload))

    after = first_paints.paint(topic, hub)

    pairs = zip(before.rows.values(), after.rows.values(), strict=True)
    assert [one[1] is other[1] for one, other in pairs] == [False, True]


@pytest.mark.parametrize("is_held", [True, False])
def test_a_committed_write_is_in_the_next_page(topic, quay, log, rendered, is_held):
    """Before it is sequenced, and while the hub has not received it."""
    hub, first_paints = Holder(*[topic] if is_held else []), FirstPaints()
    first_paints.paint(topic, hub)

    rename(quay, "written")
    assert "written" in labels(first_paints.paint(topic, hub))
    log.sequence()
    assert "written" in labels(first_paints.paint(topic, hub))
    if is_held:
        hub.read(topic)
        rendered.clear()
        assert "written" in labels(first_paints.paint(topic, hub))
        assert rendered == []


def test_a_change_of_another_feed_that_waits_costs_no_rendering(topic, quay, log, rendered):
    """Only what the rows are computed from counts."""
    hub, first_paints = Holder(topic), FirstPaints()
    rendered.clear()
    before = position_now()
    Board.objects.filter(pk=quay.pk).update(title="Another title")

    first_paint = first_paints.paint(topic, hub)

    assert rendered == []
    assert first_paint.position == position_now() != before


def test_what_is_written_and_not_committed_is_in_this_page_alone(topic, quay, log):
    """It may be rolled back; on SQLite the positions of the transaction are then used again."""
    hub, first_paints = Holder(), FirstPaints()
    with transaction.atomic():
        rename(quay, "uncommitted")
        assert "uncommitted" in labels(first_paints.paint(topic, hub))
        transaction.set_rollback(True)
    assert "uncommitted" not in first_paints.paint(topic, None).html
    for number in range(5):
        Board.objects.create(slug=f"board-{number}", title="Of another topic")
    log.sequence()

    assert "uncommitted" not in first_paints.paint(topic, hub).html
    rename(quay, "committed")
    assert "committed" in labels(first_paints.paint(topic, hub))


def test_a_page_whose_requests_are_transactions_is_painted_by_the_hub(topic, rendered):
    """As with ATOMIC_REQUESTS, while it has written nothing."""
    hub, first_paints = Holder(topic), FirstPaints()
    rendered.clear()

    with transaction.atomic():
        page = first_paints.paint(topic, hub)

    assert rendered == []
    assert page.html == FirstPaints().paint(topic, None).html


@pytest.mark.parametrize(
    "declared, debug", [({"refresh_seconds": 60.0}, False), ({}, True)], ids=["by the time", "in development"]
)
def test_rows_that_change_without_a_write_are_read_for_each_page(
    make_feed, quay, rendered, settings, declared, debug
):
    """A filter on the time, a template that is being edited."""
    settings.DEBUG = debug
    topic = make_feed(**declared).topic(quay.pk)
    hub, first_paints = Holder(topic), FirstPaints()
    rendered.clear()

    for _ in range(3):
        first_paints.paint(topic, hub)

    assert len(rendered) == 6


def test_without_a_hub_or_with_a_table_that_is_not_captured_each_page_is_read(topic, quay, rendered):
    """Nothing says then that every write was noted."""
    hub, first_paints = Holder(), FirstPaints()
    first_paints.paint(topic, hub)
    hub.is_all_captured = False
    rendered.clear()

    for each in (hub, None, hub):
        first_paints.paint(topic, each)

    assert len(rendered) == 6


def test_rows_of_a_topic_that_is_not_held_are_used_for_some_seconds(topic, rendered):
    """Nothing corrects them meanwhile; those of a held topic are scrubbed."""
    now = [0.0]
    first_paints = FirstPaints(clock=lambda: now[0])
    for now[0] in (0.0, KEPT_SECONDS, KEPT_SECONDS + 1):
        first_paints.paint(topic, Holder())
    assert len(rendered) == 4

    hub = Holder(topic)
    rendered.clear()
    for now[0] in (20.0, 10_000.0):
        first_paints.paint(topic, hub)
    assert rendered == []


def test_rows_that_have_no_html_are_rendered(topic, rendered):
    """Where subscribers have requested rows only."""
    hub, first_paints = Holder(topic), FirstPaints()
    bare = [Row(row.key, row.order, row.row) for row in hub.topics[topic].rows]
    held = hub.topics[topic] = Topic(topic)
    held.load(position_now(), held.compared(bare, ("rows",)), 0)
    rendered.clear()

    page = first_paints.paint(topic, hub)

    assert len(rendered) == 2
    assert page.html == FirstPaints().paint(topic, None).html


def test_what_a_page_has_read_serves_while_the_hub_is_quiet(topic, quay, log, rendered):
    """The log reaches back to no position of a topic that has long been quiet: one page reads it."""
    hub, first_paints = Holder(topic), FirstPaints()
    Board.objects.filter(pk=quay.pk).update(title="Another title")
    log.sequence()
    progress.move_edge(log.state.epoch, position_now().offset)
    rendered.clear()

    for _ in range(3):
        first_paints.paint(topic, hub)

    assert len(rendered) == 2


def test_first_paints_are_bounded_and_the_latest_stay(make_feed, log, rendered):
    """By the size of their HTML; a topic that is larger than all of it is not kept."""
    make_feed()
    boards = [Board.objects.create(slug=f"board-{number}", title="A board") for number in range(4)]
    for board in boards:
        board.entries.create(label="x" * 100)
    log.sequence()
    topics = [f"painted.{board.pk}" for board in boards]
    size = FirstPaints().paint(topics[0], None).size
    first_paints = FirstPaints(max_size=3 * size + 100)
    for topic in (*topics[:3], topics[0], topics[3]):
        first_paints.paint(topic, Holder())
    rendered.clear()

    for topic in (topics[0], topics[2], topics[3]):
        first_paints.paint(topic, Holder())
    assert rendered == []
    first_paints.paint(topics[1], Holder())
    assert len(rendered) == 1

    small = FirstPaints(max_size=size // 2)
    for _ in range(2):
        small.paint(topics[0], Holder())
    assert len(rendered) == 3


async def test_the_running_hub_holds_what_it_vouches_for(make_wire, quay):
    """A topic that lacks something, or is not there, is not used for pages."""
    wire = await make_wire(SELDOM_SECONDS)
    hub, name = wire.hub, f"entries.{quay.pk}"
    assert hub.vouched(name) is None
    assert not hub.is_captured({"boards_entry"})
    await Follower(name).follow(hub)

    await until(lambda: hub.vouched(name) is not None)
    assert hub.is_captured({"boards_entry"})
    shared = hub._shared[name]
    for attribute, wrong in (("is_readable", False), ("is_current", False)):
        setattr(shared.topic, attribute, wrong)
        assert hub.vouched(name) is None
        setattr(shared.topic, attribute, True)
    shared.is_stale = True
    assert hub.vouched(name) is None


def test_no_connection_is_needed_to_ask_the_database(topic):
    """A page may paint with its first query."""
    connection.close()

    assert FirstPaints().paint(topic, Holder(topic)).rows


async def test_the_first_subscriber_after_a_page_gets_what_the_page_has_read(
    publishing_by_hand, service, connect, topic, rendered, in_database
):
    """Rendered once for both, though the process held nothing when the page was read."""
    page = Template("{% load realtime %}{% live 'painted' key %}")
    context = Context({"key": topic.partition(".")[2], "user": AnonymousUser()})
    shown = await in_database(page.render, context)
    assert len(rendered) == 2
    peer = connect()
    await peer.open()

    snapshot = await peer.follow(topic, format="html")

    assert len(rendered) == 2
    assert [row["key"] for row in snapshot["rows"]] == re.findall(r'data-key="(.*?)"', shown)
    assert snapshot["position"] == str(await in_database(position_now))


@pytest.mark.parametrize("change", ["row", "right", "old", "another feed", "nothing"])
def test_what_a_page_has_read_is_loaded_only_as_long_as_nothing_has_changed(topic, quay, live, log, change):
    """Neither a row nor what rights to the topic depend on, sequenced or not."""
    now = [0.0]
    first_paints = FirstPaints(clock=lambda: now[0])
    assert not first_paints.has_read(topic)
    assert first_paints.reading(topic) is None
    first_paints.paint(topic, Holder())
    assert first_paints.has_read(topic)
    if change == "row":
        rename(quay, "another")
    elif change == "right":
        Board.objects.filter(pk=quay.pk).update(title="Another title")
    elif change == "old":
        now[0] = KEPT_SECONDS + 1
    elif change == "another feed":
        registry.remove("painted")
        live(Entry, name="painted", topic_field="board_id", template_name=TEMPLATE)

    for _ in range(2):
        reading = first_paints.reading(topic)
        if change == "nothing":
            assert reading is not None
            assert reading == replace(read_topic(topic), rows=reading.rows)
            assert html_of_all(reading.rows) == html_of_all(read_topic(topic).rows)
        else:
            assert reading is None
        log.sequence()


def html_of_all(rows: list[Row]) -> list[str]:
    return [str(row.html) for row in rows]
