"""Feeds: registered for a model, and closed by default."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import models

from realtime.actions import is_staff
from realtime.boards.models import Board
from realtime.feeds import Feed, register, registry


def feed(model: type[models.Model], **attributes) -> Feed:
    return type("SomeFeed", (Feed,), attributes)(model)


def test_register_makes_a_model_live():
    """The decorated class itself stays usable."""
    try:

        @register(Board)
        class Gangways(Feed):
            name = "gangways"

        assert registry["gangways"].model is Board
        assert issubclass(Gangways, Feed)
    finally:
        registry.remove("gangways")
    assert "gangways" not in registry


def test_a_decorator_without_its_model_leaves_the_feed_off_with_words(log):
    """Without brackets it is called with the class, which stays one; a model's name in quotes is no model."""
    names = []
    decorator: Any = register
    try:

        @decorator
        class Bare(Feed):
            name = "bare"

        @decorator("boards.Board")
        class Quoted(Feed):
            name = "quoted"

        @decorator(None)
        class Empty(Feed):
            pass

        @decorator(Board)
        class Plain:
            pass

        names = [Bare.name, Quoted.name, "Empty", "Plain"]
        words = [registry.refused[name] for name in names]
    finally:
        for name in names:
            registry.remove(name)

    assert all("write" in each for each in words)
    assert "Bare without a model" in words[0]
    assert "'boards.Board'" in words[1]
    assert "write `class Plain(Feed)`" in words[3]


@pytest.mark.parametrize(
    "user, may",
    [
        (AnonymousUser(), False),
        (User(username="reader"), False),
        (User(username="gone", is_staff=True, is_active=False), False),
        (User(username="staff", is_staff=True), True),
    ],
    ids=["anonymous", "a reader", "deactivated staff", "staff"],
)
def test_only_staff_may_read_a_feed_without_can_subscribe(user, may):
    """Closed by default."""
    assert feed(Board).can_subscribe(user, None) is may


def test_a_user_model_without_staff_has_no_staff():
    """A project may have a user model of its own; then the feed decides which users may read."""

    member: Any = SimpleNamespace(is_active=True, pk=1)

    assert Feed.can_subscribe(Feed.__new__(Feed), member, None) is False
    assert is_staff(member) is False
