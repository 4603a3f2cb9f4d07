"""The properties of a screen."""

from datetime import timedelta

import pytest
from django.utils import timezone

from realtime.boards.models import Screen

NOW = timezone.now()


@pytest.mark.parametrize(
    "code, until, has",
    [
        ("ABC234", NOW + timedelta(seconds=1), True),
        ("ABC234", NOW, False),
        ("ABC234", None, False),
        (None, NOW + timedelta(seconds=1), False),
    ],
    ids=["in time", "expired", "without a time", "typed already"],
)
def test_a_code_is_valid_for_a_time(code, until, has):
    assert Screen(code=code, code_until=until).has_code(NOW) == has


def test_a_screen_waits_until_it_has_a_name():
    assert Screen().is_waiting
    assert not Screen(name="Pier 2").is_waiting
    assert str(Screen(name="Pier 2")) == "Pier 2"
    assert str(Screen()) == "A screen that waits for its code"


def test_each_screen_has_a_topic_of_its_own_that_cannot_be_guessed():
    topics = {Screen().topic for _ in range(100)}

    assert len(topics) == 100
    assert {len(topic) for topic in topics} == {32}
