"""Functions of ``on_change`` as they are declared; tests/contract/test_on_change.py has how they are called."""

from collections.abc import Iterator
from typing import Any

import pytest

from realtime.boards.models import Entry
from realtime.changes import Change, handlers, is_handled, on_change
from realtime.checks.feeds import check_handlers
from realtime.feeds import Feed, registry


@pytest.fixture
def feed() -> Iterator[type[Feed]]:
    """A feed of entries; what is declared meanwhile is taken back."""
    before = dict(handlers)
    probe = type("Probe", (Feed,), {"name": "probe"})
    registry.add(probe(Entry))
    yield probe
    registry.remove("probe")
    handlers.clear()
    handlers.update(before)


def apply(change: Change) -> None:
    """A function that does nothing."""


async def apply_later(change: Change) -> None:
    """An async one."""


def words(messages: Any) -> list[str]:
    return [f"{message.id}: {message.msg}" for message in messages]


def test_a_function_is_declared_for_a_feed_or_its_name(feed):
    """It stays what it was, and is known by its module and name."""
    assert on_change(feed)(apply) is apply
    on_change("probe", name="second")(apply_later)

    assert {handler.name: handler.feed_name for handler in handlers.values()} == {
        f"{__name__}.apply": "probe",
        "second": "probe",
    }
    assert is_handled("probe")
    assert not is_handled("entries")
    assert check_handlers() == []


def test_the_module_of_a_function_may_be_imported_twice(feed):
    """But two functions cannot have one place in the log."""
    on_change(feed, name="one")(apply)
    on_change(feed, name="one")(apply)

    with pytest.raises(ValueError, match="two functions of on_change have the name 'one'"):
        on_change(feed, name="one")(apply_later)
    with pytest.raises(ValueError, match="more than 200 characters"):
        on_change(feed, name="x" * 201)(apply)


def test_a_function_that_is_never_called_is_reported(feed):
    """The report says what to do."""
    on_change("nothing", name="a")(apply)
    on_change(type("Other", (Feed,), {}), name="b")(apply)
    on_change(feed, name="c", atomic=True)(apply_later)
    limited = type("Limited", (Feed,), {"name": "limited", "limit": 3})
    registry.add(limited(Entry))
    try:
        on_change(limited, name="d")(apply)
        found = check_handlers()
    finally:
        registry.remove("limited")

    assert {message.id for message in found} == {"realtime.W024"}
    assert [message.msg for message in found] == [
        "The function a of on_change is not called: 'nothing' is not a live feed.",
        "The function b of on_change is not called: Other is not a live feed.",
        "The function c of on_change is not called: it is async, and a transaction is bound to one thread.",
        "The function d of on_change is not called: the rows of the feed 'limited' depend on each other (a limit, an "
        "opaque order, a window), so that a change of one row is not recorded for the others in the log.",
    ]
    assert all(message.hint for message in found)


@pytest.mark.parametrize(
    "function",
    [lambda: None, lambda sender, instance: None, lambda *, change: None],
    ids=["none", "two as of a signal", "by name only"],
)
def test_a_function_with_other_arguments_is_reported(feed, function):
    """It would fail at each change, and never come to the next one."""
    on_change(feed, name="odd")(function)

    (found,) = check_handlers()

    assert "it does not take one argument, the change" in found.msg


@pytest.mark.parametrize("function", [apply, apply_later])
def test_the_decorator_without_a_feed_raises_an_error(function):
    """Without its brackets it would make a function of the function, and nothing would be called."""
    with pytest.raises(TypeError, match=r"write @on_change\(ProductFeed\)"):
        on_change(function)


def test_the_hint_for_an_unknown_feed_names_the_live_ones(feed):
    on_change("prob", name="misspelt")(apply)

    (found,) = check_handlers()

    assert "probe" in str(found.hint)
    assert "realtime_processes" not in str(found.hint)


def test_a_change_has_an_id_for_receivers():
    """One for each change, of which a repetition has the same."""
    change = Change("upsert", "probe.1", "7", {"a": 1}, "ab12.34")

    assert change.id == "ab12.34:probe.1:upsert:7"
