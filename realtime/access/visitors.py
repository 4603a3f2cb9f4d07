"""Visitors: who is at the other end of a connection, read without changing anything.

Channels' own middleware ends a session whose hash it cannot verify, and knows no ``SECRET_KEY_FALLBACKS``:
opening a page would sign people out. Here sessions are only read, and those of many visitors in one query.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.core.exceptions import ValidationError
from django.db import Error as DatabaseError
from django.utils import timezone
from django.utils.crypto import constant_time_compare

logger = logging.getLogger("realtime.rights")

READ_AT_ONCE = 5_000
"""How many sessions or users one query asks for."""


class Login(NamedTuple):
    """What a session says of its user, as ``django.contrib.auth`` stores it."""

    user: str
    backend: str
    hash: str


class Visitor(NamedTuple):
    """The bearer of a session, or a user who came by a ticket without one; neither: nobody."""

    session: str | None = None
    login: Login | None = None


NOBODY = Visitor()


def load_users(visitors: Iterable[Visitor]) -> dict[Visitor, Any]:
    """Return the user of each visitor as of now, AnonymousUser for who has none."""
    asked = set(visitors)
    of_sessions = _session_logins({visitor.session for visitor in asked if visitor.session})
    logins = {visitor: visitor.login or of_sessions.get(visitor.session or "") for visitor in asked}
    users = _users({login for login in logins.values() if login})
    nobody = AnonymousUser()
    return {visitor: users.get(login, nobody) if login else nobody for visitor, login in logins.items()}


def load_user(visitor: Visitor) -> Any:
    return load_users([visitor])[visitor]


def login_for(user: Any) -> Login:
    """Return what a session would hold after this user, whom ``authenticate`` has returned, had signed in."""
    return Login(str(user.pk), user.backend, user.get_session_auth_hash())


def login_of(session: Mapping[str, Any]) -> Login | None:
    """Return the login that a session holds."""
    if SESSION_KEY not in session:
        return None
    names = (SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY)
    return Login(*(str(session.get(name, "")) for name in names))


def _session_logins(keys: Collection[str]) -> dict[str, Login]:
    logins = ((key, login_of(session)) for key, session in _sessions(keys).items())
    return {key: login for key, login in logins if login is not None}


def _sessions(keys: Collection[str]) -> dict[str, Mapping[str, Any]]:
    store = import_module(settings.SESSION_ENGINE).SessionStore
    if store.load is not DatabaseStore.load:
        return _each(keys, lambda key: store(key).load())
    valid = store.get_model_class()._default_manager.filter(expire_date__gt=timezone.now())
    return {
        session.session_key: session.get_decoded()
        for some in _in_parts(keys)
        for session in valid.filter(session_key__in=some)
    }


def _users(logins: Collection[Login]) -> dict[Login, Any]:
    """Return the users of those logins that still hold: active, with the password they signed in with."""
    by_backend: dict[str, dict[str, Any]] = defaultdict(dict)
    for login in logins:
        if login.backend in settings.AUTHENTICATION_BACKENDS:
            by_backend[login.backend][login.user] = None
    for path, users in by_backend.items():
        users |= _users_of(load_backend(path), users)
    found = ((login, by_backend.get(login.backend, {}).get(login.user)) for login in logins)
    return {login: user for login, user in found if user is not None and _is_hash_valid(user, login.hash)}


def _users_of(backend: Any, keys: Iterable[str]) -> dict[str, Any]:
    parsed = {key: value for key in keys if (value := _primary_key(key)) is not None}
    if type(backend).get_user is not ModelBackend.get_user:
        return _each(parsed, lambda key: backend.get_user(parsed[key]))
    everybody = get_user_model()._default_manager
    found = {user.pk: user for some in _in_parts(parsed.values()) for user in everybody.filter(pk__in=some)}
    users = ((key, found.get(value)) for key, value in parsed.items())
    return {key: user for key, user in users if user is not None and backend.user_can_authenticate(user)}


def _each(keys: Iterable[str], read: Callable[[str], Any]) -> dict[str, Any]:
    """Return what is read for each key; one that cannot be read is nobody's, and spoils nothing for the others.

    Raises: DatabaseError, which is not about any of them.
    """
    found = {}
    for key in keys:
        try:
            found[key] = read(key)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("a session or user cannot be read; it counts as nobody meanwhile")
    return found


def _primary_key(text: str) -> Any:
    try:
        return get_user_model()._meta.pk.to_python(text)
    except ValidationError:
        return None


def _is_hash_valid(user: Any, session_hash: str) -> bool:
    if not hasattr(user, "get_session_auth_hash"):
        return True
    valid = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(session_hash, candidate) for candidate in valid)


def _in_parts(values: Iterable[Any]) -> Iterable[list[Any]]:
    listed = list(values)
    return (listed[start : start + READ_AT_ONCE] for start in range(0, len(listed), READ_AT_ONCE))
