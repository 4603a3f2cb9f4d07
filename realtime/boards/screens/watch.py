"""Which screens are online: written by a job when that changes, and reported once when one goes offline or returns.

A screen is online while a connection follows its topic. Little is written: the time at which an online screen was last
seen, every five minutes; other columns only when they change.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.utils import timezone

from realtime.publishing import interest

from . import webhook
from .models import Screen

logger = logging.getLogger("realtime.boards.screens")

HEARD_EVERY = timedelta(minutes=5)


def look(now: datetime | None = None) -> None:
    """Store which screens have come online or gone offline, and, rarely, that one is still online."""
    now = now or timezone.now()
    screens = [*Screen.objects.exclude(name="")]
    viewers = interest.viewers([topic_of(screen) for screen in screens])
    for screen in screens:
        if viewers[topic_of(screen)].number:
            is_known = screen.is_online and screen.last_heard and now - screen.last_heard < HEARD_EVERY
            if not is_known:
                write(screen, is_online=True, last_heard=now, absent_since=None)
        elif screen.is_online or screen.absent_since is None:
            write(screen, is_online=False, absent_since=now)


def topic_of(screen: Screen) -> str:
    return f"screens.{screen.topic}"


def write(screen: Screen, **columns: object) -> None:
    Screen.objects.filter(pk=screen.pk).update(**columns)


class Reporter:
    """Reports screens that were offline while it watched: while the server is off, no screen can be online."""

    def __init__(self) -> None:
        self._watching_since: datetime | None = None
        self._told: dict[str, str] = {}

    def report(self, now: datetime | None = None) -> None:
        """Report the screens that are offline, and those that are back; a report that fails is repeated next time."""
        now = now or timezone.now()
        self._watching_since = self._watching_since or now
        limit = now - timedelta(minutes=settings.BOARDS_SILENT_MINUTES)
        paired = Screen.objects.exclude(name="").select_related("board")
        silent: list[Screen] = []
        if self._watching_since <= limit:
            silent = [*paired.filter(is_online=False, is_reported=False, absent_since__lte=limit)]
        back = [*paired.filter(is_online=True, is_reported=True)]
        if not silent and not back:
            return
        words = in_words(silent, back)
        logger.warning("%s", words)
        message = {"text": words, "silent": [*map(described, silent)], "back": [*map(described, back)]}
        if not self._tell_all(message):
            return
        self._told.clear()
        mark(silent, True)
        mark(back, False)

    def _tell_all(self, message: dict[str, Any]) -> bool:
        """Send a message by each way that the operator has set; return whether all have succeeded.

        Those that have succeeded are left out of the next attempt.
        """
        for name, send in ways().items():
            if self._told.get(name) == message["text"]:
                continue
            try:
                send(message)
            except (webhook.NotSent, OSError, SMTPException, ValueError) as error:
                logger.warning("the %s: %s; it is tried again in a minute", name, error)
            else:
                self._told[name] = message["text"]
        return all(self._told.get(name) == message["text"] for name in ways())


def ways() -> dict[str, Callable[[dict[str, Any]], object]]:
    """Return how screens are reported: by webhook and by mail, as far as the operator has set them."""
    found: dict[str, Callable[[dict[str, Any]], object]] = {}
    if settings.BOARDS_ALERT_WEBHOOK:
        found["webhook"] = lambda message: webhook.send(settings.BOARDS_ALERT_WEBHOOK, message)
    if settings.BOARDS_ALERT_MAIL:
        found["mail"] = lambda message: send_mail(
            "Tidemark: screens", message["text"], None, settings.BOARDS_ALERT_MAIL
        )
    return found


def mark(screens: Sequence[Screen], is_reported: bool) -> None:
    if screens:
        Screen.objects.filter(pk__in=[screen.pk for screen in screens]).update(is_reported=is_reported)


def in_words(silent: Iterable[Screen], back: Iterable[Screen]) -> str:
    """Return ``Silent: Pier 2 (since 14:02 UTC). Back: Hall.``"""
    parts = []
    if names := ", ".join(f"{screen} (since {screen.absent_since:%H:%M} UTC)" for screen in silent):
        parts.append(f"Silent: {names}.")
    if names := ", ".join(str(screen) for screen in back):
        parts.append(f"Back: {names}.")
    return " ".join(parts)


def described(screen: Screen) -> dict[str, str | None]:
    """Return a screen as the webhook receives it."""
    return {
        "name": screen.name,
        "board": screen.board.slug if screen.board else None,
        "last_heard": screen.last_heard.isoformat() if screen.last_heard else None,
    }


reporter = Reporter()
