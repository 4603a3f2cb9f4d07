"""Rights: many are judged by few queries, and each has its own verdict."""

import time
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError

from realtime.access.visitors import ANONYMOUS, Visitor
from realtime.boards.models import Board, Entry
from realtime.delivery.rights_check import USER_SECONDS, RightsToCheck, Verdict, judge, judge_some, may_read
from realtime.engine.errors import UnknownTopic
from realtime.feeds import Feed, registry
from realtime.rows.visibility import BadAnswer


@pytest.fixture
def boards(log) -> list[int]:
    """The keys of four boards, every other one public."""
    return [
        Board.objects.create(slug=f"board-{number}", title="A board", is_public=not number % 2).pk
        for number in range(4)
    ]


@pytest.fixture
def make_users(sign_in):
    """A function that returns the visitors of new users, each signed in."""

    def make(number: int, **fields: Any) -> list[Visitor]:
        create = get_user_model().objects.create_user
        return [Visitor(sign_in(create(f"user{n}", **fields))) for n in range(number)]

    return make


def make_feed(live, **methods: Any) -> Feed:
    methods.setdefault("can_subscribe", None)
    if methods["can_subscribe"] is None:
        methods["can_subscribe"] = Feed.can_subscribe
    return live(Entry, name="asked", topic_field="board_id", fields=["label"], **methods)


def holding(verdicts) -> list[bool | str]:
    """Return for each right whether it holds, or the name of the error, by the keys of the topics."""
    in_order = sorted(verdicts.items(), key=lambda item: int(item[0][1].partition(".")[2]))
    return [
        verdict.holds if isinstance(verdict, Verdict) else type(verdict).__name__ for _, verdict in in_order
    ]


def test_a_feed_is_asked_once_for_all_topics_of_a_user(live, boards, make_users):
    """By one call with all keys; each topic gets its answer."""
    calls: list[tuple[str, list[int]]] = []

    def visible_topics(self: Feed, user: Any, keys: Any) -> Any:
        calls.append((user.username, sorted(keys)))
        return Board.objects.filter(pk__in=keys, is_public=True).values_list("pk", flat=True)

    make_feed(live, visible_topics=visible_topics)
    visitors = make_users(2)

    verdicts: Any = judge({(visitor, f"asked.{key}") for visitor in visitors for key in boards})

    assert sorted(calls) == [("user0", boards), ("user1", boards)]
    assert holding(verdicts) == [True, True, False, False, True, True, False, False]


def test_users_with_the_same_rights_are_asked_for_once(live, boards, make_users):
    """And those without a session, whose rights are the same by themselves."""
    calls: list[str] = []

    def can_subscribe(self: Feed, user: Any, key: int) -> bool:
        calls.append(user.username)
        return bool(user.is_staff)

    make_feed(live, can_subscribe=can_subscribe, same_rights=lambda self, user: user.is_staff)
    visitors = [*make_users(3), *(Visitor(f"session{n}") for n in range(3)), ANONYMOUS]
    staff = get_user_model().objects.get(username="user0")
    staff.is_staff = True
    staff.save()

    verdicts: Any = judge({(visitor, f"asked.{boards[0]}") for visitor in visitors})

    assert len(calls) == 2
    assert sum(verdict.holds for verdict in verdicts.values()) == 1
    assert verdicts[visitors[0], f"asked.{boards[0]}"].holds
    assert {verdict.user for verdict in verdicts.values()} == {
        None, *get_user_model().objects.values_list("pk", flat=True),
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer, error",
    [
        (lambda keys: 1 / 0, ZeroDivisionError),
        (lambda keys: None, BadAnswer),
        (lambda keys: [*keys, 0], BadAnswer),
        (lambda keys: dict.fromkeys(keys, True), BadAnswer),
        (lambda keys: Board.objects.raw("SELECT nothing"), OperationalError),
    ],
    ids=["raises", "nothing", "another key", "a dictionary", "a wrong query"],
)
def test_an_answer_that_cannot_be_used_concerns_its_feed_and_user_alone(
    live, boards, make_users, answer, error
):
    """The others of the batch have their verdicts."""

    def visible_topics(self: Feed, user: Any, keys: Any) -> Any:
        return answer(keys) if user.username == "user0" else keys

    make_feed(live, visible_topics=visible_topics)
    fails, works = make_users(2)
    public = f"entries.{boards[0]}"

    verdicts: Any = judge(
        {(each, topic) for each in (fails, works) for topic in (f"asked.{boards[0]}", public)}
    )

    assert isinstance(verdicts[fails, f"asked.{boards[0]}"], error)
    assert verdicts[works, f"asked.{boards[0]}"].holds
    assert verdicts[fails, public].holds
    assert verdicts[works, public].holds


