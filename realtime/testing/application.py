"""The project's ASGI application with its engine, for tests that connect to it as a server would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.routing import get_default_application
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from ..conf import get_conf
from ..service import get_service

IN_MEMORY = (
    "the test database is in memory, where one thread's writes lock out the others: "
    'give it a file, DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "test.sqlite3"}'
)


@asynccontextmanager
async def serving() -> AsyncIterator[Any]:
    """Yield the application of ``ASGI_APPLICATION`` while the engine runs in this event loop; then stop it.

    The engine's threads have connections of their own: what a test has not committed they do not see, so the test must
    be a TransactionTestCase, or use pytest-django's ``transactional_db``.

    Raises: ImproperlyConfigured, if the test database is SQLite in memory.
    """
    connection: Any = connections[get_conf().database]
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        raise ImproperlyConfigured(IN_MEMORY)
    service = get_service()
    await service.ensure_started()
    try:
        yield get_default_application()
    finally:
        await service.stop()
