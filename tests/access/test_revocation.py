"""Revocation: changes that Django makes to users, groups and sessions reach all processes at once."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import OperationalError, transaction
from django.test import Client

from realtime.access import revocation
from realtime.delivery import rights
from realtime.models import LogEntry, OutboxRow
from tests.conftest import until
from tests.support.transports import Request


def announced() -> int:
    return OutboxRow.objects.filter(source=revocation.SOURCE).count()


@pytest.fixture
def member(log):
    """A user with a permission, in a group with another one, signed in."""
    user: Any = get_user_model().objects.create_user("member", password="words", is_staff=True)
    group = Group.objects.create(name="readers")
    group.permissions.add(Permission.objects.first())
    user.groups.add(group)
    user.user_permissions.add(Permission.objects.last())
    client = Client()
    client.force_login(user)
    user.client = client
    OutboxRow.objects.all().delete()
    return user


def demote(user: Any) -> None:
    user.is_staff = False
    user.save()


def promote(user: Any) -> None:
    user.is_staff = True
    user.save()


def change_password(user: Any) -> None:
    user.set_password("other words")
    user.save(update_fields=["password"])


CHANGES: dict[str, Callable[[Any], object]] = {
    "staff flag": demote,
    "password": change_password,
    "deleted": lambda user: user.delete(),
    "left a group": lambda user: user.groups.clear(),
    "removed from a group": lambda user: Group.objects.get().user_set.remove(user),
    "lost a permission": lambda user: user.user_permissions.clear(),
    "its group lost a permission": lambda user: Group.objects.get().permissions.clear(),
    "group deleted": lambda user: Group.objects.get().delete(),
    "permission deleted": lambda user: user.user_permissions.get().delete(),
    "signed out": lambda user: user.client.logout(),
    "signed out by an administrator": lambda user: Session.objects.all().delete(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_takes_rights_away_is_announced(member, change):
    """By each of the ways that Django has."""
    change(member)

    assert announced() >= 1


def test_what_takes_no_rights_away_is_not_announced(member):
    """Signing in and new users: both are frequent."""
    Client().login(username="member", password="words")
    get_user_model().objects.create_user("newcomer")
    Session.objects.update(expire_date="2020-01-01T00:00:00Z")
    call_command("clearsessions")

    assert announced() == 0


def test_a_transaction_is_announced_once(member):
    """However many of its writes take rights away."""
    with transaction.atomic():
        demote(member)
        change_password(member)
        Group.objects.all().delete()

    assert announced() == 1


def test_nothing_is_announced_before_its_commit(member):
    """Nor if it is rolled back."""
    with transaction.atomic():
        demote(member)
        assert announced() == 0
        transaction.set_rollback(True)

    assert announced() == 0


def test_an_announcement_that_fails_does_not_undo_the_change(member, monkeypatch):
    """It is found at the next regular check."""

    def fail() -> None:
        raise RuntimeError("no outbox")

    monkeypatch.setattr(revocation, "announce", fail)
    demote(member)

    assert not get_user_model().objects.get(pk=member.pk).is_staff


def test_many_announcements_are_one_entry(log, member):
    """However many users lose their rights at once, also during a flood of changes."""
    for _ in range(5):
        revocation.announce()

    batch = log.sequence()

    assert [(entry.kind, entry.topic) for entry in batch.entries] == [(LogEntry.Kind.RIGHTS, "*")]


@pytest.fixture
def no_interval(settings) -> None:
    """Rights are checked again only when a change is announced: never at an interval."""
    settings.REALTIME = {**settings.REALTIME, "RECHECK_SECONDS": 1000}


@pytest.mark.parametrize("change", [demote, change_password, lambda user: user.client.logout()])
async def test_an_open_connection_loses_its_topic_at_once(
    no_interval, service, connect, member, safe, in_database, change
):
    """Long before the next regular check; no later change of the topic is sent."""
    peer = connect(session=member.client.cookies["sessionid"].value)
    await peer.open()
    await peer.follow(f"entries.{safe.pk}")
    await peer.follow("boards")

    await in_database(change, member)
    error = await peer.receive_next("error")

    assert (error["code"], error["topic"]) == (4403, f"entries.{safe.pk}")
    await in_database(safe.entries.update, value="more secret")
    await in_database(type(safe).objects.create, slug="new", title="For everyone")
    assert "more secret" not in str(await peer.receive_next("changes", "boards"))


async def test_rights_are_checked_again_only_after_a_rest(no_interval, service, monkeypatch, connect, quay):
    """However often changes are announced meanwhile."""
    checks: list[float] = []
    lost_rights = rights.lost_rights

    def recorded(waiting):
        checks.append(time.monotonic())
        service.hub.rights_changed.set()
        return lost_rights(waiting)

    monkeypatch.setattr(rights, "REST_SECONDS", 0.2)
    monkeypatch.setattr(rights, "lost_rights", recorded)
    peer = connect()
    await peer.open()
    await peer.follow("boards")

    service.hub.rights_changed.set()
    await until(lambda: len(checks) >= 3)

    assert all(later - earlier >= 0.2 for earlier, later in pairwise(checks))


async def test_an_announced_change_is_checked_although_a_check_failed(
    no_interval, service, monkeypatch, connect, member, safe, in_database
):
    """The database may have been unavailable at that moment."""
    failed: list[Any] = []
    lost_rights = rights.lost_rights

    def fail_once(waiting):
        if not failed:
            failed.append(waiting)
            raise OperationalError("away")
        return lost_rights(waiting)

    monkeypatch.setattr(rights, "lost_rights", fail_once)
    peer = connect(session=member.client.cookies["sessionid"].value)
    await peer.open()
    await peer.follow(f"entries.{safe.pk}")

    await in_database(demote, member)

    assert (await peer.receive_next("error"))["code"] == 4403
    assert failed


@pytest.fixture
def slow_reading(no_interval, service, monkeypatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Topics are read only after the second event is set; the first one is set when a read waits for it."""
    has_begun, may_go_on = asyncio.Event(), asyncio.Event()
    subscribe = service.hub.subscribe

    async def slow(*arguments):
        has_begun.set()
        await may_go_on.wait()
        return await subscribe(*arguments)

    monkeypatch.setattr(service.hub, "subscribe", slow)
    return has_begun, may_go_on


