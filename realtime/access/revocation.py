"""Revocation: notifies all processes at once that the rights of a user may have changed.

It makes lost rights end sooner and is not needed for safety: rights are checked again at a fixed interval in any case
(``delivery/rights.py``), which also finds changes made in SQL. The entry in the log names the users where they are
known, so that the rights of other users need not be checked.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connections, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.utils import timezone
from django.utils.module_loading import import_string

from ..models import OutboxRow
from .visitors import login_of

SOURCE = "realtime.rights"
MAX_USERS = 100
"""How many users an announcement names at most; if there are more, the rights of all users are checked."""


def connect() -> None:
    """Connect the signals of models that decide on rights: users, their groups and permissions, their sessions."""
    user = get_user_model()
    post_save.connect(_user_saved, sender=user)
    post_delete.connect(_user_changed, sender=user)
    for links in (
        getattr(user, "groups", None), getattr(user, "user_permissions", None), Group.permissions,
    ):  # fmt: skip
        if links is not None:
            everyone = links is Group.permissions
            m2m_changed.connect(_changed if everyone else _links_changed, sender=links.through)
    for source in (Group, Permission):
        post_delete.connect(_changed, sender=source)
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    if hasattr(store, "get_model_class"):
        post_delete.connect(_session_deleted, sender=store.get_model_class())


def announce(users: Collection[str] | None = None) -> None:
    """Make every process check rights again now: those of all users, or of the users with these primary keys."""
    OutboxRow.objects.create(source=SOURCE, image=None if users is None else {"users": sorted(users)})


def payload(images: Iterable[dict[str, Any] | None]) -> str:
    """Return the payload of one entry for announcements, given as their outbox rows' images."""
    users: set[str] = set()
    for image in images:
        named = None if image is None else image.get("users")
        if not isinstance(named, list) or len(users := users | set(map(str, named))) > MAX_USERS:
            return ""
    return json.dumps(sorted(users))


def users_of(payload: str) -> set[str] | None:
    """Return the primary keys of the users that an entry names; None for all users."""
    try:
        named = json.loads(payload)
    except ValueError:
        return None
    return set(map(str, named)) if isinstance(named, list) else None


class _Announcement:
    """The announcement that is written when a transaction commits."""

    def __init__(self) -> None:
        self._users: set[str] | None = set()

    def add(self, users: Collection[str] | None) -> None:
        if self._users is not None:
            self._users = None if users is None else self._users | set(users)

    def make(self) -> None:
        is_named = self._users is not None and len(self._users) <= MAX_USERS
        announce(self._users if is_named else None)


def _user_saved(
    instance: Any, update_fields: frozenset[str] | None = None, created: bool = False, **kwargs: Any
) -> None:
    # A new user has no connections yet; each sign-in writes its time.
    if not created and update_fields != frozenset({"last_login"}):
        _user_changed(instance, **kwargs)


def _user_changed(instance: Any, **kwargs: Any) -> None:
    _changed(users={str(instance.pk)}, **kwargs)


def _links_changed(instance: Any, reverse: bool, pk_set: set[Any] | None, **kwargs: Any) -> None:
    """Announce changed groups or permissions of users; ``reverse``: the users of a group or permission were set."""
    keys = pk_set if reverse else {instance.pk}
    _changed(users=None if keys is None else set(map(str, keys)), **kwargs)


def _session_deleted(instance: Any, **kwargs: Any) -> None:
    # Only a session with a login matters: signing out deletes one, signing in may delete one without. Expired sessions
    # are deleted by the thousand.
    if instance.expire_date > timezone.now() and (login := login_of(instance.get_decoded())):
        _changed(users={login.user}, **kwargs)


def _changed(using: str, users: Collection[str] | None = None, **kwargs: Any) -> None:
    """Announce that the rights of these users have changed, by default those of all users."""
    pending = connections[using].run_on_commit
    latest = getattr(pending[-1][1], "__self__", None) if pending else None
    if isinstance(latest, _Announcement):  # one for each transaction is enough
        latest.add(users)
        return
    announcement = _Announcement()
    announcement.add(users)
    # After the writer's transaction, and robust: a failure of the announcement must not make the write fail.
    transaction.on_commit(announcement.make, using=using, robust=True)
