"""Visitors: the users behind connections, read without changing their sessions.

Channels' own middleware ends a session whose hash it cannot verify, and ignores ``SECRET_KEY_FALLBACKS``: opening a
page would sign users out. This module only reads sessions, those of many visitors in one query.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

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

T = TypeVar("T")

logger = logging.getLogger("realtime.rights")

READ_AT_ONCE = 5_000
"""Maximum number of sessions or users that one query reads."""


class Login(NamedTuple):
    """A session's record of its user, as ``django.contrib.auth`` stores it."""

    user: str
    backend: str
    hash: str


class Visitor(NamedTuple):
    """The bearer of a session, or the user of a ticket issued without a session; with neither, an anonymous client."""

    session: str | None = None
    login: Login | None = None


ANONYMOUS = Visitor()


def load_users(visitors: Iterable[Visitor]) -> dict[Visitor, Any]:
    """Return the present user of each visitor, AnonymousUser for those without one."""
    distinct = set(visitors)
    by_session = _session_logins({visitor.session for visitor in distinct if visitor.session})
    logins = {visitor: visitor.login or by_session.get(visitor.session or "") for visitor in distinct}
    users = _users({login for login in logins.values() if login})
    anonymous = AnonymousUser()
    return {visitor: users.get(login, anonymous) if login else anonymous for visitor, login in logins.items()}


def load_user(visitor: Visitor) -> Any:
    return load_users([visitor])[visitor]


def login_for(user: Any) -> Login:
    """Return the login of a session in which this user, as ``authenticate`` returned it, had signed in."""
    return Login(str(user.pk), user.backend, user.get_session_auth_hash())


def login_of(session: Mapping[str, Any]) -> Login | None:
    """Return the login that a session holds, None if its bearer has not signed in."""
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
        for part in _in_parts(keys)
        for session in valid.filter(session_key__in=part)
    }


def _users(logins: Collection[Login]) -> dict[Login, Any]:
    """Return the users of the logins that are still valid: the user active, the password the same."""
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
    everyone = get_user_model()._default_manager
    found = {user.pk: user for part in _in_parts(parsed.values()) for user in everyone.filter(pk__in=part)}
    users = ((key, found.get(value)) for key, value in parsed.items())
    return {key: user for key, user in users if user is not None and backend.user_can_authenticate(user)}


def _each(keys: Iterable[str], read: Callable[[str], Any]) -> dict[str, Any]:
    """Return what ``read`` returns for each key; a key for which it fails is left out.

    Raises: DatabaseError, which concerns all keys.
    """
    found = {}
    for key in keys:
        try:
            found[key] = read(key)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("a session or user cannot be read; its visitor is anonymous meanwhile")
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


def _in_parts(values: Iterable[T]) -> Iterable[list[T]]:
    listed = list(values)
    return (listed[start : start + READ_AT_ONCE] for start in range(0, len(listed), READ_AT_ONCE))
