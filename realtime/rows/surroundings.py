"""The surroundings in which every row is read and rendered, the same in a request, in the hub and in the publisher.

Django keeps the language, time zone, script prefix and URLs of a request in global state, and routers may send reads
of related rows to a replica. A row is sent to all subscribers, so it must not depend on any of these.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db import models, router
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from ..conf import get_conf

_pinned: ContextVar[str | None] = ContextVar("realtime_pinned_database", default=None)


class PinnedRouter:
    """While rows are read, sends reads of related rows to the engine's database, where their triggers are.

    For models that are written to another database, the project's routers decide.
    """

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        pinned = _pinned.get()
        return pinned if pinned is not None and router.db_for_write(model, **hints) == pinned else None


_router = PinnedRouter()


@contextmanager
def pinned_database() -> Iterator[None]:
    """Return a block in which reads go to the engine's database, as ``PinnedRouter`` says."""
    if _router not in router.routers:
        router.routers.insert(0, _router)
    pinned = _pinned.set(get_conf().database)
    try:
        yield
    finally:
        _pinned.reset(pinned)


@contextmanager
def surroundings(language: str | None, time_zone: str | None) -> Iterator[None]:
    """Return a context in which rows are read and rendered as in every other process and thread.

    ``language`` and ``time_zone`` are those of a feed; None stands for those of the settings.
    """
    prefix, urls = get_script_prefix(), get_urlconf()
    with ExitStack() as stack:
        stack.enter_context(pinned_database())
        stack.callback(set_script_prefix, prefix)
        stack.callback(set_urlconf, urls)
        set_script_prefix(settings.FORCE_SCRIPT_NAME or "/")
        set_urlconf(None)
        stack.enter_context(translation.override(language or settings.LANGUAGE_CODE))
        stack.enter_context(timezone.override(time_zone))
        yield
