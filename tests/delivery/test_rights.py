"""Rights are checked in batches: a thousand reconnects cost a few queries, and feeds do not delay each other."""

import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, router

from realtime.access.visitors import ANONYMOUS, Visitor
from realtime.boards.models import Board, Entry
from realtime.delivery import rights
from realtime.delivery.rights import Pace, Rights, RightsChanged, lost_rights, recheck
from realtime.delivery.rights_check import RightsToCheck, Verdict, judge
from realtime.delivery.subscriber import Subscriber
from realtime.engine.errors import Forbidden, UnknownTopic
from realtime.runtime import metrics
from tests.conftest import PATIENCE_SECONDS, until
from tests.delivery.conftest import FailsOnce, Follower


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """The sizes of the batches that were judged."""
    sizes: list[int] = []

    def counted(waiting):
        sizes.append(len(waiting))
        return judge(waiting)

    monkeypatch.setattr("realtime.delivery.rights.judge", counted)
    return sizes


async def test_claims_that_arrive_meanwhile_form_one_batch(service, quay, batches):
    """A thousand rights, twenty of them different: the first one is alone in its batch."""
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


async def test_topics_of_one_feed_are_asked_together(service, quay, safe, batches):
    """Questions about all of them that arrive meanwhile form one batch; nothing of it is left afterwards."""
    rights = Rights(service.reader_threads)
    topics = [f"entries.{quay.pk}", f"entries.{safe.pk}"] * 5

    checks = [
        rights.check(Visitor(f"session{number}"), topic) for number, topic in enumerate([topics[0], *topics])
    ]
    answers = await asyncio.gather(*checks, return_exceptions=True)

    assert len(batches) == 1
    assert {error.name for error in answers if isinstance(error, Forbidden)} == {f"entries.{safe.pk}"}
    await until(lambda: not rights._tasks)
    assert not rights._waiting


async def test_a_batch_that_fails_fails_all_its_claims(service, quay, monkeypatch):
    """Each caller gets the error, and may ask again."""
    rights = Rights(service.reader_threads)
    topic = f"entries.{quay.pk}"
    monkeypatch.setattr("realtime.delivery.rights.judge", FailsOnce(judge, OperationalError("away")))

    checks = [rights.check(Visitor(f"session{number}"), topic) for number in range(3)]
    answers = await asyncio.gather(*checks, return_exceptions=True)

    assert [type(answer) for answer in answers] == [OperationalError] * 3
    assert (await rights.check(ANONYMOUS, topic)).holds


async def test_a_slow_feed_does_not_delay_other_feeds(service, live, in_database):
    """Rights of another feed are answered meanwhile."""
    may_go_on = threading.Event()
    await in_database(
        live, Board, name="slow", can_subscribe=lambda self, user, key: may_go_on.wait(PATIENCE_SECONDS)
    )
    rights = Rights(service.reader_threads)
    slow = asyncio.create_task(rights.check(ANONYMOUS, "slow"))
    await asyncio.sleep(0)

    await rights.check(ANONYMOUS, "boards")
    assert not slow.done()
    assert "realtime-rights-slow" in {task.get_name() for task in asyncio.all_tasks()}
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
    waiting = RightsToCheck()
    waiting.add(ANONYMOUS, "broken")
    assert bool(await in_database(lost_rights, waiting)) == is_lost


@pytest.mark.parametrize(
    "error",
    [StopIteration(), SystemExit(), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()],
    ids=repr,
)
@pytest.mark.parametrize("method", ["can_subscribe", "visible_topics", "same_rights"])
async def test_an_error_that_ends_loops_is_one_of_its_feed_alone(service, live, in_database, method, error):
    """Checks of the feed are answered, also later ones, and those of other feeds lose what they have to."""

    def fail(self, user, *keys):
        raise error

    await in_database(live, Board, name="broken", **{"can_subscribe": lambda *_: True, method: fail})
    own = Rights(service.reader_threads)

    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(2):
            with pytest.raises(RuntimeError, match=type(error).__name__):
                await own.check(ANONYMOUS, "broken")
    followers = [FakeFollower(ANONYMOUS, topic) for topic in ("broken", "staffboards", "boards")]
    await recheck(FakeHub(followers), service.reader_threads)

    assert [follower.lost for follower in followers] == [["broken"], ["staffboards"], []]