@pytest.mark.parametrize("value", [[], 1 / 3], ids=["no hash", "a value"])
def test_same_rights_of_a_wrong_type_is_an_error_or_a_value_like_others(live, boards, value):
    make_feed(live, can_subscribe=lambda self, user, key: True, same_rights=lambda self, user: value)

    verdict: Any
    (verdict,) = judge({(ANONYMOUS, f"asked.{boards[0]}")}).values()

    assert isinstance(verdict, TypeError) if value == [] else verdict.holds


def test_a_topic_that_does_not_exist_does_not_disturb_the_others(live, boards):
    verdicts: Any = judge({(ANONYMOUS, topic) for topic in (f"entries.{boards[0]}", "entries.07", "nothing")})

    assert verdicts[ANONYMOUS, f"entries.{boards[0]}"].holds
    assert isinstance(verdicts[ANONYMOUS, "entries.07"], UnknownTopic)
    assert isinstance(verdicts[ANONYMOUS, "nothing"], UnknownTopic)


def test_without_rights_there_is_nothing_to_judge(log):
    assert judge(set()) == {}
    assert not RightsToCheck()


def test_a_slice_ends_when_its_time_is_over(live, boards):
    """With the rights of one visitor at least; the next one goes on, until none is left, and none is judged twice."""
    make_feed(live, can_subscribe=lambda self, user, key: True)
    waiting = RightsToCheck()
    for number in range(3):
        for key in boards:
            waiting.add(Visitor(f"session{number}"), f"asked.{key}")
    slices = []
    while waiting:
        slices.append(judge_some(waiting, 0.0))

    assert [len(verdicts) for verdicts in slices] == [4, 4, 4]
    assert len({right for verdicts in slices for right in verdicts}) == 12


def test_the_users_of_a_check_are_loaded_once(live, boards, make_users, django_assert_max_num_queries):
    """However many slices it has, unless one takes so long that what was loaded is old."""
    make_feed(live, can_subscribe=lambda self, user, key: True)
    waiting = RightsToCheck()
    for visitor in make_users(5):
        waiting.add(visitor, f"asked.{boards[0]}")

    with django_assert_max_num_queries(2 + 5):  # sessions, users; the position in each slice
        for _ in range(5):
            judge_some(waiting, 0.0)
    assert not waiting


def test_a_user_that_was_loaded_long_ago_is_loaded_again(live, boards, make_users, monkeypatch):
    """A right may have been taken away meanwhile."""
    make_feed(live, can_subscribe=lambda self, user, key: user.is_staff)
    waiting = RightsToCheck()
    for visitor in make_users(2, is_staff=True):
        waiting.add(visitor, f"asked.{boards[0]}")
    assert holding(judge_some(waiting, 0.0)) == [True]
    get_user_model().objects.update(is_staff=False)
    later = time.monotonic() + USER_SECONDS + 1
    monkeypatch.setattr("realtime.delivery.rights_check.time.monotonic", lambda: later)

    assert holding(judge_some(waiting, 0.0)) == [False]


@pytest.mark.parametrize("name", ["entries", "board"])
def test_the_boards_answer_for_several_at_once_as_they_do_for_each(boards, staff, name):
    """Staff see all that exist, others the public ones."""
    feed: Any = registry[name]
    anonymous = type("Anonymous", (), {"is_active": False, "is_staff": False, "pk": None})()
    for user in (staff, anonymous):
        one_by_one = {key for key in [*boards, 10**6] if feed.can_subscribe(user, key)}

        assert set(feed.visible_topics(user, [*boards, 10**6])) == one_by_one
        assert {key for key in boards if may_read(feed, user, key)} == one_by_one
    assert feed.same_rights(staff) != feed.same_rights(anonymous)


def test_an_async_can_subscribe_is_waited_for(boards, make_users, live):
    """It reads the database like another one; what it returns decides, not that it was called."""

    async def can_subscribe(self: Any, user: Any, key: int) -> bool:
        return (await Board.objects.aget(pk=key)).is_public

    make_feed(live, can_subscribe=can_subscribe)
    (member,) = make_users(1)

    verdicts = judge({(member, f"asked.{key}") for key in boards})

    assert holding(verdicts) == [True, False, True, False]