@pytest.mark.parametrize("is_followed", [False, True], ids=["first", "again"])
async def test_a_right_lost_while_a_topic_is_read_opens_nothing(
    request, no_interval, service, connect, member, safe, in_database, is_followed
):
    """The right existed when it was checked, and was taken away while the rows were read."""
    topic = f"entries.{safe.pk}"
    peer = connect(session=member.client.cookies["sessionid"].value)
    await peer.open()
    if is_followed:
        await peer.follow(topic)
    has_begun, may_go_on = request.getfixturevalue("slow_reading")
    await peer.send("subscribe", topic=topic)
    await has_begun.wait()
    await in_database(demote, member)
    (connection,) = service.hub.connections
    await until(lambda: topic not in connection.topics)
    await in_database(safe.entries.update, value="after the right")
    may_go_on.set()

    error = await peer.receive()
    await peer.send("ping")

    assert (error["type"], error["code"]) == ("error", 4403)
    assert await peer.receive() == {"type": "heartbeat", "positions": {}}


async def test_a_stream_whose_right_is_lost_before_it_opens_is_refused(
    application, service, slow_reading, member, safe, in_database
):
    """As a whole, if it has no other topic."""
    has_begun, may_go_on = slow_reading
    key = member.client.cookies["sessionid"].value
    headers = {"cookie": f"sessionid={key}", "sec-fetch-site": "same-origin"}
    for path in ("/realtime/sse/", f"/realtime/topics/entries.{safe.pk}/"):
        await in_database(promote, member)
        has_begun.clear()
        may_go_on.clear()
        request = Request(application, path, [("topic", f"entries.{safe.pk}")], headers=headers)
        answer = asyncio.create_task(request.fetch())
        await has_begun.wait()
        await in_database(demote, member)
        await until(lambda: revoked(service))
        may_go_on.set()

        status, _, content = await answer

        assert status == 403
        assert "s3cret" not in str(content)


def revoked(service) -> bool:
    (subscriber,) = service.hub.connections
    return getattr(subscriber, "is_revoked", False) or not subscriber.topics


NAMED = [
    "staff flag",
    "password",
    "deleted",
    "left a group",
    "removed from a group",
    "lost a permission",
    "signed out",
]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_an_announcement_names_the_users_where_they_are_known(request, member, log, change):
    """A change of a group or a permission may concern anyone."""
    name = request.node.callspec.id
    key = str(member.pk)

    change(member)
    entries = [entry for entry in log.sequence().entries if entry.kind == LogEntry.Kind.RIGHTS]

    (entry,) = [entry for entry in entries if entry.topic == "*"]
    is_named = name in [*NAMED, "signed out by an administrator"]
    assert revocation.users_of(entry.payload) == ({key} if is_named else None)


def test_the_users_of_a_transaction_are_announced_together(log, django_user_model):
    """If there are too many, the announcement stands for all users."""
    users = [django_user_model.objects.create_user(f"user{n}") for n in range(revocation.MAX_USERS + 1)]
    for some in (users[:3], users):
        log.sequence()
        with transaction.atomic():
            for user in some:
                demote(user)
        batch = log.sequence()

        (entry,) = [entry for entry in batch.entries if entry.topic == "*"]
        named = {str(user.pk) for user in some}
        assert revocation.users_of(entry.payload) == (named if len(named) <= revocation.MAX_USERS else None)


@pytest.mark.parametrize(
    "images, users",
    [
        ([{"users": ["1", "2"]}, {"users": ["3"]}], {"1", "2", "3"}),
        ([{"users": ["1"]}, None], None),
        ([None], None),
        ([{"users": []}], set()),
        ([{}], None),
        ([{"users": "12"}], None),
        ([{"users": ["1"]}, {"users": None}], None),
        ([{"users": [str(number)]} for number in range(101)], None),
    ],
)
def test_announcements_are_one_entry_for_all_that_they_name(images, users):
    """A value that is not a list of users stands for all of them: other releases or SQL may write one."""
    assert revocation.users_of(revocation.payload(images)) == users


@pytest.mark.parametrize("payload", ["", "{", "null", "{}", '"1"', "1"])
def test_a_payload_that_names_no_users_stands_for_all(payload):
    assert revocation.users_of(payload) is None