async def test_rights_are_read_where_changes_are_written(service, live, in_database, monkeypatch):
    """A replica that a router of the project names may not have the write yet that has closed a topic."""
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


async def test_a_check_of_all_subscriptions_gives_the_thread_back(
    service, live, connect, in_database, monkeypatch
):
    """After each slice: what else waits for a reader thread has its turn."""
    asked: list[str] = []

    def can_subscribe(self, user, key):
        asked.append(threading.current_thread().name)
        return True

    await in_database(live, Board, name="asked", can_subscribe=can_subscribe)
    monkeypatch.setattr(rights, "SLICE_SECONDS", 0.0)
    slices: list[int] = []

    def recorded(waiting):
        slices.append(len(asked))
        return lost_rights(waiting)

    monkeypatch.setattr(rights, "lost_rights", recorded)
    followers = [FakeFollower(Visitor(f"session{number}"), "asked") for number in range(5)]

    await recheck(FakeHub(followers), service.reader_threads)

    assert slices == [0, 1, 2, 3, 4]
    assert len(asked) == 5


class FakeFollower(Follower):
    """A subscriber of one topic that notes what it loses."""

    def __init__(self, visitor: Visitor, *topics: str) -> None:
        super().__init__(topics[0])
        self.visitor, self.followed = visitor, list(topics)
        self.lost: list[str] = []

    @property
    def topics(self) -> list[str]:
        return self.followed

    def revoke(self, topic: str) -> None:
        self.lost.append(topic)


class FakeHub:
    """A hub with given subscribers, whose rights have changed."""

    def __init__(self, connections: Sequence[Subscriber]) -> None:
        self._connections = list(connections)
        self.rights_changed = RightsChanged()
        self.rights_changed.set()

    @property
    def connections(self) -> list[Subscriber]:
        return self._connections


class Unrevokable(FakeFollower):
    def revoke(self, topic: str) -> None:
        raise RuntimeError("broken")


async def test_a_connection_that_fails_to_lose_a_right_is_closed_and_the_others_lose_it(service):
    """Whichever comes first."""
    followers = [
        kind(Visitor(f"session{number}"), "staffboards")
        for number, kind in enumerate([Unrevokable, FakeFollower, Unrevokable, FakeFollower])
    ]

    await recheck(FakeHub(followers), service.reader_threads)

    assert [follower.lost for follower in followers] == [[], ["staffboards"]] * 2
    assert [follower.ended is not None for follower in followers] == [True, False] * 2


async def test_an_answer_that_cannot_be_used_ends_the_subscriptions_it_was_for(
    service, live, quay, safe, in_database, lines, monkeypatch
):
    """And no others; the log names the feed once, and what to return."""
    monkeypatch.setattr(rights, "SLICE_SECONDS", 60.0)  # a second slice has a line of its own
    await in_database(
        live, Entry, name="asked", topic_field="board_id", visible_topics=lambda self, user, keys: {1: True}
    )
    topics = [f"asked.{quay.pk}", f"asked.{safe.pk}", f"entries.{quay.pk}"]
    followers = [FakeFollower(Visitor(f"session{number}"), *topics) for number in range(3)]

    await recheck(FakeHub(followers), service.reader_threads)

    assert [sorted(follower.lost) for follower in followers] == [sorted(topics[:2])] * 3
    (line,) = [line for line in lines(logging.ERROR) if "failed to check a right" in line]
    assert "asked." in line
    assert ", and 5 more" in line


