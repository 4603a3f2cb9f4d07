"""Changes of rows in Python: functions that are called for each change of a feed's rows, by any writer.

They serve search indexes, mails, webhooks. The publisher's process calls each function in a thread of its own, for one
change after the other: ``realtime/publishing/handlers.py``.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .feeds import Feed, registry
from .rows.values import is_called_with, is_same

__all__ = ["Change", "on_change"]

MAX_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Change:
    """The argument of a function of ``on_change``: one committed change of one row of a topic."""

    op: Literal["upsert", "delete", "reset"]
    """``upsert``: the row is in the topic, new or changed. ``delete``: it no longer is. ``reset``: it is not known what
    has changed in the topic, and all of its rows follow as upserts; rows that do not follow are no longer in it."""
    topic: str
    """The topic; in a ``reset`` the feed's name may stand for all of its topics."""
    key: str
    """The row's primary key as text; empty in a ``reset``."""
    values: dict[str, Any] | None
    """The row for subscribers of the format ``rows``; None except in an ``upsert``."""
    position: str
    """The position of the change in the log, ``<epoch>.<offset>``."""
    is_initial: bool = False
    """Whether the row was read together with all others, at the start or after a ``reset``, rather than because it
    changed."""
    since: str = ""
    """The position of the start, or of the ``reset``, that an initial row follows; empty for other changes."""

    @property
    def id(self) -> str:
        """A text that is the same each time the function is called for this change: a key for idempotent receivers."""
        return ":".join(filter(None, (self.position, self.topic, self.op, self.key, self.since)))


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that is called for each change of a feed's rows."""

    name: str
    feed: str | type[Feed]
    function: Callable[[Change], Any]
    from_start: bool
    atomic: bool

    @property
    def feed_name(self) -> str | None:
        """The name of the feed, None if it is not registered, or off."""
        if isinstance(self.feed, str):
            return self.feed if self.feed in registry and registry[self.feed].error is None else None
        return next((feed.name for feed in registry if type(feed) is self.feed), None)

    @property
    def faults(self) -> Iterator[tuple[str, str]]:
        """The reasons why the function is not called, each with a remedy."""
        given = repr(self.feed) if isinstance(self.feed, str) else self.feed.__name__
        name = self.feed_name
        if name is None:
            own = [feed for feed in registry if not type(feed).__module__.startswith("realtime.")]
            live = ", ".join(sorted(feed.name for feed in own if feed.error is None))
            yield (
                f"{given} is not a live feed",
                f"Register it with @register, or correct its declaration. Live feeds: {live or 'none'}.",
            )
        elif registry[name].is_read_whole:
            yield (
                f"the rows of the feed {name!r} depend on each other (a limit, an opaque order, a window), so that a "
                "change of one row is not recorded for the others in the log",
                "Register a second feed of the model, without it and under another name, for the function.",
            )
        if not is_called_with(self.function, "change"):
            yield (
                "it does not take one argument, the change",
                f"Write `def {self.function.__name__}(change)`.",
            )
        if self.atomic and inspect.iscoroutinefunction(self.function):
            yield (
                "it is async, and a transaction is bound to one thread",
                "Leave out atomic, or write `def`.",
            )


handlers: dict[str, Handler] = {}

Function = TypeVar("Function", bound=Callable[[Change], Any])


def on_change(
    feed: str | type[Feed], *, name: str | None = None, from_start: bool = False, atomic: bool = False
) -> Callable[[Function], Function]:
    """Call the decorated function, which may be async, for each change of a feed's rows.

    ``feed`` is a registered feed, or its name. ``name`` identifies the function's place in the log, which is stored; by
    default it is ``<module>.<function>``, so give one before you rename the function.

    A new function begins with the next change; with ``from_start`` all rows come first, as upserts. Its place moves
    after it has returned, so after a crash it may be called again for the same change. With ``atomic`` (not for async
    functions) it is called in the transaction that moves its place, so that its writes to the live database take effect
    exactly once.

    A function that raises is called again for the same change, after a pause that grows up to five minutes.

    Raises: TypeError, if it stands above a function without the feed. ValueError, for a name that is too long or taken.
    """
    if not isinstance(feed, str | type):
        raise TypeError("@on_change stands above a function without the feed: write @on_change(ProductFeed)")

    def decorate(function: Function) -> Function:
        own = name or f"{function.__module__}.{function.__qualname__}"
        known = handlers.get(own)
        if len(own) > MAX_NAME_CHARACTERS:
            raise ValueError(f"the name {own[:40]!r}… has more than {MAX_NAME_CHARACTERS} characters")
        if known is not None and not is_same(known.function, function):
            raise ValueError(f"two functions of on_change have the name {own!r}; give one of them another")
        handlers[own] = Handler(own, feed, function, from_start, atomic)
        return function

    return decorate


def is_handled(feed: str) -> bool:
    """Return whether a function is called for the changes of a feed, so that the log needs their rows."""
    return any(handler.feed_name == feed for handler in handlers.values())
