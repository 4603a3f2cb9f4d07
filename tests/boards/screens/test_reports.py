"""The reports of screens."""

import pytest
from django.contrib.auth.models import AnonymousUser

from realtime.actions import ActionRefused, perform
from realtime.boards.models import Screen


def report(**given):
    return perform(AnonymousUser(), "screens.report", {"size": "1920x1080", "version": "0a1b2c"} | given)


def test_a_screen_reports_its_size_and_version(paired, django_assert_num_queries):
    """The same once more is not written."""
    _, screen = paired

    assert report(screen=screen.topic) == {"changed": True}
    with django_assert_num_queries(1):
        assert report(screen=screen.topic) == {"changed": False}

    screen.refresh_from_db()
    assert (screen.size, screen.version) == ("1920x1080", "0a1b2c")


@pytest.mark.parametrize(
    "given",
    [
        {"screen": ""},
        {"screen": "x"},
        {"size": "large"},
        {"size": "1920x1080\0"},
        {"version": "<b>"},
        {"version": "a" * 21},
    ],
    ids=str,
)
def test_a_report_has_a_form(paired, given):
    _, screen = paired

    with pytest.raises(ActionRefused):
        report(**{"screen": screen.topic} | given)

    assert Screen.objects.get().size == ""


def test_a_report_is_of_a_paired_screen_alone(open_screen):
    _, screen = open_screen()

    assert report(screen=screen.topic) == {"changed": False}
    assert report(screen="0" * 32) == {"changed": False}
