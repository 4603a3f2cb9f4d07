"""Releases: a feed whose declaration or template has changed has its topics read again, once.

A release of a feed is known by the feed's fingerprint. Pages may hold rows of another release until their topics
are read again: rows that its filter let through, or that its template made.
"""

import logging
from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from ..databases.base import is_storable
from ..databases.registry import database
from ..databases.transactions import engine_transaction
from ..feeds import Feed, registry
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
        progress.read(lock=True)  # if two processes start at once, the second finds what the first has stored
        is_first_of_all = not FeedRelease.objects.exists()
        renewed = [feed.name for feed in registry if _is_new(feed)]
        # The log of a database without releases has just begun, so that every page gets a snapshot anyway.
        announced = [] if is_first_of_all else renewed
        for name in announced:
            OutboxRow.objects.create(source=SOURCE, image={"feed": name})
            logger.info("feed %s is declared otherwise than before; its topics are read again", name)
        FeedRelease.objects.filter(last_used_at__lt=Now() - FORGET).delete()
    return announced


def _is_new(feed: Feed) -> bool:
    """Note a feed's release as used; return whether pages may hold rows of another one."""
    releases = FeedRelease.objects.filter(feed=feed.name)
    mine = releases.filter(fingerprint=feed.fingerprint).first()
    if mine is None:
        FeedRelease.objects.create(feed=feed.name, fingerprint=feed.fingerprint)
        return True
    is_replaced = releases.filter(last_used_at__gt=mine.last_used_at + RECENT).exists()
    releases.filter(pk=mine.pk).update(last_used_at=Now())
    return is_replaced


def renew() -> None:
    """Note that the releases are still used."""
    mine = {(feed.name, feed.fingerprint) for feed in registry}
    used = [
        release.pk for release in FeedRelease.objects.all() if (release.feed, release.fingerprint) in mine
    ]
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
