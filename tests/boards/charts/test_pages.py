"""The charts on a board, the page of one, and its readings as CSV."""

import csv
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from realtime.boards.charts.pages import SMALL_POINTS
from realtime.boards.models import Board, Entry, Reading


def large(client, entry, query=""):
    return client.get(reverse("boards:chart", args=[entry.board.slug, entry.pk]) + query)


def test_a_board_has_a_small_chart_of_each_entry_with_numbers(client, board, entry, read):
    """In a block that follows the board; entries without numbers have none."""
    board.entries.create(label="Text", value="soon")
    read(entry, 1, hours=2)
    read(entry, 3)

    html = client.get(board.get_absolute_url()).content.decode()

    assert html.count('<svg class="chart"') == 1
    assert 'aria-label="Saltmere: now 3, between 1 and 3"' in html
    assert f'data-realtime-topics="entries.{board.pk}"' in html
    assert f'href="{reverse("boards:chart", args=["quay", entry.pk])}"' in html


def test_a_page_reads_only_what_it_draws(client, board, entry):
    """A program may write a value each second: no client can make the server load all of them again and again."""
    others = [board.entries.create(label=f"Pier {number}") for number in range(2)]
    now = timezone.now()
    Reading.objects.bulk_create(
        Reading(entry=each.pk, value=number, at=now - timedelta(seconds=number))
        for each in [entry, *others]
        for number in range(SMALL_POINTS + 100)
    )

    with CaptureQueriesContext(connection) as queries:
        html = client.get(board.get_absolute_url()).content.decode()

    reading = [query["sql"] for query in queries if Reading._meta.db_table in query["sql"]]
    with connection.cursor() as cursor:
        counts = [cursor.execute(f"SELECT count(*) FROM ({sql}) AS found").fetchone()[0] for sql in reading]
    assert counts == [3 * SMALL_POINTS]
    assert html.count(f"now 0, between 0 and {SMALL_POINTS - 1}") == 3


def test_a_board_without_charts_has_none_of_it(client, board, entry, read):
    read(entry, 1)
    Board.objects.update(chart_days=None)

    assert "chart" not in client.get(board.get_absolute_url()).content.decode()
    assert large(client, entry).status_code == 404


@pytest.mark.parametrize(
    "query, values", [("", [3, 2, 1]), ("?hours=1", [3, 2]), ("?hours=168", [3, 2, 1, 0])]
)
def test_the_page_of_a_chart_has_its_range_as_a_table_too(client, board, entry, read, query, values):
    """It begins with the value that the entry had then."""
    for value, hours in enumerate([100, 10, 2, 0.5]):
        read(entry, value, hours=hours)

    html = large(client, entry, query).content.decode()

    cells = [part.split("</td>")[0] for part in html.split("</time></td><td>")[1:]]
    expected = [*values] + ([0] if query == "" else [])
    assert [int(cell) for cell in cells] == expected
    assert f'aria-label="Saltmere: now 3, between {min(expected)} and 3"' in html


@pytest.mark.parametrize(
    "query", ["?hours=0", "?hours=-1", "?hours=x", "?hours=99999999", "?hours=%00", "?hours=²"]
)
def test_another_range_is_a_day(client, board, entry, read, query):
    read(entry, 1)

    assert '<a href="?hours=24" aria-current="page">' in large(client, entry, query).content.decode()


def test_all_readings_are_downloaded(client, board, entry, read):
    made = [read(entry, value / 3, hours=hours) for value, hours in enumerate([700, 10, 0])]

    response = client.get(reverse("boards:readings", args=["quay", entry.pk]))

    rows = [*csv.reader(response.content.decode().splitlines())]
    assert rows == [["at", "value"], *([each.at.isoformat(), repr(each.value)] for each in made)]
    assert response["Content-Type"] == "text/csv; charset=utf-8"


def test_charts_are_shown_to_those_who_see_the_entry(client, editor, board, staff_board, entry, read):
    """Neither those of a private board nor those of an entry that is hidden, nor under another board's address."""
    hidden = board.entries.create(label="Hidden", is_visible=False)
    private = staff_board.entries.create(label="Private")
    for each in [hidden, private, entry]:
        read(each, 1)
    pages = ["boards:chart", "boards:readings"]

    for page in pages:
        for slug, each in [("quay", hidden), ("safe", private), ("quay", private), ("safe", entry)]:
            assert client.get(reverse(page, args=[slug, each.pk])).status_code == 404
    client.force_login(editor)
    Board.objects.update(chart_days=30)
    assert large(client, private).status_code == 200


def test_an_entry_without_readings_says_so(client, board, entry):
    html = large(client, entry).content.decode()

    assert "Saltmere: no readings" in html
    assert "<svg" not in html


def test_no_label_becomes_markup(client, board, entry, read):
    Entry.objects.update(label="<script>alert(1)</script>")
    read(entry, 1)

    assert "<script>alert" not in large(client, entry).content.decode()
    assert "<script>alert" not in client.get(board.get_absolute_url()).content.decode()
