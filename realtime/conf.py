"""The settings of the app: ``get_conf().tick_seconds``, read on first use, read again after a change."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

Positive = Annotated[float, msgspec.Meta(gt=0)]
Threads = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True, slots=True)
class Conf:
    """Each field can be set in the ``REALTIME`` dictionary of the settings, under its name in capitals.

    docs/operations.md prints these sentences; ``python -m tests.support.settings_table`` writes them there.
    """

    database: str = "default"
    """Alias of the database that holds the live models, the outbox and the log."""
    publisher: bool = True
    """Whether server processes publish; off where only ``manage.py publish`` does."""
    tick_seconds: Positive = 0.05
    """Longest time until a change by another process is noticed. It is usually a quarter of this while changes follow
    each other, and close to zero where an SQLite file is watched for writes (on Linux; while there are no writes such a
    file is only checked every four ticks)."""
    floor_seconds: Positive = 1.0
    """How often a process reads the log's tail, whatever the channel layer delivers; with the in-memory layer a
    process that does not publish reads it every tick."""
    lease_seconds: float = 3.0
    """How long a process that no longer renews its lease keeps the right to run the jobs."""
    heartbeat_seconds: Positive = 15.0
    """How often the server sends each connection a heartbeat."""
    recheck_seconds: Positive = 3.0
    """How often rights are checked again; a connection loses a revoked right within five seconds."""
    allow_without_origin: bool = False
    """Whether clients that send no ``Origin``, and so are not browsers, may connect; their cookies never count."""
    proxies: int = 0
    """Number of your own proxies that each request passes, all of which append to ``X-Forwarded-For``; it
    determines which address the limits per address apply to."""
    ticket_seconds: Positive = 30.0
    """How long a ticket is valid, for one use."""
    tickets_for_passwords: bool = False
    """Whether a ticket is issued for a name and a password; off where signing in requires more."""
    max_passwords: int = 20
    """Maximum number of passwords that one process checks or keeps waiting at once, half of them from one address."""
    max_connections: int = 10_000
    """Maximum number of connections of one process, streams and waiting polls included."""
    max_connections_per_address: int = 200
    """Maximum number of connections of one address (for IPv6, of one /64 network) in one process."""
    max_connections_per_session: int = 20
    """Maximum number of connections of one session in one process; tabs of a browser share one where they can."""
    max_connections_per_user: int = 50
    """Maximum number of connections of one signed-in user in one process, over all sessions."""
    max_calls: int = 100
    """Maximum number of calls that one process runs or keeps waiting at once."""
    max_calls_per_caller: int = 10
    """Maximum number of calls of one user, or of one address of anonymous clients, that one process runs or keeps
    waiting at once."""
    max_messages_per_second: Positive = 20.0
    """Sustained rate of messages that one connection may send; ten times as many at once after a pause."""
    max_broadcast_bytes: int = 4096
    """Maximum length of a broadcast's payload, as JSON or binary."""
    broadcasts_per_second: float = 10.0
    """Sustained rate of broadcasts of one connection; those of one user may send three times as many together, those of
    one address ten times as many. Twice as many at once after a pause, but at least one; 0 for none."""
    max_bytes_per_second: Positive = 16 * 1024.0
    """Sustained rate of bytes that one connection may send; ten times as many at once after a pause."""
    processing_share: Positive = 0.25
    """Share of a core that the requests, messages and calls of one address may take in one process; after a pause
    0.01 s of a core more for each of ``MAX_CONNECTIONS_PER_ADDRESS``. Then its messages wait, and its requests are
    answered 429."""
    handshake_seconds: Positive = 10.0
    """Time limit for the head of a request or of a handshake to arrive, and for every 16 KiB of a body (on daphne,
    and on uvicorn with the guards of docs/deploy.md)."""
    request_seconds: Positive = 60.0
    """Time limit for a whole request to arrive (on daphne, and on uvicorn with the guards of docs/deploy.md)."""
    max_handshakes: int = 5000
    """Maximum number of connections of a process that have not sent a request; for a further one the oldest is closed
    if it is older than a second (on daphne, and on uvicorn with the guards of docs/deploy.md)."""
    max_request_bytes: int = 4 * 1024 * 1024
    """Maximum length of a request's body. All bodies that arrive at a process at the same time may together have
    sixteen times this length; those from one address may have half of the part that is still free."""
    stall_seconds: Positive = 60.0
    """How long a client may leave sent bytes unread; its connection is aborted before twice that time. It is also the
    time limit for each 64 KiB of an HTTP answer."""
    max_message_bytes: int = 16 * 1024
    """Maximum length of a message that a client sends."""
    max_bad_messages: int = 10
    """Number of bad messages after which a connection is closed."""
    max_subscriptions: int = 128
    """Maximum number of topics that one connection may follow."""
    block_fetches_per_second: Positive = 50.0
    """How many pages per second, of all that a process serves, may be fetched for live blocks because of one topic:
    with more viewers, each page waits longer than a second between two fetches."""
    max_unacknowledged_bytes: int = 256 * 1024
    """How much a client that acknowledges is sent ahead of its acknowledgements."""
    max_silent_bytes: int = 8 * 1024 * 1024
    """How much a client that never acknowledges is sent by a server that does not wait for slow clients (daphne);
    then the connection is closed with a reason, and the client may reconnect."""
    max_batch_rows: int = 2000
    """Maximum number of outbox rows that are sequenced at once; if more wait, their topics are read again."""
    feed_seconds: Positive = 0.25
    """How long the queries and templates of one feed may delay the changes of other feeds. If they take longer, the
    processes that hold the changed topics read them again, and the sequencer skips the feed's rows until it is quick
    again, which is tried apart from other feeds: after 10 s, then after 20 s, up to every 5 min. While the thread waits
    for a core the time does not run, up to four times as long."""
    log_retention_seconds: float = 3600.0
    """How long the log keeps its entries; a feed may have a `retention_seconds` of its own."""
    log_max_entries: int = 100_000
    """Maximum number of entries in the log, however recent they are."""
    handler_retention_seconds: float = 86400.0
    """How long the log keeps entries that a function of `on_change` has not handled yet, within
    `LOG_MAX_ENTRIES`; then the function receives a reset."""
    topic_linger_seconds: float = 60.0
    """How long a topic stays in memory after its last subscriber has left."""
    max_topics: int = 20_000
    """Maximum number of topics that one process keeps in memory. For a further one, the topic is dropped that has been
    without subscribers for longest; if all have subscribers, the further one is refused (4529)."""
    max_topics_per_address: int = 2000
    """Maximum number of topics in memory that the connections of one address follow or were last to leave. For a
    further one, the topic is dropped that they left first; if they follow all, the further one is refused (4529)."""
    reader_threads: Threads = 4
    """Number of threads per process that read sessions, rights, tickets and the log, each with a database
    connection."""
    topic_threads: Threads = 4
    """Number of threads per process that read the rows of topics, each with a database connection; the topics of
    one feed occupy at most half of them, those of all slow feeds together one, and those of feeds whose speed is not
    known yet leave one."""
    read_seconds: Positive = 10.0
    """Time limit of a query that reads the rows of a topic, and of a topic's queries together with rendering."""
    scrub_seconds: Positive = 300.0
    """How often a topic that is followed is read again although nothing is known to have changed, to correct changes
    that triggers cannot record."""
    scrub_share: float = 0.01
    """Largest share of a core that this reading (`SCRUB_SECONDS`) takes in one process; 0 turns it off. With many
    topics or slow feeds each topic is read less often."""
    action_threads: Threads = 2
    """Number of threads per process that run the actions that clients call."""
    page_threads: Threads = 8
    """Number of threads per process that run Django's own views and middleware, each with a database connection while
    it needs one; the requests of one address occupy at most half of them, and those for one page of it a quarter.
    Other requests wait, up to a hundred for up to ten seconds; then the answer is 503."""
    publisher_metrics: str = ""
    """Address at which `manage.py publish` serves its metrics, such as `127.0.0.1:9101`; none by default. It requires
    no token: choose an address that only Prometheus reaches."""
    metrics_token: str = ""
    """Bearer token for ``/realtime/metrics/``; without one only staff may read it."""
    max_lag_seconds: float = 10.0
    """How far behind a process may be, and how long sequencing may fail or not run, before ``/realtime/ready/`` answers
    503."""
    drain_seconds: float = 5.0
    """Longest time over which a stopping server moves its connections to other servers: 200 per second, or more if this
    time would not be enough. If all connections end at once, their clients spread their reconnects over this time."""
    unready_seconds: float = 0.0
    """How long a stopping server only answers ``/realtime/ready/`` with 503, before it closes its port and moves its
    connections. A load balancer must notice the 503 in this time."""


