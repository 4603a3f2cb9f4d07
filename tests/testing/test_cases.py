"""The mixin for Django's classes of tests; docs/testing.md has more, which tests/testing/test_recipes.py runs."""

import multiprocessing
from types import SimpleNamespace

import pytest
from channels.testing import ChannelsLiveServerTestCase
from django.contrib.auth import get_user_model
from django.test import TestCase, TransactionTestCase

from realtime.boards.models import Board
from realtime.client import Refused
from realtime.testing import LiveTestMixin
from realtime.testing.sequencing import _lookers


class _Story(LiveTestMixin):
    """The tests for each of Django's classes."""

    @classmethod
    def tearDownClass(cls):
        assert list(_lookers) == []  # each test has closed its clients
        super().tearDownClass()

    def test_a_client_follows_a_topic(self):
        board = Board.objects.create(slug="quay", title="The quay", is_public=False)
        editor = get_user_model().objects.create_user("editor", is_staff=True)
        with pytest.raises(Refused):
            self.live_client("entries.1")
        client = self.live_client(f"entries.{board.pk}", user=editor)

        board.entries.create(label="Saltmere")
        self.sequence_now()

        assert [row["label"] for row in client.rows.values()] == ["Saltmere"]

    def test_a_page_is_followed(self):
        Board.objects.create(slug="quay", title="The quay")
        response = self.client.get("/", headers={"host": "localhost"})
        page = self.client_of_page(response, "boards")

        Board.objects.update(title="Another")
        self.sequence_now()

        assert "Another" in str(page.rows)


def test_a_server_in_a_process_of_parallel_tests_is_refused_with_words(monkeypatch):
    """Such a process may have no children, and Django's runner could not report why."""

    class ServerTest(LiveTestMixin, ChannelsLiveServerTestCase):
        pass

    monkeypatch.setattr(multiprocessing, "current_process", lambda: SimpleNamespace(daemon=True))

    with pytest.raises(AssertionError, match="can start no server: run these tests without it"):
        ServerTest.setUpClass()


class OneTransactionTest(_Story, TestCase):
    pass


class CommittedTest(_Story, TransactionTestCase):
    pass
