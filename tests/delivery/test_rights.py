"""Rights are checked in batches: a thousand reconnects cost a few queries, and feeds do not delay each other."""

import asyncio
import threading

import pytest
from django.db import OperationalError, router

from realtime.access.visitors import ANONYMOUS, Visitor
from realtime.boards.models import Board
from realtime.delivery.rights import Rights, Verdict, judge, lost_claims
from realtime.engine.errors import Forbidden, UnknownTopic
from tests.conftest import PATIENCE_SECONDS


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """The sizes of the batches that were judged."""
    sizes: list[int] = []

    def counted(claims):
        sizes.append(len(claims))
        return judge(claims)

    monkeypatch.setattr("realtime.delivery.rights.judge", counted)
    return sizes


async def test_claims_that_arrive_meanwhile_form_one_batch(service, quay, batches):
    """Of a thousand claims, twenty of them different, the first is alone in its batch."""
    rights = Rights(service.reader_threads)

    await asyncio.gather(
        *(rights.check(Visitor(f"session{n % 20}"), f"entries.{quay.pk}") for n in range(1000))
    )

    assert sum(batches) <= 40
    assert len(batches) <= 3


async def test_each_claim_of_a_batch_has_its_own_answer(service, quay, safe):
    """Some hold, others do not."""
    rights = Rights(service.reader_threads)
    topics = [f"entries.{quay.pk}", f"entries.{safe.pk}", "boards", "staffboards", "nothing"]

    answers = await asyncio.gather(
        *(rights.check(ANONYMOUS, topic) for topic in topics), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [
        Verdict,
        Forbidden,
        Verdict,
        Forbidden,
        UnknownTopic,
    ]


async def test_a_slow_feed_does_not_delay_other_feeds(service, live, in_database):
    """Claims for another feed are answered meanwhile."""
    may_go_on = threading.Event()
    await in_database(
        live, Board, name="slow", can_subscribe=lambda self, user, key: may_go_on.wait(PATIENCE_SECONDS)
    )
    rights = Rights(service.reader_threads)
    slow = asyncio.create_task(rights.check(ANONYMOUS, "slow"))
    await asyncio.sleep(0)

    await rights.check(ANONYMOUS, "boards")
    assert not slow.done()
    may_go_on.set()
    await slow


@pytest.mark.parametrize("error, is_lost", [(OperationalError("away"), False), (ZeroDivisionError(), True)])
async def test_a_failing_feed_grants_no_right(service, live, in_database, error, is_lost):
    """New subscriptions are refused; existing ones stay only if the cause is the database."""

    def fail(self, user, key):
        raise error

    await in_database(live, Board, name="broken", can_subscribe=fail)

    with pytest.raises(type(error)):
        await Rights(service.reader_threads).check(ANONYMOUS, "broken")
    assert bool(await in_database(lost_claims, {(ANONYMOUS, "broken")})) == is_lost


async def test_rights_are_read_where_changes_are_written(service, live, in_database, monkeypatch):
    """A replica that a router of the project names may not yet know what has closed a topic."""
    asked: list[str] = []

    class Replica:
        def db_for_read(self, model, **hints):
            return "replica"

    def can_subscribe(self, user, key):
        asked.append(router.db_for_read(Board))
        return True

    await in_database(live, Board, name="routed", can_subscribe=can_subscribe)
    monkeypatch.setattr(router, "routers", [Replica()])

    await Rights(service.reader_threads).check(ANONYMOUS, "routed")

    assert asked == ["default"]
