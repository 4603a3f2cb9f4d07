"""Addresses and searches that every list of the admin refuses; tests/boards/test_admin.py shows it by requests."""

from realtime.boards.admin import BoardAdmin, EntryAdmin, NoticeAdmin
from realtime.boards.bounded import Bounded
from realtime.boards.screens.admin import ScreenAdmin


def test_every_list_is_bounded():
    assert all(issubclass(each, Bounded) for each in [BoardAdmin, EntryAdmin, NoticeAdmin, ScreenAdmin])
