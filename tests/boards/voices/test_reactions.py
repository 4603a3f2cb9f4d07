"""Reactions: exact counts, once for each browser, in bounded storage."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from realtime.boards.models import Reacted, ReactionCount
from realtime.boards.voices import reactions
from realtime.boards.voices.reactions import KindsField, press, reactables


def number(entry, kind="thumb"):
    found = ReactionCount.objects.filter(entry=entry, kind=kind).first()
    return found.number if found else None


def test_a_browser_counts_once_and_may_take_it_back(open_board, entry):
    assert press(open_board, entry.pk, "thumb", "one") is True
    assert press(open_board, entry.pk, "heart", "one") is True
    assert press(open_board, entry.pk, "thumb", "two") is True
    assert (number(entry), number(entry, "heart")) == (2, 1)

    assert press(open_board, entry.pk, "thumb", "one") is False

    assert (number(entry), number(entry, "heart")) == (1, 1)


@pytest.mark.parametrize("kind", ["eyes", "", "<b>", "thumb heart", "\x00"])
def test_only_the_reactions_that_the_editor_has_chosen_count(open_board, entry, kind):
    assert press(open_board, entry.pk, kind, "one") is None
    assert not ReactionCount.objects.exists()


def test_only_shown_entries_of_the_board_count(open_board, open_staff_board, entry):
    hidden = open_board.entries.create(label="Hidden", is_visible=False)
    other = open_staff_board.entries.create(label="Elsewhere")

    assert [press(open_board, key, "thumb", "one") for key in (hidden.pk, other.pk, 10**9)] == [None] * 3
    assert not Reacted.objects.exists()


def test_few_browsers_are_remembered_and_the_count_stays(open_board, entry, monkeypatch):
    """Rows do not grow with the number of viewers."""
    monkeypatch.setattr(reactions, "MAX_KNOWN", 3)

    for visitor in range(10):
        press(open_board, entry.pk, "thumb", str(visitor))

    assert number(entry) == 10
    assert Reacted.objects.count() == 3


def test_browsers_are_forgotten_after_a_month(open_board, entry):
    press(open_board, entry.pk, "thumb", "one")

    reactions.remove_old()
    assert Reacted.objects.count() == 1

    reactions.remove_old(timezone.now() + timedelta(days=31))
    assert (Reacted.objects.count(), number(entry)) == (0, 1)


def test_a_count_is_never_below_zero(open_board, entry):
    """Also where a program has removed it meanwhile."""
    press(open_board, entry.pk, "thumb", "one")
    ReactionCount.objects.update(number=0)

    assert press(open_board, entry.pk, "thumb", "one") is False

    assert number(entry) == 0


def test_counts_follow_an_entry_to_another_board(open_board, open_staff_board, entry):
    press(open_board, entry.pk, "thumb", "one")
    entry.board = open_staff_board
    entry.save()

    reactions.remove_old()

    assert ReactionCount.objects.get().board == open_staff_board


def test_programs_may_delete_entries_with_reactions_by_sql(open_board, entry):
    """The reactions are removed later."""
    other = open_board.entries.create(label="Other")
    for each in (entry, other):
        press(open_board, each.pk, "thumb", "one")

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM boards_entry WHERE id = %s", [entry.pk])
    connection.check_constraints()
    reactions.remove_old()

    assert [ReactionCount.objects.get().entry_id, Reacted.objects.get().entry_id] == [other.pk] * 2


def test_the_page_has_the_numbers_and_the_choices_of_a_browser(open_board, entry):
    press(open_board, entry.pk, "thumb", "one")

    (found,) = reactables(open_board, "one")

    assert [(str(kind), shown, is_mine) for kind, _, shown, is_mine in found.kinds] == [
        ("thumb", 1, True),
        ("heart", 0, False),
    ]


def test_a_board_without_reactions_costs_no_query(board, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert reactables(board, "") == []


def test_an_editor_chooses_the_reactions():
    field = KindsField(required=False)

    assert field.clean(["heart", "thumb"]) == "thumb heart"
    assert field.prepare_value("thumb heart") == ["thumb", "heart"]
    assert not field.has_changed("thumb heart", ["heart", "thumb"])
    assert field.has_changed("thumb", ["heart"])
    assert field.clean([]) == ""
