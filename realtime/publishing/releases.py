"""Releases: a feed whose declaration or template has changed has its topics read again, once.

A release of a feed is known by the feed's fingerprint. Pages may hold rows of another release until their topics
are read again: rows that its filter let through, or that its template made.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now

from ..databases.base import is_storable
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..feeds import registry
from ..models import FeedRelease, OutboxRow
from ..rows.fingerprint import have_same_topics
from . import progress

logger = logging.getLogger("realtime.sequencer")

SOURCE = "realtime.release"
RENEW_SECONDS = 60.0
"""How often a running process notes that it uses its releases."""
RECENT = timedelta(seconds=3 * RENEW_SECONDS)
FORGET = timedelta(days=90)


def announce() -> list[str]:
    """Note the releases of all feeds as used; return the names of the feeds whose topics will be read again.

    These are the feeds with a release that has not run before, or that another one has replaced since. If two releases
    run side by side, each is announced once.
    """
    with engine_transaction():
        progress.read(lock=True)  # if two processes start at once, the second finds the first one's row
        stored = {(release.feed, release.fingerprint): release for release in FeedRelease.objects.all()}
        latest: dict[str, datetime] = {}
        for release in sorted(stored.values(), key=lambda release: release.last_used_at):
            latest[release.feed] = release.last_used_at
        renewed, unknown = [], []
        for feed in registry:
            mine = stored.get((feed.name, feed.fingerprint))
            if mine is None:
                unknown.append(FeedRelease(feed=feed.name, fingerprint=feed.fingerprint))
            if mine is None or latest[feed.name] > mine.last_used_at + RECENT:
                renewed.append(feed.name)
        FeedRelease.objects.bulk_create(unknown)
        _renew(stored.values())
        # The log of a database without releases has just begun, so that every page gets a snapshot anyway.
        announced = renewed if stored else []
        for name in announced:
            OutboxRow.objects.create(source=SOURCE, image={"feed": name})
            logger.info("feed %s is declared otherwise than before; its topics are read again", name)
        FeedRelease.objects.filter(last_used_at__lt=Now() - FORGET).delete()
    return announced


def renew() -> None:
    """Note that the releases are still used."""
    _renew(FeedRelease.objects.all())


def _renew(stored: Iterable[FeedRelease]) -> None:
    mine = {(feed.name, feed.fingerprint) for feed in registry}
    used = [release.pk for release in stored if (release.feed, release.fingerprint) in mine]
    FeedRelease.objects.filter(pk__in=used).update(last_used_at=Now())


def with_other_topics() -> set[str]:
    """Return the names of the feeds whose other releases in use may have other topics for the same change.

    These are also the feeds that only another release has.
    """
    mine = {feed.name: feed.fingerprint for feed in registry}
    here = database()
    used = here.fetch(
        f"SELECT feed, fingerprint FROM realtime_feedrelease WHERE last_used_at > {here.AGO}",
        [RECENT.total_seconds()],
    )
    return {name for name, fingerprint in used if not have_same_topics(mine.get(name, ""), fingerprint)}


def parse(image: dict[str, Any] | None) -> str:
    """Return the name of the feed in an outbox row.

    Raises: ValueError, if there is none.
    """
    match image:
        case {"feed": str(name)} if 0 < len(name) <= 64 and is_storable(name):
            return name
    raise ValueError("a release has the name of its feed")
