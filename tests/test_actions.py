"""Actions: which users may call them, with which arguments, and which calls are refused."""

from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser, User

from realtime.actions import ActionRefused, action, actions, perform
from realtime.engine.codes import Code


class SeatsForm(forms.Form):
    seats = forms.IntegerField(min_value=1)
    name = forms.CharField(required=False)


@pytest.fixture
def book(monkeypatch):
    """An action for staff, declared for one test; returns the list of its calls."""
    calls: list[tuple] = []

    def book(user, data):
        calls.append((user, data))
        return {"booked": data["seats"]}

    monkeypatch.setitem(actions, "book", None)
    action("book", form=SeatsForm)(book)
    return calls


STAFF = User(username="staff", is_staff=True)


def test_an_action_gets_cleaned_data(book):
    """The form converts values, and drops those that it does not have."""
    answer = perform(STAFF, "book", {"seats": "3", "surplus": True})

    assert answer == {"booked": 3}
    assert book == [(STAFF, {"seats": 3, "name": ""})]


@pytest.mark.parametrize(
    "user",
    [AnonymousUser(), User(username="reader"), User(username="gone", is_staff=True, is_active=False)],
    ids=["nobody", "a reader", "deactivated staff"],
)
def test_an_action_is_for_staff_by_default(book, user):
    """The arguments of other users are not even validated."""
    with pytest.raises(ActionRefused) as refused:
        perform(user, "book", {})

    assert (refused.value.code, refused.value.fields) == (Code.FORBIDDEN, None)
    assert book == []


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({}, ["seats"]),
        ({"seats": 0}, ["seats"]),
        ({"seats": {"a": 1}}, ["seats"]),
        ({"seats": None}, ["seats"]),
    ],
)
def test_arguments_that_the_form_rejects_are_named(book, arguments, named):
    """With the form's errors, by field."""
    with pytest.raises(ActionRefused) as refused:
        perform(STAFF, "book", arguments)

    assert refused.value.code == Code.BAD_MESSAGE
    assert list(refused.value.fields) == named
    assert all(isinstance(word, str) for words in refused.value.fields.values() for word in words)
    assert book == []


@pytest.mark.parametrize("name", ["", "nothing", "x" * 10_000, "__class__"])
def test_an_unknown_action_is_refused(name):
    """The error is short, however long the name is."""
    with pytest.raises(ActionRefused) as refused:
        perform(STAFF, name, {})

    assert refused.value.code == Code.NOT_FOUND
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("text", ["hi", " kept as it is ", "größe ☃", "x" * 1000])
def test_echo_returns_the_text(text):
    """For every user: the simplest test of a connection in both directions."""
    assert perform(AnonymousUser(), "echo", {"text": text}) == {"text": text}


def declared(monkeypatch, permission) -> list[object]:
    """Declare an action with a permission; return the list of its calls."""
    calls: list[object] = []
    monkeypatch.setitem(actions, "lock", None)
    action("lock", permission=permission)(lambda user, data: calls.append(user))
    return calls


@pytest.mark.parametrize("holds", [True, False])
def test_a_permission_may_be_async(monkeypatch, holds):
    """A coroutine that nobody awaits would count as true, whatever it returns."""

    async def permission(user):
        return holds

    calls = declared(monkeypatch, permission)

    if holds:
        perform(STAFF, "lock", {})
    else:
        with pytest.raises(ActionRefused):
            perform(STAFF, "lock", {})
    assert calls == [STAFF] * holds


@pytest.mark.parametrize(
    "permission",
    [lambda user: user.has_perm, lambda user: (each for each in [False])],
    ids=["a method", "a generator"],
)
def test_a_permission_that_is_always_true_grants_nothing(monkeypatch, permission):
    """A forgotten pair of brackets, for example."""
    calls = declared(monkeypatch, permission)

    with pytest.raises(TypeError, match="the permission of action 'lock' must return True or False"):
        perform(STAFF, "lock", {})
    assert calls == []


def test_an_action_may_be_async(monkeypatch):
    """What it returns is the answer."""
    monkeypatch.setitem(actions, "count", None)

    @action("count")
    async def count(user, data):
        return {"count": 3}

    assert perform(STAFF, "count", {}) == {"count": 3}


def test_two_actions_of_one_name_are_refused(book):
    """Otherwise the one that is imported later would take the calls of the other."""

    def another(user, data):
        return None

    with pytest.raises(ValueError, match="two actions have the name 'book'; give one of them another"):
        action("book")(another)

    assert perform(STAFF, "book", {"seats": "3"}) == {"booked": 3}


def test_an_action_without_a_name_is_refused_with_words():
    decorator: Any = action
    with pytest.raises(TypeError, match="@action stands above a function without a name: write"):
        decorator(lambda user, data: None)
