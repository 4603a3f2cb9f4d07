"""Visibility: which methods of a feed's class decide on the rights of users."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.rows.visibility import BadAnswer, answers_together, may_subscribe, rights_key, visible

USER = SimpleNamespace(pk=7, is_staff=True)


class Base:
    """The class with the defaults."""

    name = "things"

    def can_subscribe(self, user, key):
        return False

    def visible_topics(self, user, keys):
        return []

    def same_rights(self, user):
        return user.pk


def declare(*names: str, base: type = Base) -> type:
    """Return a subclass that declares these methods."""
    methods: dict[str, Any] = {
        "can_subscribe": lambda self, user, key: True,
        "visible_topics": lambda self, user, keys: keys,
        "same_rights": lambda self, user: ("staff", user.is_staff),
    }
    return type("Declared", (base,), {name: methods[name] for name in names})


ALL = ("can_subscribe", "visible_topics", "same_rights")


@pytest.mark.parametrize(
    "feed, together, shared",
    [
        (Base, False, False),
        (declare("can_subscribe"), False, False),
        (declare("visible_topics"), True, False),
        (declare("can_subscribe", "visible_topics"), True, False),
        (declare("can_subscribe", "same_rights"), False, True),
        (declare(*ALL), True, True),
        (declare(base=declare(*ALL)), True, True),
        (declare("can_subscribe", base=declare(*ALL)), False, False),
        (declare("visible_topics", base=declare(*ALL)), True, False),
        (declare("visible_topics", base=declare("can_subscribe", "same_rights")), True, False),
        (declare("same_rights", base=declare("can_subscribe", "visible_topics")), True, True),
        (declare("same_rights", base=declare("can_subscribe")), False, True),
        (declare("can_subscribe", "same_rights", base=declare("visible_topics")), False, True),
    ],
)
def test_what_a_subclass_declares_decides(feed, together, shared):
    """An inherited method does not call the stricter one that a subclass declares."""
    assert answers_together(feed(), Base) is together
    assert rights_key(feed(), USER, Base) == (("staff", True) if shared else 7)


def test_a_method_of_the_feed_itself_decides():
    """As a test or a decorator may set it."""
    feed = declare(*ALL)()
    feed.can_subscribe = lambda user, key: False

    assert not answers_together(feed, Base)
    assert rights_key(feed, USER, Base) == 7


KEY = uuid.UUID(int=7)


@pytest.mark.parametrize(
    "keys, answer, found",
    [
        ([1, 2], [2], {2}),
        ([1, 2], (), set()),
        ([1, 2], {1, 2}, {1, 2}),
        ([1, 2], [1, 1], {1}),
        ([None], [None], {None}),
        ([KEY], [KEY], {KEY}),
        (["a b"], ["a b"], {"a b"}),
        ([True, False], [True], {True}),
    ],
    ids=str,
)
def test_a_feed_answers_with_some_of_the_keys(keys, answer, found):
    """In any order, in any kind of collection, also by a generator."""
    feed = declare("visible_topics")()
    for given in (answer, (key for key in answer)):
        feed.visible_topics = lambda user, keys, given=given: given

        assert visible(feed, USER, keys) == found


@pytest.mark.parametrize("answer", [True, False])
def test_a_feed_may_answer_by_an_async_function(answer):
    """A coroutine that is not awaited would count as true, whatever it returns."""
    feed = declare("can_subscribe")()

    async def can_subscribe(user: Any, key: Any) -> bool:
        await asyncio.sleep(0)
        return answer

    feed.can_subscribe = can_subscribe

    assert may_subscribe(feed, USER, 1) is answer


async def items() -> AsyncIterator[bool]:
    yield False


@pytest.mark.parametrize(
    "answer",
    [lambda: False, USER.__eq__, type(USER), (each for each in [False]), items()],
    ids=["a function", "a method", "a class", "a generator", "an async generator"],
)
def test_an_answer_that_is_always_true_grants_nothing(answer):
    """A forgotten pair of brackets, as in ``user.has_perm``, would let everybody read."""
    feed = declare("can_subscribe")()
    feed.can_subscribe = lambda user, key: answer

    with pytest.raises(
        BadAnswer, match="can_subscribe of feed things must return True or False, but it returned"
    ):
        may_subscribe(feed, USER, 1)


@pytest.mark.parametrize("answer", [1, "yes", [0]])
def test_other_answers_count_as_python_counts_them(answer):
    feed = declare("can_subscribe")()
    feed.can_subscribe = lambda user, key: answer

    assert may_subscribe(feed, USER, 1) is True


@pytest.mark.parametrize("answer", [[], [2], {1, 2}])
def test_a_feed_may_answer_for_several_topics_by_an_async_function(answer):
    """With the same rules."""
    feed = declare("visible_topics")()

    async def visible_topics(user: Any, keys: Any) -> Any:
        await asyncio.sleep(0)
        return answer

    feed.visible_topics = visible_topics

    assert visible(feed, USER, [1, 2]) == set(answer)


async def asynchronous() -> list[int]:
    return [3]


@pytest.mark.parametrize(
    "answer",
    [
        None, True, False, 1, "1", b"1", {1: False}, [3], [1, 3], ["1"], [True], [1, True], [None], [[1]], [{}],
        object(), asynchronous,
    ],
    ids=lambda answer: re.sub(" (object )?at 0x.*", "", repr(answer)),  # the same in every worker
)  # fmt: skip
def test_another_answer_grants_nothing(answer):
    """A forgotten return, a dictionary of booleans, keys of another type: the error says what to return."""
    feed = declare("visible_topics")()
    feed.visible_topics = lambda user, keys: answer() if answer is asynchronous else answer

    with pytest.raises(BadAnswer, match=r"visible_topics of feed things must return those of the given keys"):
        visible(feed, USER, [1, 2])


def test_what_a_feed_raises_is_not_changed():
    feed = declare("visible_topics")()
    feed.visible_topics = lambda user, keys: 1 / 0

    with pytest.raises(ZeroDivisionError):
        visible(feed, USER, [1])
