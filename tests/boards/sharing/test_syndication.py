"""Public boards as RSS, Atom and JSON feeds; private ones have none."""

import json
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.urls import reverse
from django.utils import timezone

from realtime.boards.models import Board, Notice

KINDS = pytest.mark.parametrize("kind", ["rss", "atom", "json"])
TYPES = {"rss": "application/rss+xml", "atom": "application/atom+xml", "json": "application/feed+json"}


def address(board, kind):
    return reverse("boards:feed", args=[board.slug, kind])


def titles(response, kind):
    """Return the titles of the items."""
    if kind == "json":
        return [item["title"] for item in json.loads(response.content)["items"]]
    name = {"rss": "item", "atom": "{http://www.w3.org/2005/Atom}entry"}[kind]
    root = ElementTree.fromstring(response.content)
    return [
        item.find(name.replace("item", "title").replace("entry", "title")).text for item in root.iter(name)
    ]


@KINDS
def test_a_feed_has_notices_and_what_changed_last(client, board, entry, kind):
    """As the board shows them; hidden entries and notices that are over are in none."""
    board.entries.create(label="Later", value="7", unit="min")
    board.entries.create(label="Hidden", is_visible=False)
    now = timezone.now()
    for text, until in (("Storm", None), ("Over", now - timedelta(minutes=1))):
        Notice.objects.create(
            text=text, level="warning", shows_from=now - timedelta(hours=1), shows_until=until
        ).boards.add(board)

    response = client.get(address(board, kind))

    assert response["Content-Type"].startswith(TYPES[kind])
    assert titles(response, kind) == ["Warning: Storm", "Later: 7 min", "Saltmere: 06:40 (OK)"]
    assert f"http://testserver{board.get_absolute_url()}" in response.content.decode()


@KINDS
def test_a_private_board_has_no_feed(client, editor_client, staff_board, board, entry, kind):
    """Not for staff either: the answer is that of a board which is not there, also right after it was public."""
    assert client.get(address(board, kind)).status_code == 200
    Board.objects.filter(pk=board.pk).update(is_public=False)
    unknown = Board(slug="unknown")

    answers = [editor_client.get(address(each, kind)) for each in (staff_board, board, unknown)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert b"Saltmere" not in answers[1].content


@KINDS
def test_a_reader_that_has_it_gets_nothing_again(client, board, entry, kind):
    """Until anything changes: a value, a deletion, which no time tells, or the title."""
    path = address(board, kind)

    def is_current(tag):
        return client.get(path, headers={"If-None-Match": tag}).status_code == 304

    first = client.get(path)
    assert first["Cache-Control"] == "no-cache"
    assert not first.has_header("Last-Modified")
    assert "Cookie" not in first.get("Vary", "")
    assert is_current(first["ETag"])
    changes = [
        lambda: board.entries.update(value="07:00"),
        lambda: board.entries.update(is_visible=False),
        lambda: Board.objects.filter(pk=board.pk).update(title="Another"),
    ]
    for change in changes:
        tag = client.get(path)["ETag"]
        change()
        assert not is_current(tag)


@KINDS
def test_an_empty_board_has_the_same_feed_every_time(client, board, kind):
    """Otherwise the time of the answer would be in it."""
    path = address(board, kind)

    response = client.get(path)

    assert titles(response, kind) == []
    assert client.get(path, headers={"If-None-Match": response["ETag"]}).status_code == 304


@KINDS
@pytest.mark.parametrize("text", ["a\x07b", "<b>&amp;", "]]>", "\ufffe", "two\nlines"])
def test_whatever_a_program_has_written_is_valid(client, board, kind, text):
    """Django refuses control characters with an error."""
    Board.objects.filter(pk=board.pk).update(title=text, description=text)
    board.entries.create(label=f"x{text}", note=text)

    response = client.get(address(board, kind))

    assert response.status_code == 200
    assert len(titles(response, kind)) == 1


@KINDS
def test_the_length_of_a_feed_is_limited(client, board, kind):
    """The entries that changed last."""
    for number in range(105):
        board.entries.create(label=f"entry {number}")

    assert len(titles(client.get(address(board, kind)), kind)) == 100


def test_an_item_keeps_its_name(client, board, entry):
    """Readers show one that changes as the same item."""
    before = json.loads(client.get(address(board, "json")).content)["items"][0]

    board.entries.update(value="07:00", updated=timezone.now())

    after = json.loads(client.get(address(board, "json")).content)["items"][0]
    assert before["id"] == after["id"] == f"http://testserver{board.get_absolute_url()}#entry-{entry.pk}"
    assert before["date_published"] < after["date_published"]


def test_an_unknown_kind_is_not_found(client, board):
    """There are three."""
    assert client.get(address(board, "xml")).status_code == 404


@KINDS
def test_a_feed_has_the_time_of_an_entry(client, board, entry, kind):
    """By the clock of the board."""
    Board.objects.filter(pk=board.pk).update(time_zone="Europe/Oslo")
    board.entries.update(at="2026-11-26T17:45Z", value="")

    assert titles(client.get(address(board, kind)), kind) == ["Saltmere: 2026-11-26 18:45 (OK)"]