@pytest.mark.parametrize("topic", ["entries", "entries.nonsense", "entries.", "gone.1"])
async def test_subscriptions_to_a_topic_that_is_none_any_more_end(service, quay, topic):
    """Its feed has no topic of that name, in this process; the topics beside it stay."""
    follower = FakeFollower(ANONYMOUS, topic, f"entries.{quay.pk}")

    await recheck(FakeHub([follower]), service.reader_threads)

    assert follower.lost == [topic]


async def test_a_feed_that_cannot_ask_the_database_loses_nothing(service, live, quay, in_database):
    """The next check may be able to."""

    def visible_topics(self, user, keys):
        raise OperationalError("away")

    await in_database(live, Entry, name="asked", topic_field="board_id", visible_topics=visible_topics)
    follower = FakeFollower(ANONYMOUS, f"asked.{quay.pk}")

    await recheck(FakeHub([follower]), service.reader_threads)

    assert follower.lost == []


@pytest.mark.parametrize(
    "amount, more", [(1, ""), (2, ", and 1 more"), (3, ", and 2 more")], ids=["one", "two", "three"]
)
async def test_a_feed_that_fails_is_logged_once_with_its_reason(
    service, live, in_database, lines, caplog, amount, more
):
    """However many of its topics were checked."""
    error = ZeroDivisionError("the reason")

    def visible_topics(self, user, keys):
        raise error

    await in_database(live, Entry, name="broken", topic_field="board_id", visible_topics=visible_topics)
    waiting = RightsToCheck()
    for key in range(amount):
        waiting.add(ANONYMOUS, f"broken.{key}")

    lost = await in_database(lost_rights, waiting)

    assert len(lost) == amount
    (line,) = lines(logging.ERROR)
    words, *_ = line.splitlines()
    assert words.startswith("the feed of 'broken.")
    assert words.endswith(f"' failed to check a right{more}")
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]


def test_the_first_check_that_takes_too_long_is_logged(lines):
    """A check that takes exactly the permitted time is not logged."""
    pace = Pace()

    pace.note(rights.MAX_CHECK_SECONDS)
    assert lines(logging.WARNING) == []
    Pace().note(rights.MAX_CHECK_SECONDS + 0.1)

    assert len(lines(logging.WARNING)) == 1


def test_checks_that_take_too_long_are_logged_once_until_they_do_not(lines):
    """With what to do; each one is in the metrics."""
    pace = Pace()
    before, _ = checked()

    for seconds in (0.1, 3.0, 4.0, 0.1, 5.0):
        pace.note(seconds)

    assert lines(logging.WARNING) == [
        f"a check of the rights of all subscriptions took {seconds} s, so a right that is taken away may last longer "
        "than five seconds; declare visible_topics and same_rights in the feeds with the most subscribers, or run "
        "more processes"
        for seconds in ("3.0", "5.0")
    ]
    assert checked()[0] - before == 5


@pytest.fixture
def users(transactional_db, sign_in) -> list[tuple[str, Visitor]]:
    """The primary keys of two users as text, each with its visitor."""
    create = get_user_model().objects.create_user
    made = [create(name) for name in ("one", "other")]
    return [(str(user.pk), Visitor(sign_in(user))) for user in made]


@pytest.fixture
async def asked(live, in_database) -> list[str]:
    """The names of the users that a feed was asked about."""
    names: list[str] = []

    def can_subscribe(self, user, key):
        names.append(user.username)
        return False

    await in_database(live, Board, name="asked", can_subscribe=can_subscribe)
    return names


def test_before_anything_is_announced_no_right_is_in_question():
    """The rights of the users that are announced first are checked alone."""
    changed = RightsChanged()
    assert changed.take() == frozenset()

    changed = RightsChanged()
    changed.set_for({"1"})
    assert changed.take() == {"1"}


@pytest.fixture
def regular_checks_are_rare(settings) -> None:
    """The service's own checks of all rights would count in the metrics; name it before the service."""
    settings.REALTIME = {"RECHECK_SECONDS": 10_000.0}


