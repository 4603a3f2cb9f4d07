"""Turns: which requests run now and which wait, so that one address cannot use up the turns of other addresses."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Generic, Protocol, TypeVar

from ..engine.codes import Code
from ..engine.errors import RealtimeError

MAX_WAITING, MAX_WAITING_PER_ADDRESS = 100, 25
"""How many requests wait for a turn of one kind in one process, in total and of one address."""
MAX_WAITING_REPEATED = 50
"""How many of them may be of pages that fetch themselves again."""
REPEATED = "repeated"
"""The owner of the turns of pages that fetch themselves again."""
WAIT_SECONDS = 10.0
"""How long a request waits at most; a person would have reloaded the page by then."""


class NoTurn(RealtimeError):
    """A request cannot have a turn soon."""

    code = Code.TOO_MUCH

    def __str__(self) -> str:
        return "too many pages were asked for at once; try again in a few seconds"


class Seat(Protocol):
    """The resource that a request occupies during its turn, for instance a thread."""

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call a function, from any thread, as soon as the request no longer runs on this seat."""


S = TypeVar("S", bound=Seat)


@dataclass(eq=False, slots=True)
class _Request(Generic[S]):
    address: str | None
    page: str
    is_repeated: bool
    is_granted: asyncio.Future[None]
    seat: S | None = None

    @property
    def shares(self) -> dict[Hashable, int]:
        """The owners whose shares it counts in, each with the part of the turns that it has: half of them for 2."""
        found: dict[Hashable, int] = {}
        if self.address is not None:
            found |= {(self.address,): 2, (self.address, self.page): 4}
        if self.is_repeated:
            found[REPEATED] = 2
        return found


class Turns(Generic[S]):
    """The turns of one kind in one process and event loop, as many at once as there are seats.

    One address has at most half of them at once, and for one page half of that, so that its other pages do not wait for
    a slow one. The next turn is given to the address that has the fewest, and to its oldest request.

    Pages that fetch themselves again for their live blocks have half of the turns together, from however many
    addresses: the viewers of a slow page would take them all, once a second.
    """

    def __init__(self, seats: Sequence[S]) -> None:
        self._size, self._free = len(seats), list(seats)
        self._running: Counter[Hashable] = Counter()  # by owner
        self._waiting: list[_Request[S]] = []
        self._all_left = asyncio.Event()
        self._all_left.set()

    @property
    def running(self) -> int:
        """How many requests have a turn."""
        return self._size - len(self._free)

    @property
    def waiting(self) -> int:
        """How many requests wait for one."""
        return len(self._waiting)

    async def take(self, address: str | None, page: str, is_repeated: bool = False) -> "Turn[S]":
        """Return a turn as soon as a request for a page may have one; ``is_repeated`` if a page fetches itself again.

        Raises: NoTurn, if too many wait already, or if that takes ``WAIT_SECONDS``.
        """
        loop = asyncio.get_running_loop()
        request: _Request[S] = _Request(address, page, is_repeated, loop.create_future())
        self._waiting.append(request)
        self._grant()
        if request in self._waiting and self._is_crowded_for(request):
            self._waiting.remove(request)
            raise NoTurn
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await request.is_granted
        except (
            BaseException
        ) as error:  # also if this task was cancelled: the turn may have been granted meanwhile
            if request.seat is None:
                self._waiting.remove(request)
            else:
                self._leave(request, request.seat, loop)
            if isinstance(error, TimeoutError):
                raise NoTurn from None
            raise
        seat = request.seat
        assert seat is not None
        return Turn(seat, lambda: self._leave(request, seat, loop))

    async def all_left(self) -> None:
        """Wait until no request has a turn."""
        await self._all_left.wait()

    def _is_crowded_for(self, request: _Request[S]) -> bool:
        address = request.address
        of_address = sum(address == other.address for other in self._waiting if address is not None)
        repeated = sum(other.is_repeated for other in self._waiting) if request.is_repeated else 0
        return (
            len(self._waiting) > MAX_WAITING
            or of_address > MAX_WAITING_PER_ADDRESS
            or repeated > MAX_WAITING_REPEATED
        )

    def _may(self, request: _Request[S]) -> bool:
        within = all(self._running[owner] < ceil(self._size / part) for owner, part in request.shares.items())
        return within and not request.is_granted.cancelled()

    def _grant(self) -> None:
        while self._free and (able := [request for request in self._waiting if self._may(request)]):
            request = min(able, key=lambda request: self._running[(request.address,)])
            self._waiting.remove(request)
            self._running.update(request.shares.keys())
            request.seat = self._free.pop()
            self._all_left.clear()
            request.is_granted.set_result(None)

    def _leave(self, request: _Request[S], seat: S, loop: asyncio.AbstractEventLoop) -> None:
        """Give the seat to the next request when this one no longer runs on it."""

        def free() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._free_seat, request, seat)

        seat.when_idle(free)

    def _free_seat(self, request: _Request[S], seat: S) -> None:
        self._running.subtract(request.shares.keys())
        self._running += Counter()  # drop zeros: otherwise an entry would stay for each address ever seen
        self._free.append(seat)
        if len(self._free) == self._size:
            self._all_left.set()
        self._grant()


class Turn(Generic[S]):
    """A turn until ``leave``."""

    def __init__(self, seat: S, leave: Callable[[], None]) -> None:
        self.seat = seat
        self._leave: Callable[[], None] | None = leave

    def leave(self) -> None:
        """End the turn. Safe to call twice."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()
