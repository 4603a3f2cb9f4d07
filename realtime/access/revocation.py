"""Revocation: telling all processes at once that somebody's rights may have changed.

Economy, not safety: rights are asked again at a fixed rhythm all the same (``rights.py``), which is what finds a change
made in SQL. This makes the usual ones, by Django, felt sooner: through the log, like everything else.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connections, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.utils import timezone
from django.utils.module_loading import import_string

from ..conf import get_conf
from ..models import OutboxRow
from .visitors import login_of

SOURCE = "realtime.rights"


def connect() -> None:
    """Listen for what changes the rights of users: themselves, their groups and permissions, their sessions."""
    user = get_user_model()
    post_save.connect(_user_saved, sender=user)
    post_delete.connect(_changed, sender=user)
    for links in (
        getattr(user, "groups", None), getattr(user, "user_permissions", None), Group.permissions,
    ):  # fmt: skip
        if links is not None:
            m2m_changed.connect(_changed, sender=links.through)
    for source in (Group, Permission):
        post_delete.connect(_changed, sender=source)
    store = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    if hasattr(store, "get_model_class"):
        post_delete.connect(_session_deleted, sender=store.get_model_class())


def announce() -> None:
    """Have every process ask all rights again, now."""
    OutboxRow.objects.using(get_conf().database).create(source=SOURCE, image=None)


def _user_saved(update_fields: frozenset[str] | None = None, created: bool = False, **of_signal: Any) -> None:
    # A new user has no connections yet; each sign-in writes its time.
    if not created and update_fields != {"last_login"}:
        _changed(**of_signal)


def _session_deleted(instance: Any, **of_signal: Any) -> None:
    # Signing out deletes a session that holds a login; signing in may delete one that holds none, and those that have
    # expired are swept up by the thousand.
    if instance.expire_date > timezone.now() and login_of(instance.get_decoded()):
        _changed(**of_signal)


def _changed(using: str, **of_signal: Any) -> None:
    pending = connections[using].run_on_commit
    if not (pending and pending[-1][1] is announce):  # one a transaction is enough
        # Not in the writer's transaction: nothing of ours may make that fail.
        transaction.on_commit(announce, using=using, robust=True)
