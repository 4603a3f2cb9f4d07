"""Broadcasts of one connection: which are sent on, under which name, and how many."""

import secrets
import time
from typing import NamedTuple

from msgspec import UNSET

from ..access.budgets import Budgets
from ..access.visitors import Visitor
from ..conf import get_conf
from ..delivery.broadcasts import Permit, may_be_given, permit
from ..engine.bucket import Bucket, burst_of
from ..engine.codes import Code
from ..engine.errors import RealtimeError
from ..engine.messages import Broadcast, Encoding, decode_payload
from ..service import BROADCAST_BURST_SECONDS, Service

PERMIT_SECONDS = 3.0
"""How long an answer of ``can_broadcast`` is valid."""
MAX_EVENT_CHARACTERS = 64


class NotSent(RealtimeError):
    """A broadcast is not sent on; the connection continues."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason

    def __str__(self) -> str:
        return f"broadcast not sent: {self.reason}"


class _Known(NamedTuple):
    permit: Permit
    until: float


class Sender:
    """The broadcasts of one connection: its rate, its rights and its name."""

    __slots__ = ("_bucket", "_known", "id")

    def __init__(self) -> None:
        rate = get_conf().broadcasts_per_second
        self.id = secrets.token_hex(6)
        """The text by which receivers distinguish this connection from others."""
        self._bucket = Bucket(rate, burst_of(rate, BROADCAST_BURST_SECONDS))
        self._known: dict[str, _Known] = {}

    async def prepared(
        self, service: Service, visitor: Visitor, address: str | None, message: Broadcast, encoding: Encoding
    ) -> Broadcast:
        """Return a message of a client as its receivers get it. Limits are checked before the right.

        Raises: NotSent; BadMessage, for a payload that cannot be read; UnknownTopic; what the feed or the
                database raises.
        """
        self._check_size(message)
        if not self._bucket.take(1, time.monotonic()):
            raise NotSent(Code.TOO_MUCH, "too many of this connection; send less often")
        _spend(service.broadcasts_of_addresses, address, "address")
        given = await self._permit(service, visitor, address, message.topic)
        if not given.is_given:
            raise NotSent(Code.FORBIDDEN, f"you may not broadcast to {message.topic[:100]!r}")
        _spend(service.broadcasts_of_users, given.user, "user")
        is_binary = message.data is not UNSET
        return Broadcast(
            topic=message.topic,
            event=message.event,
            payload=UNSET if is_binary else decode_payload(message.payload, encoding),
            data=message.data,
            sender=self.id,
            name=given.name or UNSET,
        )

    def _check_size(self, message: Broadcast) -> None:
        most = get_conf().max_broadcast_bytes
        for content in (message.payload, message.data):
            if content is not UNSET and len(bytes(content)) > most:
                raise NotSent(Code.BAD_MESSAGE, f"its payload may be at most {most} bytes long")
        if not 0 < len(message.event) <= MAX_EVENT_CHARACTERS:
            raise NotSent(
                Code.BAD_MESSAGE, f"the name of its event must have 1 to {MAX_EVENT_CHARACTERS} characters"
            )

    async def _permit(self, service: Service, visitor: Visitor, address: str | None, topic: str) -> Permit:
        now = time.monotonic()
        if topic not in self._known or self._known[topic].until < now:
            if not may_be_given(topic):
                return Permit(False)
            self._known = {name: known for name, known in self._known.items() if known.until >= now}
            answer = await service.run_for(address, service.reader_threads, permit, visitor, topic)
            self._known[topic] = _Known(answer, now + PERMIT_SECONDS)
        return self._known[topic].permit


def _spend(budgets: Budgets, owner: object, what: str) -> None:
    """Raises: NotSent, if the owner has sent too much."""
    if budgets.seconds_until(owner, 1) > 0:
        raise NotSent(Code.TOO_MUCH, f"too many of your {what}; send less often")
    budgets.spend(owner, 1)
