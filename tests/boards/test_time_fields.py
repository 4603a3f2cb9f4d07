"""Times as editors enter them: by the clock of a board, and only what was changed is written."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from realtime.actions import ActionRefused, perform
from realtime.boards.models import Board, Entry, Notice
from realtime.boards.time_fields import WeekdaysField, ZonedTimeField, weekdays_in_words

from .test_shared_forms import Form

SECOND = datetime(2026, 10, 25, 1, 30, 15, tzinfo=UTC)
"""The second half past two in Oslo, on the day on which clocks are set back; and some seconds."""


@pytest.fixture
def oslo(board):
    board.time_zone = "Europe/Oslo"
    board.save()
    return board


def address(entry):
    return reverse("admin:boards_entry_change", args=[entry.pk])


def test_a_field_reads_and_shows_by_its_zone():
    field = ZonedTimeField()
    field.zone = ZoneInfo("Europe/Oslo")

    assert field.clean("2026-11-26T08:40") == datetime(2026, 11, 26, 7, 40, tzinfo=UTC)
    assert field.clean("2026-10-25T02:30+01:00") == SECOND.replace(second=0)
    assert field.prepare_value(SECOND) == "2026-10-25T02:30"
    assert not field.has_changed(SECOND, "2026-10-25T02:30")
    assert field.has_changed(SECOND, "")
    assert not field.has_changed(None, "")


@pytest.mark.parametrize("text", ["2026-03-29T02:30", "2026-13-01T00:00", "tomorrow", "2026-11-26T25:00"])
def test_a_text_that_is_not_a_time_is_refused(text):
    field = ZonedTimeField()
    field.zone = ZoneInfo("Europe/Oslo")

    with pytest.raises(ValidationError):
        field.clean(text)


def test_days_are_stored_as_numbers():
    field = WeekdaysField(required=False)

    assert field.clean(["5", "1"]) == "15"
    assert field.clean([]) == ""
    assert weekdays_in_words("15") == "Mon, Fri"
    with pytest.raises(ValidationError):
        field.clean(["8"])


def test_an_editor_sets_times_in_the_admin(editor_client, oslo, entry):
    """By the clock of the board, which the form names."""
    form = Form(editor_client.get(address(entry)))
    times = {"at": "2026-07-01T08:40", "shows_from": "2026-07-01T06:00", "weekdays": ["1", "3"]}

    response = editor_client.post(address(entry), form.sent | times)

    assert response.status_code == 302, response.content.decode()
    found = Entry.objects.get()
    assert found.at == datetime(2026, 7, 1, 6, 40, tzinfo=UTC)
    assert found.shows_from == datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
    assert (found.weekdays, found.shows_until) == ("13", None)
    assert found.is_due is not None
    assert "By the clock of Europe/Oslo." in editor_client.get(address(entry)).content.decode()


@pytest.mark.parametrize("where", ["entry", "board"])
def test_a_time_that_was_not_changed_is_not_written(editor_client, oslo, entry, where):
    """Its seconds stay, and which of two equal hours it is; a board may get another zone in the same save."""
    Entry.objects.update(at=SECOND, shows_from=SECOND, weekdays="7")
    path = address(entry) if where == "entry" else reverse("admin:boards_board_change", args=[oslo.pk])
    form = Form(editor_client.get(path))
    changes = {"label": "Other"} if where == "entry" else {"time_zone": "Asia/Tokyo"}

    response = editor_client.post(path, form.sent | changes)

    assert response.status_code == 302, response.content.decode()
    found = Entry.objects.get()
    assert (found.at, found.shows_from, found.weekdays) == (SECOND, SECOND, "7")


def test_a_time_that_two_have_changed_is_asked_about(editor_client, oslo, entry):
    """Both values are shown, as an editor reads them."""
    form = Form(editor_client.get(address(entry)))
    Entry.objects.update(at=SECOND)

    html = editor_client.post(address(entry), form.sent | {"at": "2026-11-26T08:40"}).content.decode()

    assert "Changed meanwhile to “2026-10-25T02:30”; you entered “2026-11-26T08:40”" in html
    assert Entry.objects.get().at == SECOND


def test_an_absent_time_is_named_in_the_admin(editor_client, oslo, entry):
    form = Form(editor_client.get(address(entry)))

    html = editor_client.post(address(entry), form.sent | {"at": "2026-03-29T02:30"}).content.decode()

    assert "There is no 02:30 on 29 March 2026 in Europe/Oslo" in html


def test_an_editor_sets_times_on_the_board(editor, oslo, entry):
    """Over what was seen; a conflict, a fault and an undo are as those of any value."""
    seen = perform(editor, "entries.times", {"entry": entry.pk})
    assert (seen["zone"], seen["label"]) == ("Europe/Oslo", "Saltmere")
    changes = {"at": "2026-10-25T02:30", "weekdays": "31"}

    done = perform(editor, "entries.set", {"entry": entry.pk, "changes": changes, "seen": seen["values"]})

    found = Entry.objects.get()
    assert (found.at, found.weekdays) == (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "13")
    later = {"at": "2026-11-01T10:00"}
    again = perform(editor, "entries.set", {"entry": entry.pk, "changes": later, "seen": {"at": ""}})
    assert again == {"conflict": {"at": "2026-10-25T02:30"}}
    absent = {"at": "2026-03-29T02:30"}
    with pytest.raises(ActionRefused, match="at: There is no 02:30"):
        perform(editor, "entries.set", {"entry": entry.pk, "changes": absent, "seen": {}})
    perform(editor, "entries.undo", {"token": done["undo"]})
    found = Entry.objects.get()
    assert (found.at, found.weekdays, found.is_due) == (None, "", None)
    assert perform(editor, "entries.times", {"entry": 0}) == {"gone": True}


FAR = [
    "9999-12-31T10:00",
    "9999-12-31T23:30-05:00",
    "0001-01-01T00:00",
    "3000-01-02T00:00",
    "1969-12-30T00:00",
]


@pytest.mark.parametrize("zone", ["Europe/Oslo", "America/Santiago"])
@pytest.mark.parametrize("text", FAR)
def test_a_time_that_is_too_far_away_is_refused(text, zone):
    """Wherever it is entered: all fields are this one."""
    field = ZonedTimeField()
    field.zone = ZoneInfo(zone)

    with pytest.raises(ValidationError, match="too far away; enter one of the years 1970 to 2999"):
        field.clean(text)


def test_an_editor_is_told_that_a_time_is_too_far_away(editor_client, editor, oslo, entry):
    """In the admin, and by the action of the board's page."""
    add = reverse("admin:boards_entry_add")
    sent = {"board": oslo.pk, "label": "Ferry", "shows_from": FAR[0], "weekdays": ["1"]}

    response = editor_client.post(add, sent)

    assert "too far away" in response.content.decode()
    with pytest.raises(ActionRefused, match="shows_from: This time is too far away"):
        perform(editor, "entries.set", {"entry": entry.pk, "changes": {"shows_from": FAR[0]}, "seen": {}})


