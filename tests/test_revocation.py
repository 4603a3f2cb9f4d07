"""Revocation: what Django is told of users, groups and sessions reaches all processes at once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import transaction
from django.test import Client

from realtime import revocation
from realtime.models import LogEntry, OutboxRow
from tests.conftest import until


def announced() -> int:
    return OutboxRow.objects.filter(source=revocation.SOURCE).count()


@pytest.fixture
def member(log):
    """A user with a permission, in a group with another one, signed in."""
    user = get_user_model().objects.create_user("member", password="words", is_staff=True)
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
    "signed out": lambda user: user.client.logout(),
    "signed out by an administrator": lambda user: Session.objects.all().delete(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_takes_rights_away_is_announced(member, change):
    """Whichever of Django's ways it goes."""
    change(member)

    assert announced() >= 1


def test_what_takes_nothing_away_is_not(member):
    """Signing in, and somebody new: both happen all day."""
    Client().login(username="member", password="words")
    get_user_model().objects.create_user("newcomer")

    assert announced() == 0


def test_nothing_is_announced_before_it_is_true(member):
    """Nor if it never comes true."""
    with transaction.atomic():
        demote(member)
        assert announced() == 0
        transaction.set_rollback(True)

    assert announced() == 0


def test_an_announcement_that_fails_costs_the_change_nothing(member, monkeypatch):
    """It is found at the next turn."""

    def fail() -> None:
        raise RuntimeError("no outbox")

    monkeypatch.setattr(revocation, "announce", fail)
    demote(member)

    assert not get_user_model().objects.get(pk=member.pk).is_staff


def test_many_announcements_are_one_entry(log, member):
    """However many users lose their rights at once, and beside a flood of changes too."""
    for _ in range(5):
        revocation.announce()

    batch = log.sequence()

    assert [(entry.kind, entry.topic) for entry in batch.entries] == [(LogEntry.Kind.RIGHTS, "*")]


@pytest.mark.parametrize("change", [demote, change_password, lambda user: user.client.logout()])
async def test_an_open_connection_loses_its_topic_at_once(
    connect, settings, member, safe, in_database, change, service
):
    """Long before the next turn; not a word of the topic after it."""
    settings.REALTIME |= {"RECHECK_SECONDS": 1000}
    peer = connect(session=member.client.cookies["sessionid"].value)
    await peer.open()
    await peer.follow(f"entries.{safe.pk}")
    await peer.follow("boards")

    await in_database(change, member)
    error = await peer.hear_next("error")

    assert (error["code"], error["topic"]) == (4403, f"entries.{safe.pk}")
    await in_database(safe.entries.update, value="more secret")
    await in_database(type(safe).objects.create, slug="new", title="For everyone")
    assert "more secret" not in str(await peer.hear_next("changes", "boards"))


async def test_turns_come_no_quicker_than_they_can_be_taken(service, monkeypatch, in_database, connect, quay):
    """A hundred announcements are a few turns."""
    from realtime import rights

    turns = []
    lost_claims = rights.lost_claims

    def counted(claims):
        turns.append(len(claims))
        return lost_claims(claims)

    monkeypatch.setattr(rights, "lost_claims", counted)
    peer = connect()
    await peer.open()
    await peer.follow("boards")

    for _ in range(100):
        service.hub.rights_changed.set()
        await until(lambda: True)

    await until(lambda: turns)
    assert len(turns) <= 3
