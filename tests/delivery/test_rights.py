"""Rights asked in batches: a thousand who come back at once cost a few questions; one feed holds up no other."""

import asyncio
import threading

import pytest
from django.db import OperationalError

from realtime.access.visitors import NOBODY, Visitor
from realtime.boards.models import Board
from realtime.delivery.rights import Rights, judge, lost_claims
from realtime.engine.errors import Forbidden, UnknownTopic
from tests.conftest import PATIENCE_SECONDS


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """The sizes of the batches that were judged."""
    sizes: list[int] = []

    def counted(claims):
        sizes.append(len(claims))
        return judge(claims)

    monkeypatch.setattr("realtime.delivery.rights.judge", counted)
    return sizes


async def test_those_who_ask_meanwhile_are_asked_together(service, quay, asked):
    """A thousand claims of a few kinds: the first alone, the rest in one go, each kind once."""
    rights = Rights(service.reader_threads)

    await asyncio.gather(
        *(rights.check(Visitor(f"session{n % 20}"), f"entries.{quay.pk}") for n in range(1000))
    )

    assert sum(asked) <= 40
    assert len(asked) <= 3


async def test_each_gets_its_own_answer(service, quay, safe):
    """Of one batch some may and some may not."""
    rights = Rights(service.reader_threads)
    topics = [f"entries.{quay.pk}", f"entries.{safe.pk}", "boards", "staffboards", "nothing"]

    answers = await asyncio.gather(*(rights.check(NOBODY, topic) for topic in topics), return_exceptions=True)

    assert [type(answer) for answer in answers] == [
        type(None),
        Forbidden,
        type(None),
        Forbidden,
        UnknownTopic,
    ]


async def test_a_feed_that_takes_its_time_holds_up_no_other(service, live, in_database):
    """Who asks for another feed is answered meanwhile."""
    may_go_on = threading.Event()
    await in_database(
        live, Board, name="slow", can_subscribe=lambda self, user, key: may_go_on.wait(PATIENCE_SECONDS)
    )
    rights = Rights(service.reader_threads)
    slow = asyncio.create_task(rights.check(NOBODY, "slow"))
    await asyncio.sleep(0)

    await rights.check(NOBODY, "boards")
    assert not slow.done()
    may_go_on.set()
    await slow


@pytest.mark.parametrize("error, is_lost", [(OperationalError("away"), False), (ZeroDivisionError(), True)])
async def test_a_feed_that_cannot_say_opens_nothing(service, live, in_database, error, is_lost):
    """Nothing new; what was followed stays only while it is the database that is at fault."""

    def fail(self, user, key):
        raise error

    await in_database(live, Board, name="broken", can_subscribe=fail)

    with pytest.raises(type(error)):
        await Rights(service.reader_threads).check(NOBODY, "broken")
    assert bool(await in_database(lost_claims, {(NOBODY, "broken")})) == is_lost