@pytest.mark.parametrize("at", ["9999-12-31T23:30", "0001-01-01T00:30"])
@pytest.mark.parametrize("zone", ["Europe/Oslo", "America/Santiago"])
def test_a_time_that_a_program_wrote_too_far_away_breaks_no_board(editor_client, oslo, at, zone):
    """The entry is shown without it, a notice until it is ended."""
    far = datetime.fromisoformat(at).replace(tzinfo=UTC)
    Board.objects.update(time_zone=zone, hides_after=10 if far.year > 2026 else None)
    oslo.refresh_from_db()
    oslo.entries.create(label="Ferry", at=far, weekdays="1234567")
    Notice.objects.create(text="Closed", shows_from=far, shows_until=far).boards.set([oslo])
    Notice.objects.create(text="For ever", shows_until=None if far.year < 2026 else far).boards.set([oslo])

    html = editor_client.get(oslo.get_absolute_url()).content.decode()

    assert "Ferry" in html
    assert "entry-at" not in html
    assert "until it is ended" in html


REVERSED = {"shows_from": "2027-01-02T10:00", "shows_until": "2027-01-02T09:00"}
EQUAL = REVERSED | {"shows_until": REVERSED["shows_from"]}


@pytest.mark.parametrize("times", [REVERSED, EQUAL], ids=["before", "equal"])
def test_an_end_that_is_not_after_the_beginning_is_refused(editor_client, editor, oslo, entry, times):
    """In each form that has both, and by the action, whichever of the two is changed."""
    words = "would never be shown"
    form = Form(editor_client.get(address(entry)))
    notice = {"text": "Later", "level": "info", "boards": [oslo.pk]}

    assert words in editor_client.post(address(entry), form.sent | times).content.decode()
    assert words in editor_client.post(reverse("admin:boards_notice_add"), notice | times).content.decode()
    with pytest.raises(ActionRefused, match=f"shows_until: .*{words}"):
        perform(editor, "entries.set", {"entry": entry.pk, "changes": times, "seen": {}})
    for first, second in [[*REVERSED], [*REVERSED][::-1]]:
        Entry.objects.update(shows_from=None, shows_until=None)
        perform(editor, "entries.set", {"entry": entry.pk, "changes": {first: times[first]}, "seen": {}})
        with pytest.raises(ActionRefused, match=words):
            perform(
                editor, "entries.set", {"entry": entry.pk, "changes": {second: times[second]}, "seen": {}}
            )
    assert not Notice.objects.exists()