@cache
def get_conf() -> Conf:
    """Return the current settings.

    Raises: as ``conf_of``.
    """
    return conf_of(getattr(settings, "REALTIME", {}))


def conf_of(given: Mapping[str, Any]) -> Conf:
    """Return the settings that a dictionary has, with the defaults of the others.

    Raises: ImproperlyConfigured, if a name is not a field of ``Conf``, or a value is not of the field's type.
    """
    if not isinstance(given, dict):
        raise ImproperlyConfigured(
            f"settings.REALTIME is a {type(given).__name__}; write a dictionary of settings"
        )
    known = {field.name.upper(): field.name for field in fields(Conf)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        similar = [near for name in unknown for near in get_close_matches(name.upper(), known, 1)]
        meant = f" (do you mean {', '.join(similar)}?)" if similar else ""
        raise ImproperlyConfigured(
            f"settings.REALTIME has no {', '.join(unknown)}{meant}; it may hold: {', '.join(sorted(known))}"
        )
    try:
        return msgspec.convert({known[name]: value for name, value in given.items()}, Conf)
    except msgspec.ValidationError as error:
        found = re.search(r"\$\.(\w+)", str(error))
        name = f"[{found[1].upper()!r}]" if found else ""
        raise ImproperlyConfigured(f"settings.REALTIME{name}: {error}") from error


def forget(*, setting: str, **kwargs: object) -> None:
    """Drop the settings that were read; a receiver of ``setting_changed``, which tests send."""
    if setting == "REALTIME":
        get_conf.cache_clear()
