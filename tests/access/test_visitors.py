"""Visitors: the present users of sessions and tickets, and that reading changes nothing."""

from itertools import pairwise

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session

from realtime.access.visitors import ANONYMOUS, Login, Visitor, load_user, load_users


@pytest.fixture
def user(transactional_db):
    return get_user_model().objects.create_user("reader", password="words")


@pytest.fixture
def key(user, sign_in) -> str:
    return sign_in(user)


def test_a_session_identifies_its_user(user, key):
    """The user who signed in over HTTP."""
    assert load_user(Visitor(key)) == user


@pytest.mark.parametrize("key", [None, "", "x", "x" * 32, "x" * 5000, "\x00", "' OR 1=1 --", "ünïcödé"])
def test_an_unknown_session_key_is_anonymous(transactional_db, key):
    """No error, and no row is made for it."""
    assert load_user(Visitor(key)) == AnonymousUser()
    assert not Session.objects.exists()


@pytest.mark.parametrize("is_stored", [False, True], ids=["invented", "of a visitor"])
def test_a_session_that_another_has_planted_is_not_signed_in(user, client, is_stored):
    """A connection that the attacker holds open with it does not become the user's at sign-in: the key changes."""
    planted = SessionStore(None if is_stored else "planted0123456789abcdefghijklmno")
    if is_stored:
        planted["seen"] = True
        planted.save()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = planted.session_key

    client.force_login(user)

    signed_in = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    assert signed_in != planted.session_key
    assert load_user(Visitor(signed_in)) == user
    assert load_user(Visitor(planted.session_key)) == AnonymousUser()


def test_a_deactivated_user_is_anonymous(user, key):
    """At once."""
    get_user_model().objects.update(is_active=False)

    assert load_user(Visitor(key)) == AnonymousUser()


def test_a_deleted_user_is_anonymous(user, key):
    """The session outlives its user."""
    get_user_model().objects.all().delete()

    assert load_user(Visitor(key)) == AnonymousUser()


def test_a_new_password_ends_old_sessions(user, key):
    """As for pages."""
    user.set_password("other words")
    user.save()

    assert load_user(Visitor(key)) == AnonymousUser()


def test_a_key_is_exchanged_in_the_documented_rounds_without_signing_anyone_out(user, client, settings):
    """Processes of two neighbouring states run side by side, and Django renews a session by the key of its process."""
    states = [("old key", []), ("old key", ["new key"]), ("new key", ["old key"])]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = states[0]
    client.force_login(user)

    for before, after in pairwise(states):
        for settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS in [before, after, before, after]:
            client.get("/")
            assert load_user(Visitor(client.session.session_key)) == user


def test_an_expired_session_is_anonymous(user, key):
    """Its row may still exist."""
    Session.objects.update(expire_date="2020-01-01T00:00:00Z")

    assert load_user(Visitor(key)) == AnonymousUser()


def test_a_login_by_a_removed_backend_is_anonymous(user, key, settings):
    """Also if its class can still be imported."""
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.AllowAllUsersModelBackend"]

    assert load_user(Visitor(key)) == AnonymousUser()


def test_a_new_secret_key_keeps_users_signed_in(user, key, settings):
    """While the old one is among the fallbacks; and reading changes nothing in the session."""
    before = list(Session.objects.values())
    settings.SECRET_KEY_FALLBACKS = [django_settings.SECRET_KEY]
    settings.SECRET_KEY = "a new one"

    assert load_user(Visitor(key)) == user
    assert list(Session.objects.values()) == before


def test_a_session_of_a_removed_secret_key_is_anonymous(user, key, settings):
    """But the session is not changed: if the key is restored, it is valid again."""
    before = list(Session.objects.values())
    settings.SECRET_KEY = "a new one"

    assert load_user(Visitor(key)) == AnonymousUser()
    assert list(Session.objects.values()) == before


@pytest.mark.parametrize(
    "engine",
    ["django.contrib.sessions.backends.cached_db", "django.contrib.sessions.backends.signed_cookies"],
)
def test_other_session_engines_are_read_too(user, sign_in, settings, engine):
    """Whatever engine the project uses."""
    settings.SESSION_ENGINE = engine

    assert load_user(Visitor(sign_in(user))) == user


def test_many_sessions_are_two_queries(transactional_db, sign_in, django_assert_num_queries):
    """One for all sessions and one for all users, some of whom are deactivated or deleted."""
    users = [get_user_model().objects.create_user(f"reader {number}") for number in range(20)]
    keys = [sign_in(user) for user in users for _ in range(2)]
    get_user_model().objects.filter(pk=users[0].pk).update(is_active=False)

    with django_assert_num_queries(2):
        found = load_users([ANONYMOUS, Visitor("x" * 32), *map(Visitor, keys)])

    assert [found[Visitor(key)] for key in keys[2::2]] == users[1:]
    assert found[Visitor(keys[0])] == found[ANONYMOUS] == found[Visitor("x" * 32)] == AnonymousUser()


def test_an_anonymous_visitor_costs_no_query(transactional_db, django_assert_num_queries):
    """Most viewers are anonymous."""
    with django_assert_num_queries(0):
        assert load_users([ANONYMOUS]) == {ANONYMOUS: AnonymousUser()}


@pytest.mark.parametrize("key", ["x", "", "\x00"])
def test_a_login_of_no_user_is_anonymous(transactional_db, key):
    """As a session of that user would be."""
    visitor = Visitor(login=Login(key, "django.contrib.auth.backends.ModelBackend", ""))

    assert load_user(visitor) == AnonymousUser()


class AwayBackend(ModelBackend):
    """A backend whose directory does not answer."""

    def get_user(self, user_id):
        raise ConnectionError("the directory is away")


def test_a_backend_that_fails_makes_only_its_own_users_anonymous(user, key, settings, caplog):
    """Users of other backends keep their rights, and lose them when they are taken away."""
    path = f"{__name__}.AwayBackend"
    settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, path]
    theirs = Visitor(login=Login(str(user.pk), path, user.get_session_auth_hash()))

    found = load_users([theirs, Visitor(key)])

    assert found == {theirs: AnonymousUser(), Visitor(key): user}
