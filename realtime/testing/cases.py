"""A mixin for Django's classes of tests."""

import multiprocessing
from typing import TYPE_CHECKING, Any
from unittest import mock

from django.db import connections

from ..client.replica import Format
from .clients import LiveClient
from .leftovers import close_leftovers
from .sequencing import sequence_now

if TYPE_CHECKING:
    from django.test import SimpleTestCase as _Base
else:
    _Base = object


class LiveTestMixin(_Base):
    """Clients of topics for TestCase, TransactionTestCase and the classes that start a server; name it before them.

    The clients see what the test's own connection sees: in a TestCase, that includes data that is never committed. A
    server, or any other code with a connection of its own, sees nothing of a TestCase.
    """

    @classmethod
    def setUpClass(cls) -> None:
        if hasattr(cls, "ProtocolServerProcess"):
            if multiprocessing.current_process().daemon:
                raise AssertionError(
                    "a process of --parallel can start no server: run these tests without it, for example "
                    "`manage.py test --exclude-tag server --parallel`, then `manage.py test --tag server`"
                )
            # The process of Channels' server prepends "test_" to NAME where TEST names no database. A forked one has
            # the NAME of the test database already, and would look for another one (django/channels#2176).
            for connection in connections.all():
                used = connection.settings_dict
                cls.enterClassContext(mock.patch.dict(used["TEST"], NAME=used["NAME"]))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        close_leftovers()

    def live_client(self, topic: str, *, user: Any = None, format: Format = "rows") -> LiveClient:
        """Return an open client, which is closed after the test.

        Raises: Refused.
        """
        client = LiveClient(topic, user=user, format=format)
        self.addCleanup(client.close)
        return client.open()

    def client_of_page(self, response: Any, topic: str = "") -> LiveClient:
        """Return an open client of the topic that a page shows, which is closed after the test."""
        client = LiveClient.of_page(response, topic)
        self.addCleanup(client.close)
        return client.open()

    def sequence_now(self) -> None:
        """Sequence everything that the test's connection sees, and deliver it to the open clients."""
        sequence_now()
