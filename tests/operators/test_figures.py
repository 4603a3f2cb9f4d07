"""Figures: what a process serves, and what it has counted in the last minutes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from realtime.access.visitors import ANONYMOUS, Visitor, login_for
from realtime.delivery.subscriber import ConnectionState
from realtime.operators import figures
from realtime.operators.figures import MOST, Samples
from realtime.runtime import metrics


def connection(number: int, unread: int, open_seconds: float = 1.0, name: str | None = None) -> Any:
    state = ConnectionState(f"c{number}" if name is None else name, "websocket", open_seconds, unread)
    return SimpleNamespace(state=state, topics=["boards"], address="192.0.2.1", visitor=ANONYMOUS)


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> Samples:
    monkeypatch.setattr(figures, "SAMPLE_SECONDS", 0.0)
    return Samples()


def test_a_sample_has_the_mean_time_of_the_changes_since_the_last_one(samples):
    """Not that of all time: what is slow now must be seen now."""
    metrics.delivered.observe(0.2)
    metrics.delivered.observe(0.4)
    samples.take(1.5)
    metrics.delivered.observe(2.0)
    samples.take(0.0)
    samples.take(0.0)

    assert [tuple(getattr(one, name) for name in one.__struct_fields__) for one in samples.kept] == [
        (1.5, 0.3), (0.0, 2.0), (0.0, None),
    ]  # fmt: skip


def test_codes_are_counted_since_the_oldest_sample(samples):
    """Codes of an hour ago are left out."""
    metrics.refusals.labels(4403).inc(5)
    samples.take(0.0)
    assert samples.refusals == {}

    metrics.refusals.labels(4403).inc()
    metrics.refusals.labels(4529).inc(2)
    metrics.closes.labels("client").inc(3)

    assert samples.refusals == {"4403": 1, "4529": 2}
    assert samples.closes == {"client": 3}


def test_samples_are_taken_now_and_then_and_kept_for_five_minutes(monkeypatch):
    """An operator who opens the page sees the last five minutes, however often a process looks."""
    samples = Samples()
    for _ in range(5):
        samples.take(0.0)
    assert len(samples.kept) == 1

    monkeypatch.setattr(figures, "SAMPLE_SECONDS", 0.0)
    samples._due_at = 0.0
    for number in range(2 * figures.SAMPLES):
        samples.take(float(number))

    assert len(samples.kept) == figures.SAMPLES
    assert samples.kept[-1].behind_seconds == 2 * figures.SAMPLES - 1


async def test_the_slowest_readers_are_those_with_most_unread():
    """At most twenty; of equal ones the newest, and no poll, which cannot be named."""
    connections = [
        connection(1, 5, 9.0),
        connection(2, 500),
        connection(3, 5, 1.0),
        connection(4, 900, name=""),
    ]

    states = await figures.states_of(connections)
    slowest = figures.slowest(states)

    assert [state.name for _, state in slowest] == ["c2", "c3", "c1"]
    many = await figures.states_of([connection(number, number) for number in range(3000)])
    assert len(many) == 3000
    assert [state.unread_bytes for _, state in figures.slowest(many)] == list(range(2999, 2999 - MOST, -1))


@pytest.mark.django_db
def test_readers_have_the_users_of_their_sessions(staff, sign_in):
    """By primary key; an anonymous one has none, and one whose session has ended."""
    staff.backend = "django.contrib.auth.backends.ModelBackend"
    visitors = [
        Visitor(sign_in(staff)), Visitor(login=login_for(staff)), Visitor("gone"), ANONYMOUS,
    ]  # fmt: skip
    slowest = []
    for visitor in visitors:
        one = connection(1, 0)
        one.visitor = visitor
        slowest.append((one, one.state))

    readers = figures.readers_of(cast(Any, slowest))

    assert [reader.user for reader in readers] == [str(staff.pk), str(staff.pk), None, None]
    assert {reader.address for reader in readers} == {"192.0.2.1"}
