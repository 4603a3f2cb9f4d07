"""Topics of the boards, and how the rights of their readers are taken away."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session


@pytest.fixture
def topic(quay) -> str:
    """A topic that anyone may follow."""
    return f"entries.{quay.pk}"


@pytest.fixture
def secret(safe) -> str:
    """A topic that only staff may follow."""
    return f"entries.{safe.pk}"


def demote(user: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(is_staff=False)


def deactivate(user: Any) -> None:
    type(user).objects.filter(pk=user.pk).update(is_active=False)


def sign_out(user: Any) -> None:
    Session.objects.all().delete()


def change_password(user: Any) -> None:
    user.set_password("other words")
    user.save()


@pytest.fixture(params=[demote, deactivate, sign_out, change_password], ids=lambda lose: lose.__name__)
def lose(request) -> Callable[[Any], None]:
    """Take the rights of a user of the staff away, in each of the ways."""
    return request.param
