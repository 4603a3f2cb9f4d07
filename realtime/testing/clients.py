"""A client of one topic for tests: the feed, the triggers and the protocol are the real ones, without a server.

It reads in the test's own database connection and starts no thread, so it works inside a transaction, with SQLite in
memory, in parallel tests, and leaves nothing open.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any, Self

import msgspec
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import load_backend
from msgspec import UNSET

from .. import notices
from ..access.visitors import ANONYMOUS, Login, Visitor
from ..client.errors import Refused
from ..client.replica import Change, Format, Replica
from ..conf import get_conf
from ..databases.registry import database
from ..delivery.broadcasts import permit
from ..delivery.rights_check import judge
from ..engine.codes import Code
from ..engine.errors import Forbidden, RealtimeError
from ..engine.messages import Broadcast, Error, Heartbeat, Notice, Row, decode_server, encode
from ..engine.position import Position
from ..engine.session import Limits, Session
from ..engine.topic import Topic
from ..feeds import registry
from ..publishing import capture, feed_changes
from ..publishing.positions import read_snapshot, read_topic
from .sequencing import Looker

EPOCH = secrets.token_hex(4)
"""The epoch of the positions in this process; servers have other epochs."""
WAIT_SECONDS = 30.0
"""How long to wait for writes of another thread or process."""
LOOK_SECONDS = 0.02


class LiveClient:
    """Follows one topic as ``user``, an anonymous visitor by default; ``with LiveClient("products.7") as client:``.

    ``sequence_now``, and each method that waits, deliver changes. The methods whose names begin with an ``a``
    are for asynchronous tests.
    """

    def __init__(self, topic: str, *, user: Any = None, format: Format = "rows") -> None:
        self.topic = topic
        self.messages: list[dict[str, Any]] = []
        """All messages of the server, as they were sent, the oldest first."""
        self.error: Refused | None = None
        """Why the right to the topic was lost; None while it holds."""
        self._visitor = _visitor_of(user)
        self._replica = Replica(topic, format)
        self._changes: deque[Change] = deque()
        self._served: Topic | None = None
        self._session: Session | None = None
        self._received = 0
        self._looker = Looker(self._deliver)
        self._now = self._read_at = self._beat_at = 0.0
        self._quiet_until = 0.0  # no message of the topic before: the feed's min_interval
        self._has_news = False

    @classmethod
    def of_page(cls, response: Any, topic: str = "", *, user: Any = None) -> Self:
        """Return a client that follows, as rendered rows, the topic that a page shows; name it if there are several.

        ``response`` is that of Django's test client; ``user`` is by default the one that requested the page.

        Raises: AssertionError, if the page does not show it.
        """
        shown = _Topics(response.content.decode(response.charset)).found
        wanted = topic or (shown[0] if len(shown) == 1 else "")
        if wanted not in shown:
            listed = ", ".join(shown) or "none"
            raise AssertionError(
                f"the page shows {listed}; {topic or 'name one of them'!r} is not among them"
            )
        return cls(wanted, user=user or getattr(response.wsgi_request, "user", None), format="html")

    # ------------------------------------------------------------ state

    @property
    def rows(self) -> Mapping[str, Any]:
        """The rows by key, in the topic's order: dictionaries of the feed's fields, or HTML."""
        return self._replica.rows

    @property
    def position(self) -> str | None:
        return None if self._replica.position is None else str(self._replica.position)

    # ------------------------------------------------------------ connecting

    def open(self) -> Self:
        """Subscribe: the rows are there when this returns.

        Raises: Refused, with a server's message.
        """
        if capture.missing():  # a reused database: the feeds have changed since its migrations ran
            capture.install()
        self._looker.open()
        try:
            self.resume()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Leave the topic; nothing of it stays open."""
        self._session = None
        self._looker.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, *error: object) -> None:
        self.close()

    def drop(self) -> None:
        """Lose the connection, as a page may: changes are not received until ``resume``."""
        self._session = None

    def resume(self) -> None:
        """Connect again, from the position of the rows.

        Raises: Refused.
        """
        self._look()
        session = Session(_limits())
        try:
            self._check_right()
            registry.check_format(self.topic, self._replica.format)
        except RealtimeError as error:
            raise Refused(error.code, str(error), self.topic) from error
        if self._served is None:
            self._served = Topic(self.topic)
            self._read()
        self._session, self._received, self._beat_at = session, 0, self._now
        self._subscribe()
        self._pump()

    def _subscribe(self) -> None:
        assert self._session is not None
        assert self._served is not None
        asked = self._replica.subscription().position
        position = None if asked is None else Position.parse(asked)
        self._session.subscribe(self._served, position, self._replica.format)

    # ------------------------------------------------------------ waiting

    def until(self, condition: Callable[[Self], Any], seconds: float = WAIT_SECONDS) -> None:
        """Deliver changes until a condition holds: ``client.until(lambda client: "7" in client.rows)``.

        Inside a transaction the condition is checked once: no other process can write there.

        Raises: AssertionError, if it does not hold in time.
        """
        self._wait(lambda: condition(self), seconds, "the condition does not hold")

    def next_change(self, seconds: float = WAIT_SECONDS) -> Change:
        """Return the oldest change that was not returned yet, or wait for one. The first rows are changes, too.

        ``skip`` forgets those that ``until`` or ``sequence_now`` have delivered: then it is the next one.

        Raises: AssertionError, if there is none in time.
        """
        self._wait(lambda: self._changes, seconds, "nothing has changed")
        return self._changes.popleft()

    def skip(self) -> list[Change]:
        """Return the changes that wait, and forget them: ``next_change`` returns a later one."""
        waiting = list(self._changes)
        self._changes.clear()
        return waiting

    def _wait(self, condition: Callable[[], Any], seconds: float, words: str) -> None:
        ends = time.monotonic() + seconds
        while True:
            self._deliver()
            if condition():
                return
            if self.error is not None:
                raise AssertionError(f"{words}: {self.error}")
            if database().connection.in_atomic_block or time.monotonic() > ends:
                raise AssertionError(f"{words} in topic {self.topic}; its rows are {dict(self.rows)!r}")
            time.sleep(LOOK_SECONDS)

    def broadcast(self, event: str, payload: Any = None) -> dict[str, Any]:
        """Return the message that the other subscribers of the topic would receive; nothing is sent.

        Raises: Refused, if the feed does not let this client's user broadcast.
        """
        given = permit(self._visitor, self.topic)
        if not given.is_given:
            raise Refused(Code.FORBIDDEN, f"you may not broadcast to {self.topic!r}", self.topic)
        contents = msgspec.Raw(msgspec.json.encode(payload))
        encoded = encode(Broadcast(self.topic, event, contents, name=given.name or UNSET))
        message: dict[str, Any] = msgspec.json.decode(encoded)
        return message

    def advance(self, seconds: float) -> None:
        """Let time pass for the topic and its connection, but not for the clocks of Django and of the database.

        Changes that ``min_interval`` delays are sent, ``refresh_seconds`` ends, and a heartbeat is due.
        """
        self._now += seconds
        self._look()
        refresh_seconds = registry.find(self.topic)[0].refresh_seconds
        if refresh_seconds is not None and self._now - self._read_at >= refresh_seconds:
            self._read()
        if self._session is not None and self._now - self._beat_at >= get_conf().heartbeat_seconds:
            self._beat_at = self._now
            self._session.pulse()
        self._deliver()

    def check(self) -> None:
        """Compare the rows with the database: a difference is a change that the feed's declaration overlooks.

        Raises: AssertionError, that names the rows.
        """
        self._deliver()
        assert self._served is not None
        differing = self._served.differing(self._current())
        if differing:
            raise AssertionError(
                f"the rows {', '.join(sorted(differing))} of topic {self.topic} are not those of the database: the "
                "feed depends on the time (refresh_seconds), or on a relation that depends_on does not name"
            )

    # ------------------------------------------------------------ the server's part

    def _current(self) -> list[Row]:
        return read_topic(self.topic).rows

    def _read(self) -> None:
        """Read the rows again, at a later position."""
        assert self._served is not None
        self._read_at = self._now
        offset = self._served.position.offset + 1
        self._has_news |= self._served.load(Position(EPOCH, offset), self._current(), offset)

    def _look(self) -> None:
        """Bring the topic up to date with the rows that the test's connection sees."""
        new = self._looker.look()
        if self._served is None or not new:
            return
        feed, _ = registry.find(self.topic)
        of_feed = {table: [row for row in new if row.source == table] for table in feed.tables}
        concerned = {table: rows for table, rows in of_feed.items() if rows}
        if concerned:
            with read_snapshot():
                found = feed_changes.of_rows(feed, concerned)
            changed = found.get(self.topic, feed_changes.RowChanges())
            if not isinstance(changed, list) or found.get(feed.name, []) is None:
                self._read()
            else:
                here = self._served.position.offset
                self._has_news |= self._served.apply(here, here, here + 1, changed)
        for row in new:
            if row.source == notices.SOURCE and self._session is not None:
                topic, text = notices.parse(row.image)
                if topic in (self.topic, "*"):
                    self._session.post(Notice(text) if topic == "*" else Notice(text, topic))

    def _deliver(self) -> None:
        """Apply the changes to the topic, and send them unless the right to it is lost."""
        self._look()
        if self._session is None:
            return
        try:
            self._check_right()
        except RealtimeError as error:
            self._session.unsubscribe(self.topic)
            self._session.refuse(error, self.topic)
        else:
            if self._has_news and self._now >= self._quiet_until:
                self._has_news = False
                self._quiet_until = self._now + registry.find(self.topic)[0].min_interval
                self._session.notify(self.topic)
        self._pump()

    def _check_right(self) -> None:
        """Raises: Forbidden; what the feed raises."""
        verdict = judge([(self._visitor, self.topic)])[self._visitor, self.topic]
        if isinstance(verdict, Exception):
            raise verdict
        if not verdict.holds:
            raise Forbidden(self.topic)

    # ------------------------------------------------------------ the client's part

    def _pump(self) -> None:
        """Receive the messages of the session."""
        session = self._session
        while session is not None and (encoded := session.next()) is not None:
            self._received += 1
            message = decode_server(encoded)
            self.messages.append(msgspec.json.decode(encoded))
            self._changes.extend(self._replica.receive(message))
            if isinstance(message, Heartbeat):
                session.acknowledge(self._received)
            if self._replica.must_subscribe:
                self._subscribe()
            if isinstance(message, Error):  # the rows may be secret by now
                self.error = Refused(message.code, message.message, self.topic)
                self._replica = Replica(self.topic, self._replica.format)
                self._changes.clear()
                self._session = session = None

    # ------------------------------------------------------------ for asynchronous tests

    async def __aenter__(self) -> Self:
        return await self.aopen()

    async def __aexit__(self, *error: object) -> None:
        self.close()

    async def aopen(self) -> Self:
        return await sync_to_async(self.open)()

    async def aresume(self) -> None:
        await sync_to_async(self.resume)()

    async def auntil(self, condition: Callable[[Self], Any], seconds: float = WAIT_SECONDS) -> None:
        await sync_to_async(self.until)(condition, seconds)

    async def anext_change(self, seconds: float = WAIT_SECONDS) -> Change:
        return await sync_to_async(self.next_change)(seconds)

    async def aadvance(self, seconds: float) -> None:
        await sync_to_async(self.advance)(seconds)

    async def acheck(self) -> None:
        await sync_to_async(self.check)()


