"""The follower: keeps the rows of one topic, and yields their changes."""

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from ..engine.messages import ServerMessage
from .replica import Change, Format
from .subscription import Headers, Subscription


def follow(
    url: str,
    topic: str,
    *,
    format: Format = "rows",
    headers: Headers | Callable[[], Headers | Awaitable[Headers]] | None = None,
    cookies: Mapping[str, str] | None = None,
    ticket: Callable[[], str | Awaitable[str]] | None = None,
    origin: str | None = None,
    random: Callable[[], float] = random.random,
    **options: Any,
) -> "Follower":
    """Follow a topic; iterate over the returned object for its changes, by ``async for`` or by ``for``.

    ``url`` is the address of the site's root, or of its WebSocket. ``headers`` are those of each handshake, or a
    function that returns them. ``cookies`` are those of a signed-in page; they count only beside an ``Origin``, which
    is that of ``url`` by default. ``ticket`` is called before each handshake (``realtime.client.tickets`` makes such a
    function). Further options are those of ``connect`` in websockets, ``ssl`` for example.

    The first changes are the rows that there are. Iterating ends only by ``break``, or with an error; a lost connection
    is made again, and continues where it was.

    Raises: ValueError, for another kind of address or format; when it is iterated, Refused.
    """
    return Follower(
        url, topic, format=format, headers=headers, cookies=cookies, ticket=ticket, origin=origin, random=random,
        **options,
    )  # fmt: skip


class Follower(Subscription[Change]):
    """The rows of one topic as of ``position``, kept current while it is iterated; ``follow`` makes it."""

    @property
    def rows(self) -> Mapping[str, Any]:
        """The rows by key, in the topic's order; empty before the first snapshot."""
        return self._replica.rows

    @property
    def corrections(self) -> int:
        """How often the rows were not those of the server, and were replaced."""
        return self._replica.corrections

    def _receive(self, message: ServerMessage) -> Iterable[Change]:
        return self._replica.receive(message)
