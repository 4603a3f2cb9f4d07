"""The audience: viewers of a topic in all processes, sent about once a second, however many join and leave."""

import asyncio
from itertools import count
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError

from realtime.access.visitors import Visitor, login_for
from realtime.delivery import audience
from realtime.delivery.held_topics import HeldTopics
from realtime.delivery.hub import Hub
from realtime.delivery.shared_topic import SharedTopic
from realtime.engine.messages import Presence
from realtime.feeds import registry
from realtime.models import Interest, Process, SecondsNow
from realtime.publishing import interest
from realtime.publishing.interest import Viewers
from tests.conftest import until
from tests.delivery.conftest import SELDOM_SECONDS, Follower


@pytest.fixture
async def make_hub(log, layer, slow):
    """A function that starts a hub, as another process has it."""
    hubs = []

    async def make() -> Hub:
        hub = Hub(layer, slow.reader_threads, slow.reads, SELDOM_SECONDS, HeldTopics())
        await hub.start()
        hubs.append(hub)
        return hub

    yield make
    for hub in hubs:
        await hub.stop()


def viewers(follower: Follower) -> int | None:
    """Return the number that a follower was sent last; None before that."""
    told = [message.viewers for message in follower.received if isinstance(message, Presence)]
    return told[-1] if told else None


def names(follower: Follower) -> list[str]:
    told = [message.names for message in follower.received if isinstance(message, Presence)]
    return list(told[-1] or []) if told else []


async def test_viewers_of_all_processes_are_counted(sociable, make_hub, quay, topic):
    """Each is sent the number when one joins or leaves, in any process."""
    one, other = await make_hub(), await make_hub()
    first = await Follower(topic).follow(one)
    await until(lambda: viewers(first) == 1)

    second = await Follower(topic).follow(other)
    await until(lambda: viewers(first) == 2 == viewers(second))
    other.unsubscribe(topic, second)

    await until(lambda: viewers(first) == 1)


async def test_a_feed_without_presence_tells_nothing(make_hub, monkeypatch, quay, topic):
    """It is off unless the feed declares it; the viewers of the second feed show that there was a count."""
    monkeypatch.setattr(audience, "LOOK_SECONDS", 0.02)
    hub = await make_hub()
    silent = await Follower(topic).follow(hub)
    monkeypatch.setattr(type(registry["boards"]), "presence", "count")
    told = await Follower("boards").follow(hub)

    await until(lambda: viewers(told) == 1)

    assert viewers(silent) is None


async def test_topics_without_viewers_to_count_cost_nothing(sociable, make_hub, quay, topic):
    """A count looks at topics by their names: a process may hold twenty thousand others."""

    class ByName(dict[str, SharedTopic]):
        def __iter__(self):
            raise AssertionError("each topic is looked at")

        keys = values = items = __iter__

    hub = await make_hub()
    follower = await Follower(topic).follow(hub)
    counting = audience.Audience(ByName(hub._shared), hub._held_topics, hub._reader_threads)
    counting.greet(hub._shared[topic], follower)

    await counting._look()

    assert counting.counted == {topic: Viewers(1)}


async def test_the_viewers_of_a_process_that_died_expire(sociable, make_hub, in_database, quay, topic):
    """It cannot report that they have left."""
    hub = await make_hub()
    dead = await in_database(interest.begin, "dead")
    await in_database(interest.note, dead, {topic: 5})
    follower = await Follower(topic).follow(hub)
    await until(lambda: viewers(follower) == 6)

    await in_database(
        Process.objects.filter(pk=dead).update, seen_at=SecondsNow() - interest.VALID_SECONDS - 1
    )

    await until(lambda: viewers(follower) == 1)


async def test_the_viewers_of_a_process_that_stops_are_gone_at_once(
    sociable, make_hub, in_database, quay, topic
):
    """They follow elsewhere, and would be counted twice until its notes expire."""
    stopping, hub = await make_hub(), await make_hub()
    await Follower(topic).follow(stopping)
    follower = await Follower(topic).follow(hub)
    await until(lambda: viewers(follower) == 2)

    await stopping.stop()

    await until(lambda: viewers(follower) == 1)
    assert await in_database(Process.objects.count) == 1


async def test_a_page_that_reloads_does_not_leave(sociable, make_hub, quay, topic):
    """Nor does one that polls, between two requests: a viewer has left when two counts in a row miss it."""
    hub = await make_hub()
    watching = await Follower(topic).follow(hub)
    await until(lambda: viewers(watching) == 1)
    counts = hub._audience
    assert counts is not None
    shared = hub._shared[topic]
    state = counts._topics[topic]

    shared.subscribers.clear()
    counts._count(state, shared)
    missed_once = state.here.number
    counts._count(state, shared)

    assert (missed_once, state.here.number) == (1, 0)


async def test_a_viewer_that_was_not_subscribed_yet_is_sent_a_later_count(sociable, make_hub, quay, topic):
    """A count between the hub's subscription and the session's must not lose what it says."""
    hub = await make_hub()
    early = Follower(topic)
    held = await hub.subscribe(topic, early)
    await until(lambda: hub.presence(topic) == Presence(topic, 1, ()))

    early.session.subscribe(held, None, "rows")

    await until(lambda: viewers(early) == 1)