class _Topics(HTMLParser):
    """The topics that a page shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        topic = dict(attrs).get("topic" if tag == "live-topic" else "data-realtime-topic")
        if topic:
            self.found.append(topic)


def _visitor_of(user: Any) -> Visitor:
    """Return a visitor as if the user had a session; an anonymous one for None and for an anonymous user."""
    if user is None or not user.is_authenticated:
        return ANONYMOUS
    backend = next(
        path for path in settings.AUTHENTICATION_BACKENDS if hasattr(load_backend(path), "get_user")
    )
    return Visitor(login=Login(str(user.pk), backend, user.get_session_auth_hash()))


def _limits() -> Limits:
    """Return the limits of a connection, without those for unread messages: this client reads everything."""
    conf = get_conf()
    return Limits(
        heartbeat_seconds=conf.heartbeat_seconds,
        max_message_bytes=conf.max_message_bytes,
        max_broadcast_bytes=conf.max_broadcast_bytes,
        max_bad_messages=conf.max_bad_messages,
        max_subscriptions=conf.max_subscriptions,
        max_unacknowledged_bytes=conf.max_unacknowledged_bytes,
        max_silent_bytes=None,
        max_messages_per_second=conf.max_messages_per_second,
        max_bytes_per_second=conf.max_bytes_per_second,
    )
