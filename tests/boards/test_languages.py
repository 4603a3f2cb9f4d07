"""The language of a board."""

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from realtime.boards.languages import language_named, validate_language
from realtime.boards.models import Entry, Notice
from realtime.feeds import registry


@pytest.mark.parametrize(
    "name, found", [("de", "de"), ("en-gb", "en-gb"), ("", "en-gb"), ("xx", "en-gb"), ("DE; drop", "en-gb")]
)
def test_a_board_without_a_language_has_that_of_the_site(name, found):
    """SQL can write any text."""
    assert language_named(name) == found


@pytest.mark.parametrize("name", ["xx", "fr", "DE", "de-de"])
def test_a_language_that_the_site_does_not_have_is_refused(name):
    with pytest.raises(ValidationError):
        validate_language(name)


def test_rows_are_in_the_boards_language(board, entry):
    """Whatever the language of the process that renders them; headings, too."""
    Entry.objects.update(at="2026-12-09T10:00Z", status="warning", updated="2026-12-09T11:00Z")
    board.language = "de"
    board.save()
    feed = registry["entries"]

    with translation.override("en-gb"):
        [row] = feed.read_topic(board.pk)
        headings = board.columns

    assert "Dez" in str(row.html)
    assert 'lang="de"' in str(row.html)
    assert 'datetime="2026-12-09T11:00:00+0000">9. Dez 11:00:00<' in str(row.html)
    with translation.override("de"):
        assert feed.read_topic(board.pk) == [row]
        assert board.columns == headings


@pytest.mark.parametrize("path", ["wall/", "embed/"])
@pytest.mark.parametrize(
    "own, browser, shown",
    [("de", "en", "de"), ("en-gb", "de", "en-gb"), ("", "de", "de"), ("xx", "de", "en-gb")],
)
def test_a_page_of_a_board_alone_is_in_the_boards_language(client, board, entry, path, own, browser, shown):
    """Of a board without one, in that of its visitor; its rows are in that of the site."""
    board.language = own
    board.save()

    page = client.get(board.get_absolute_url() + path, headers={"Accept-Language": browser}).content.decode()

    assert f'<html lang="{shown}"' in page
    assert f'class="entries" lang="{language_named(own)}"' in page


@pytest.mark.parametrize("own, browser", [("de", "en-gb"), ("en-gb", "de"), ("", "de")])
def test_what_surrounds_a_board_is_in_the_visitors_language(client, board, own, browser):
    """The board itself is as its editor has chosen, for all viewers."""
    board.language = own
    board.is_public = True
    board.save()
    words = {"en-gb": ("Boards", "No entries right now."), "de": ("Tafeln", "Zurzeit keine Einträge.")}

    page = client.get(board.get_absolute_url(), headers={"Accept-Language": browser}).content.decode()

    assert f'<html lang="{browser}"' in page
    assert f'class="entries" lang="{language_named(own)}"' in page
    assert f">{words[browser][0]}</a>" in page
    assert words[language_named(own)][1] in page


def test_notices_and_messages_are_in_the_boards_language_and_by_its_clock(board):
    board.language, board.time_zone, board.takes_messages = "de", "Asia/Tokyo", True
    board.save()
    board.messages.create(text="Hello", state="shown")
    board.messages.update(at="2026-12-09T20:00Z")
    notice = Notice.objects.create(text="Closed", level="critical", is_shown=True)
    notice.boards.add(board)

    [message] = registry["messages"].read_topic(board.pk)
    [shown] = registry["notices"].read_topic(board.pk)

    assert "10. Dez 05:00" in str(message.html)
    assert "Alarm" in str(shown.html)
