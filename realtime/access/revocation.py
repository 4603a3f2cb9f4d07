"""Revocation: notifies all processes at once that the rights of a user may have changed.

For speed, not for safety: rights are checked again at a fixed interval in any case (``delivery/rights.py``), which also
finds changes made in SQL. An entry in the log makes the usual changes, by Django, effective sooner.
"""

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


def connect() -> None:
    """Connect the signals of what changes rights: users, their groups and permissions, their sessions."""
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
    """Make every process check all rights again, now."""
    OutboxRow.objects.create(source=SOURCE, image=None)


def _user_saved(update_fields: frozenset[str] | None = None, created: bool = False, **kwargs: Any) -> None:
    # A new user has no connections yet; each sign-in writes its time.
    if not created and update_fields != frozenset({"last_login"}):
        _changed(**kwargs)


def _session_deleted(instance: Any, **kwargs: Any) -> None:
    # Only a session with a login matters: signing out deletes one, signing in may delete one without. Expired sessions
    # are deleted by the thousand.
    if instance.expire_date > timezone.now() and login_of(instance.get_decoded()):
        _changed(**kwargs)


def _changed(using: str, **kwargs: Any) -> None:
    pending = connections[using].run_on_commit
    if not (pending and pending[-1][1] is announce):  # one for each transaction is enough
        # After the writer's transaction, and robust: a failure here must not make the write fail.
        transaction.on_commit(announce, using=using, robust=True)
