"""Turns: a bounded number at once, a share for each address and page, a short and fair queue."""

import asyncio
from collections.abc import Callable

import pytest

from realtime.access import turns
from realtime.access.turns import (
    MAX_WAITING,
    MAX_WAITING_PER_ADDRESS,
    MAX_WAITING_REPEATED,
    NoTurn,
    Turn,
    Turns,
)
from realtime.engine.codes import Code
from tests.conftest import until


class Seat:
    """A thread that a test keeps busy."""

    is_busy = False

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def when_idle(self, call: Callable[[], None]) -> None:
        if self.is_busy:
            self._calls.append(call)
        else:
            call()

    def end(self) -> None:
        self.is_busy = False
        for call in self._calls:
            call()


def seats(count: int) -> Turns[Seat]:
    return Turns([Seat() for _ in range(count)])


async def taken(of: Turns[Seat], *requests: tuple[str | None, str]) -> list[asyncio.Task[Turn[Seat]]]:
    """Request turns in this order; return the tasks, some of which have their turn."""
    tasks = [asyncio.create_task(of.take(address, page)) for address, page in requests]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def have_turns(tasks: list[asyncio.Task[Turn[Seat]]]) -> list[bool]:
    return [task.done() for task in tasks]


async def cancelled(tasks: list[asyncio.Task[Turn[Seat]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_address_has_half_of_the_turns_and_for_one_page_a_quarter():
    """The rest is for other addresses: a flood of one address does not keep their pages waiting."""
    pages = seats(8)

    flood = await taken(pages, *[("10.0.0.1", "/login/")] * 5, *[("10.0.0.1", "/")] * 5)
    others = await taken(
        pages, ("10.0.0.2", "/login/"), ("10.0.0.3", "/"), (None, "/"), (None, "/"), (None, "/")
    )

    assert have_turns(flood) == [True, True, False, False, False] * 2
    assert have_turns(others) == [True, True, True, True, False]
    assert (pages.running, pages.waiting) == (8, 7)
    await cancelled([*flood, *others])


async def test_pages_that_fetch_themselves_again_have_half_of_the_turns():
    """From however many addresses: the viewers of a slow page leave the others to visitors."""
    pages = seats(8)

    def fetches(first: int, last: int) -> list[asyncio.Task[Turn[Seat]]]:
        return [asyncio.create_task(pages.take(f"10.0.0.{n}", "/slow/", True)) for n in range(first, last)]

    viewers = fetches(0, 4 + MAX_WAITING_REPEATED)
    visitors = await taken(pages, *[(f"10.0.1.{number}", "/slow/") for number in range(4)])
    late = fetches(100, 101)
    (refused,) = await asyncio.gather(*late, return_exceptions=True)

    assert [have_turns(viewers).count(True), have_turns(visitors)] == [4, [True] * 4]
    assert isinstance(refused, NoTurn)
    assert pages.waiting == MAX_WAITING_REPEATED
    viewers[0].result().leave()
    await until(lambda: have_turns(viewers).count(True) == 5)
    assert pages.running == 8
    await cancelled([*viewers, *visitors])


async def test_a_page_without_an_address_fetches_itself_in_the_same_share():
    """Behind a Unix socket no address is known."""
    pages = seats(4)
    tasks = [asyncio.create_task(pages.take(None, "/", True)) for _ in range(3)]
    others = await taken(pages, (None, "/"), (None, "/"))

    assert have_turns([*tasks, *others]) == [True, True, False, True, True]
    await cancelled([*tasks, *others])


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_with_few_turns_every_address_still_has_one(count):
    """A share is at least one."""
    pages = seats(count)

    (task,) = await taken(pages, ("10.0.0.1", "/"))

    assert task.done()


async def test_the_next_is_of_the_address_with_the_fewest_turns():
    """However long others have waited; then the oldest of that address."""
    pages = seats(2)
    first, second, third = await taken(pages, ("10.0.0.1", "/a"), ("10.0.0.1", "/b"), ("10.0.0.1", "/c"))
    fourth, fifth, sixth = await taken(pages, ("10.0.0.2", "/"), ("10.0.0.2", "/"), ("10.0.0.3", "/"))
    assert have_turns([first, second, third, fourth, fifth, sixth]) == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]

    (await fourth).leave()
    await until(lambda: pages.waiting == 3)
    assert have_turns([second, third, fifth, sixth]) == [False, False, True, False]

    (await first).leave()
    await until(lambda: pages.waiting == 2)
    assert have_turns([second, third, sixth]) == [True, False, False]
    await cancelled([third, sixth])


async def test_the_queue_is_short():
    """In total, and for one address: the others are refused at once."""
    pages = seats(1)
    crowd = [(f"10.0.0.{number}", "/") for number in range(MAX_WAITING + 1)]
    waiting = await taken(pages, *[("10.0.0.0", "/")] * (MAX_WAITING_PER_ADDRESS + 2))
    assert have_turns(waiting) == [True, *[False] * MAX_WAITING_PER_ADDRESS, True]
    with pytest.raises(NoTurn, match="try again"):
        await waiting[-1]

    more = await taken(pages, *crowd[1 : MAX_WAITING - MAX_WAITING_PER_ADDRESS + 2])
    assert have_turns(more) == [*[False] * (MAX_WAITING - MAX_WAITING_PER_ADDRESS), True]
    with pytest.raises(NoTurn) as error:
        await more[-1]

    assert error.value.code == Code.TOO_MUCH
    await cancelled(waiting[:-1] + more[:-1])
    assert pages.waiting == 0


async def test_nothing_waits_for_long(monkeypatch):
    """A person would have reloaded the page; the place in the queue is free again."""
    pages = seats(1)
    (first,) = await taken(pages, ("10.0.0.1", "/"))

    with monkeypatch.context() as impatient:
        impatient.setattr(turns, "WAIT_SECONDS", 0.01)
        with pytest.raises(NoTurn):
            await pages.take("10.0.0.2", "/")

    assert pages.waiting == 0
    (await first).leave()
    (await pages.take("10.0.0.2", "/")).leave()


@pytest.mark.parametrize("is_granted", [False, True], ids=["waiting", "granted at that moment"])
async def test_a_request_that_is_cancelled_leaves_its_turn_to_the_next(is_granted):
    """Also if it was granted and not yet noticed."""
    pages = seats(1)
    first, second, third = await taken(pages, *[(f"10.0.0.{number}", "/") for number in range(3)])

    if is_granted:
        (await first).leave()
        while pages.waiting == 2:
            await asyncio.sleep(0)
        assert not second.done()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    (await first).leave()

    (await third).leave()
    await pages.all_left()


async def test_a_turn_lasts_as_long_as_the_seat_is_busy():
    """A view continues in its thread after its client has left: otherwise ten such clients would use ten threads."""
    pages = seats(1)
    turn = await pages.take("10.0.0.1", "/")
    turn.seat.is_busy = True

    turn.leave()
    (waiting,) = await taken(pages, ("10.0.0.2", "/"))
    assert not waiting.done()

    turn.seat.end()
    turn.leave()
    (await waiting).leave()
    await pages.all_left()
    assert (pages.running, dict(pages._running)) == (0, {})
