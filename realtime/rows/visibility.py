"""Visibility: finds which of several topics a user may read by the methods of their feed, together or one by one."""

from collections.abc import AsyncIterator, Awaitable, Collection, Hashable, Iterable, Iterator, Mapping
from inspect import isawaitable
from typing import Any, Protocol, TypeVar

from asgiref.sync import async_to_sync

T = TypeVar("T")


class Answering(Protocol):
    """The methods by which a feed answers."""

    name: str

    def can_subscribe(self, user: Any, key: Any) -> bool | Awaitable[bool]: ...

    def visible_topics(
        self, user: Any, keys: Collection[Any]
    ) -> Iterable[Any] | Awaitable[Iterable[Any]]: ...

    def same_rights(self, user: Any) -> Hashable: ...


class BadAnswer(TypeError):
    """An app's code has not answered what a user may do; ``wanted`` says who must return what."""

    def __init__(self, wanted: str, answer: object) -> None:
        super().__init__(wanted, answer)
        self.wanted, self.answer = wanted, answer

    def __str__(self) -> str:
        return f"{self.wanted}, but it returned {repr(self.answer)[:100]}"


def answers_together(feed: Answering, base: type) -> bool:
    """Return whether ``visible_topics`` decides, rather than ``can_subscribe`` for each topic.

    If a subclass declares only one of the two, that one decides, because it may be stricter. ``base`` is the class with
    the defaults.
    """
    return _depth(feed, "visible_topics", base) <= min(
        _depth(feed, "can_subscribe", base), _depth(feed, "", base) - 1
    )


def rights_key(feed: Answering, user: Any, base: type) -> Hashable:
    """Return a value that is equal for users with the same rights to a feed.

    ``same_rights`` returns it for the methods of its own class and its bases; a method of a subclass may depend on
    more.
    """
    decisive = min(_depth(feed, "visible_topics", base), _depth(feed, "can_subscribe", base))
    if _depth(feed, "same_rights", base) <= min(decisive, _depth(feed, "", base) - 1):
        return feed.same_rights(user)
    own: Hashable = user.pk
    return own


def _depth(feed: Answering, name: str, base: type) -> int:
    """Return the distance in the class hierarchy from a feed to the nearest class that declares a method."""
    classes = (feed, *type(feed).__mro__)
    return next(depth for depth, each in enumerate(classes) if each is base or name in vars(each))


def may_subscribe(feed: Answering, user: Any, key: Any) -> bool:
    """Return the answer of a feed's ``can_subscribe``.

    Raises: BadAnswer; whatever the feed raises.
    """
    return granted(feed.can_subscribe(user, key), f"can_subscribe of feed {feed.name}")


def granted(answer: object, asked: str) -> bool:
    """Return whether an answer of an app's code, which may be that of an async function, grants something.

    Raises: BadAnswer, for a function that was not called and for a generator: they are true whatever they would return.
    Whatever the code raises.
    """
    answer = result_of(answer)
    if callable(answer) or isinstance(answer, Iterator | AsyncIterator):
        raise BadAnswer(f"{asked} must return True or False", answer)
    return bool(answer)


def result_of(answer: T | Awaitable[T]) -> T:
    """Return the answer of a feed's method, also if it is an async function.

    Raises: whatever the feed raises.
    """
    return async_to_sync(_wait_for)(answer) if isawaitable(answer) else answer


async def _wait_for(answer: Awaitable[T]) -> T:
    return await answer


def visible(feed: Answering, user: Any, keys: Collection[Any]) -> set[Any]:
    """Return the answer of a feed's ``visible_topics``, which may be an async function.

    Raises: BadAnswer, if that is not some of the keys; whatever the feed raises.
    """
    answer = result_of(feed.visible_topics(user, keys))
    wanted = (
        f"visible_topics of feed {feed.name} must return those of the given keys that the user may read, as a list or "
        "a queryset of values"
    )
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | Mapping):
        raise BadAnswer(wanted, answer)
    found = list(answer)
    asked = {(type(key) is bool, key) for key in keys}  # True is equal to 1, but answers another question
    try:
        if not {(type(key) is bool, key) for key in found} <= asked:
            raise BadAnswer(wanted, found)
    except TypeError as error:  # an answer without a hash is no key
        raise BadAnswer(wanted, found) from error
    return set(found)
