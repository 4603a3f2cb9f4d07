"""The texts for editors about entries that come and go by time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from realtime.boards.planned import not_shown, shown_in_words

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.mark.parametrize(
    "columns, words",
    [
        ({}, "yes"),
        ({"is_visible": False}, "no, it is hidden"),
        ({"shows_from": NOW + HOUR}, "not before 26 Nov 2026 14:45 +0545"),
        ({"shows_until": NOW + HOUR}, "until 26 Nov 2026 14:45 +0545"),
        ({"shows_until": NOW}, "no, its time is over"),
        ({"weekdays": "5"}, "not before 27 Nov 2026 00:00 +0545, on Fri only"),
        ({"at": NOW}, "yes"),
    ],
    ids=str,
)
def test_editors_read_when_an_entry_is_shown(board, columns, words):
    """By the clock of its board."""
    board.time_zone = "Asia/Kathmandu"
    board.save()
    entry = board.entries.create(label="Ferry", **columns)

    assert shown_in_words(entry) == words


def test_entries_that_are_not_shown_are_listed_for_editors(board, editor_client, client):
    """The next one first, then those whose time is over; entries that an editor has hidden are not listed."""
    rows: list[tuple[str, dict[str, Any]]] = [
        ("Over", {"shows_until": NOW}),
        ("Later", {"shows_from": NOW + 2 * HOUR}),
        ("Soon", {"shows_from": NOW + HOUR}),
        ("Shown", {"shows_until": NOW + HOUR}),
        ("Hidden", {"shows_until": NOW, "is_visible": False}),
    ]
    for label, columns in rows:
        board.entries.create(label=label, **columns)

    assert [item["entry"].label for item in not_shown(board)] == ["Soon", "Later", "Over"]
    html = editor_client.get(board.get_absolute_url()).content.decode()
    assert "Not shown now: 3" in html
    editor_client.logout()
    assert "Soon" not in client.get(board.get_absolute_url()).content.decode()