async def test_all_rights_are_checked_again_without_an_announcement(
    regular_checks_are_rare, service, settings
):
    """``RECHECK_SECONDS`` after the check before; how long that takes is in the metrics."""
    settings.REALTIME = {"RECHECK_SECONDS": rights.REST_SECONDS + 0.05}
    follower = FakeFollower(ANONYMOUS, "staffboards")
    hub = FakeHub([follower])
    hub.rights_changed.take()
    before, clock = checked(), asyncio.get_running_loop().time

    check = asyncio.create_task(recheck(hub, service.reader_threads))
    await asyncio.sleep(0)
    due = hub.rights_changed.all_due

    assert due is not None
    assert due <= clock() + 0.05
    await asyncio.wait_for(check, PATIENCE_SECONDS)
    assert follower.lost == ["staffboards"]
    count, seconds = (after - earlier for after, earlier in zip(checked(), before, strict=True))
    assert count == 1
    assert 0 < seconds < PATIENCE_SECONDS


async def test_a_check_of_single_users_is_not_one_of_all(regular_checks_are_rare, service, users):
    """The metrics have the time of those of all."""
    hub = FakeHub([FakeFollower(users[0][1], "staffboards")])
    hub.rights_changed.take()
    hub.rights_changed.set_for({users[0][0]})
    before = checked()

    await recheck(hub, service.reader_threads)

    assert checked() == before


def checked() -> tuple[float, float]:
    """Return how many checks of all there were, and how long they took together."""
    (metric,) = metrics.rights_checked.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in metric.samples}
    return values["count"], values["sum"]


async def test_a_change_of_one_user_asks_for_this_user_and_for_those_that_are_not_signed_in(
    service, users, asked
):
    """A session that has ended is one without a user; the rights of the others are as they were."""
    followers = [FakeFollower(visitor, "asked") for _, visitor in users]
    followers.append(FakeFollower(Visitor("ended"), "asked"))
    hub = FakeHub(followers)
    hub.rights_changed.take()
    hub.rights_changed.set_for({users[0][0]})

    await recheck(hub, service.reader_threads)

    assert sorted(asked) == ["", "one"]
    assert [follower.lost for follower in followers] == [["asked"], [], ["asked"]]


async def test_changes_of_users_and_one_of_all_ask_for_all(service, users, asked):
    """In either order."""
    for changes in ([{"1"}, None], [None, {"1"}], [{"1"}, None, {"2"}]):
        hub = FakeHub([FakeFollower(visitor, "asked") for _, visitor in users])
        hub.rights_changed.take()
        for change in changes:
            hub.rights_changed.set_for(change)
        asked.clear()

        await recheck(hub, service.reader_threads)

        assert sorted(asked) == ["one", "other"]


async def test_changes_of_single_users_do_not_put_off_the_check_of_all(
    service, users, asked, settings, monkeypatch
):
    """Even if they never cease."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 0.2}
    monkeypatch.setattr(rights, "REST_SECONDS", 0.01)
    hub = FakeHub([FakeFollower(visitor, "asked") for _, visitor in users])
    hub.rights_changed.take()

    async with asyncio.timeout(PATIENCE_SECONDS):
        while "other" not in asked:
            hub.rights_changed.set_for({users[0][0]})
            await recheck(hub, service.reader_threads)

    assert asked.count("one") >= 1


async def test_a_check_of_one_user_that_fails_is_followed_by_one_of_all(service, users, asked, monkeypatch):
    """It includes users that were announced meanwhile."""
    hub = FakeHub([FakeFollower(visitor, "asked") for _, visitor in users])
    hub.rights_changed.take()
    hub.rights_changed.set_for({users[0][0]})
    monkeypatch.setattr(rights, "lost_rights", FailsOnce(lost_rights, OperationalError("away")))
    with pytest.raises(OperationalError):
        await recheck(hub, service.reader_threads)

    await recheck(hub, service.reader_threads)

    assert sorted(asked) == ["one", "other"]
