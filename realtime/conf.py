"""The one door to the engine's settings: ``get_conf().tick_seconds``, read late, dropped on change."""

from dataclasses import dataclass, fields
from functools import cache

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class Conf:
    """Each field can be set in the ``REALTIME`` dictionary of the settings, under this name in capitals."""

    database: str = "default"
    """Alias of the database that holds the live models, the outbox and the log."""
    publisher: bool = True
    """Whether server processes publish; off where ``manage.py publish`` does it alone."""
    tick_seconds: float = 0.05
    """How soon a change by another process is noticed at the latest; while changes come, mostly four times sooner."""
    floor_seconds: float = 1.0
    """How often a process looks at the log's tail, whatever the channel layer says (with the in-memory layer:
    every tick)."""
    lease_seconds: float = 3.0
    """How long a silent process keeps the right to run the jobs."""
    heartbeat_seconds: float = 15.0
    """How often every connection hears from the server."""
    recheck_seconds: float = 3.0
    """How often rights are asked again; one that was taken away has ended what it allowed within five seconds."""
    allow_without_origin: bool = False
    """Whether clients that name no Origin, and so are no browsers, may connect. Cookies of theirs do not count."""
    proxies: int = 0
    """How many proxies of yours each request passes, all of which add to X-Forwarded-For: whose address counts."""
    ticket_seconds: float = 30.0
    """How long a ticket may be used, once."""
    tickets_for_passwords: bool = False
    """Whether a name and a password get a ticket; off where signing in asks for more than these."""
    max_passwords: int = 20
    """Passwords that one process looks at or keeps waiting at once."""
    max_connections: int = 10_000
    """Connections of one process, streams and waiting polls included."""
    max_connections_per_address: int = 200
    """Of one address (of IPv6: one /64 network) in one process."""
    max_connections_per_session: int = 20
    """Of one session in one process; the tabs of a browser share one where they can."""
    max_connections_per_user: int = 50
    """Of one signed-in user in one process, over all sessions."""
    max_calls: int = 100
    """Calls that one process carries out or keeps waiting at once."""
    max_calls_per_caller: int = 10
    """Of these, how many of one user, or of one address of nobody."""
    max_messages_per_second: float = 20.0
    """What one connection may send in the long run; ten times as many at once after a rest."""
    max_bytes_per_second: float = 16 * 1024.0
    """The same, in bytes."""
    handshake_seconds: float = 10.0
    """How long a client may take for the head of a request or of a handshake."""
    request_seconds: float = 60.0
    """How long a whole request may take to arrive."""
    max_handshakes: int = 5000
    """Connections of a process that may be without a request; for one more the oldest makes room, after a second."""
    max_request_bytes: int = 4 * 1024 * 1024
    """The longest body of a request; sixteen such may be on their way to a process at once."""
    stall_seconds: float = 60.0
    """How long a client may take nothing of what is sent to it; it is ended before twice that."""
    max_message_bytes: int = 16 * 1024
    """The longest message a client may send."""
    max_bad_messages: int = 10
    """After how many of them a connection is closed."""
    max_subscriptions: int = 128
    """Topics that one connection may follow."""
    max_unacknowledged_bytes: int = 256 * 1024
    """How much a client that acknowledges is sent ahead of its acknowledgements."""
    max_silent_bytes: int = 8 * 1024 * 1024
    """How much a client that never acknowledges is sent, by a server that does not wait for slow readers
    (daphne); then it is told to, and may come back."""
    max_batch_rows: int = 2000
    """Outbox rows sequenced at once; where more wait, their topics are read anew."""
    log_retention_seconds: float = 3600.0
    """How long the log keeps its entries."""
    log_max_entries: int = 100_000
    """How many entries the log keeps, however young they are."""
    topic_linger_seconds: float = 60.0
    """How long a topic stays in memory after its last subscriber has gone."""
    reader_threads: int = 4
    """Threads, each with a database connection, that read for the connections of a process."""
    action_threads: int = 2
    """Threads that carry out the actions that clients call."""
    metrics_token: str = ""
    """Who names it as a bearer may read ``/realtime/metrics/``; staff may in any case."""
    drain_seconds: float = 5.0
    """Over how long the clients of a stopping server are told to spread their return."""


@cache
def get_conf() -> Conf:
    """Return the settings in force.

    Raises: ImproperlyConfigured, for a name that is not one of ``Conf``'s, or a value that is not of its type.
    """
    given = getattr(settings, "REALTIME", {})
    known = {field.name.upper(): field.name for field in fields(Conf)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ImproperlyConfigured(
            f"settings.REALTIME has no {', '.join(unknown)}; it may hold: {', '.join(sorted(known))}"
        )
    try:
        return msgspec.convert({known[name]: value for name, value in given.items()}, Conf)
    except msgspec.ValidationError as error:
        raise ImproperlyConfigured(f"settings.REALTIME: {error}") from error


def forget(*, setting: str, **kwargs: object) -> None:
    """Drop the settings read so far when tests change them; a receiver of ``setting_changed``."""
    if setting == "REALTIME":
        get_conf.cache_clear()