async def test_many_that_join_cost_one_message(sociable, make_hub, quay, topic, monkeypatch):
    """And with many viewers, all are told less often than once a second."""
    hub = await make_hub()
    monkeypatch.setattr(audience, "LOOK_SECONDS", 0.2)
    watching = await Follower(topic).follow(hub)
    await until(lambda: viewers(watching) == 1)
    monkeypatch.setattr(audience, "MESSAGES_PER_SECOND", 1e-6)

    for _ in range(100):
        await Follower(topic).follow(hub)
    await until(lambda: (viewers(watching) or 0) > 1)
    latest = await Follower(topic).follow(hub)
    await until(lambda: viewers(latest) is not None)

    told = [message for message in watching.received if isinstance(message, Presence)]
    assert len(told) <= 3
    assert viewers(latest) == viewers(watching)


@pytest.mark.parametrize("seconds", [30, 3600, 1e6])
async def test_a_count_that_took_long_does_not_stop_the_next_ones(
    sociable, make_hub, monkeypatch, quay, topic, seconds
):
    """A database that was locked, or a process that was suspended, costs one pause of a bounded length."""
    clock = count(0.0, seconds)  # a count takes this long, and more
    monkeypatch.setattr(audience, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(audience, "MAX_PAUSE_SECONDS", 0.05, raising=False)
    hub = await make_hub()

    follower = await Follower(topic).follow(hub)

    await until(lambda: viewers(follower) == 1)


# ---------------------------------------------------------------- names


@pytest.fixture
def visitor_of(django_user_model, in_database):
    """A function that returns the visitor of a new user."""

    async def make(name: str) -> Visitor:
        user = await in_database(django_user_model.objects.create_user, name, password="words", is_staff=True)
        user.backend = "django.contrib.auth.backends.ModelBackend"
        return Visitor(login=login_for(user))

    return make


async def follow_as(visitor: Visitor, topic: str, hub: Hub) -> Follower:
    follower = Follower(topic)
    follower.visitor = visitor
    return await follower.follow(hub)


async def test_viewers_are_named_across_processes(sociable, make_hub, visitor_of, quay, topic):
    """Each once, in order; those without a name are only counted."""
    one, other = await make_hub(), await make_hub()
    ada, grace = await visitor_of("ada"), await visitor_of("grace")
    anonymous = await Follower(topic).follow(one)

    await follow_as(grace, topic, one)
    await follow_as(ada, topic, other)
    await follow_as(ada, topic, one)

    await until(lambda: names(anonymous) == ["ada", "grace"] and viewers(anonymous) == 4)


async def test_a_feed_that_counts_names_no_viewer(
    sociable, make_hub, visitor_of, monkeypatch, in_database, quay, topic
):
    """Not in the messages, and not in the database."""
    monkeypatch.setattr(sociable, "presence", "count")
    hub = await make_hub()
    ada = await follow_as(await visitor_of("ada"), topic, hub)

    await until(lambda: viewers(ada) == 1)

    assert hub.presence(topic) == Presence(topic, 1)
    assert await in_database(list, Interest.objects.values_list("viewers", "names")) == [(1, "")]


async def test_at_most_a_hundred_are_named(sociable, make_hub, monkeypatch, quay, topic):
    """A message stays short; those that are named stay the same."""
    monkeypatch.setattr(audience, "MAX_NAMES", 3)
    monkeypatch.setattr(audience, "names_of", lambda wanted: {each: str(each[1].session) for each in wanted})
    hub = await make_hub()
    first = [await follow_as(Visitor(session=f"a{number}"), topic, hub) for number in range(3)]
    await until(lambda: viewers(first[0]) == 3 and len(names(first[0])) == 3)
    before = names(first[0])

    for number in range(5):
        await follow_as(Visitor(session=f"b{number}"), topic, hub)
    await until(lambda: viewers(first[0]) == 8)

    assert names(first[0]) == before


@pytest.mark.parametrize(
    "answer, name",
    [
        ("Ada", "Ada"),
        ("", ""),
        (None, ""),
        (5, ""),
        ("null \0 character", ""),
        ("half \ud800", ""),
        ("x" * 1000, "x" * 80),
        ("<b>&", "<b>&"),
        (SystemExit, ""),
        (GeneratorExit, ""),
        (BaseException, ""),
        (ValueError, ""),
    ],
)
def test_what_a_feed_answers_is_a_name_or_none(sociable, monkeypatch, answer, name):
    """Whatever it is, the topic's other viewers are counted and named."""

    def viewer_name(self, user):
        if isinstance(answer, type):
            raise answer
        return answer

    monkeypatch.setattr(sociable, "viewer_name", viewer_name, raising=False)

    assert audience.name_of("entries", AnonymousUser()) == name


async def test_a_database_that_is_away_costs_only_counts(sociable, make_hub, monkeypatch, quay, topic):
    """Viewers are counted again when it is back."""
    hub = await make_hub()
    follower = await Follower(topic).follow(hub)
    await until(lambda: viewers(follower) == 1)
    original, failures = interest.viewers, []

    def away(topics):
        failures.append(topics)
        raise OperationalError("away")

    monkeypatch.setattr(interest, "viewers", away)
    await Follower(topic).follow(hub)
    await until(lambda: len(failures) > 2)
    during = viewers(follower)
    monkeypatch.setattr(interest, "viewers", original)

    await until(lambda: viewers(follower) == 2)
    assert during == 1


async def test_a_note_in_another_format_keeps_the_viewers(in_database, transactional_db):
    """A subscriber of another format must not make the others vanish for a moment."""
    held = HeldTopics()
    await held.note("topic", "rows")
    await held.count({"topic": Viewers(3, ("ada",))})

    await held.note("topic", None)
    await asyncio.to_thread(held.threads.close)

    assert await in_database(list, Interest.objects.values_list("viewers", "names", "format")) == [
        (3, '["ada"]', "")
    ]
