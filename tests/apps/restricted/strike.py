"""Users with rights, and how each loses them: ``python -m tests.apps.restricted.strike (prepare|django|sql|close)``.

``prepare`` prints the session key and the topic of each user by name, as JSON; ``django`` and ``sql`` withdraw the
rights: by Django, whose signals announce it, or in SQL, where nothing does. ``close`` closes a public board to
everyone but staff, and writes into it in the same transaction.
"""

import json
import sys
from typing import Any

import django

SECRET = 3  # the demo's board for staff
PUBLIC = 2
KINDS = (
    "signed out", "expired", "password", "deactivated", "deleted", "demoted", "permission", "group", "of the group",
)  # fmt: skip


def prepare() -> dict[str, tuple[str, str]]:
    from django.contrib.auth.models import Group, Permission, User
    from django.test import Client

    permission = Permission.objects.get(codename="view_entry")
    made = {}
    for way in ("django", "sql"):
        group, other = (Group.objects.create(name=f"{name} {way}") for name in ("readers", "others"))
        for each in (group, other):
            each.permissions.add(permission)
        for kind in KINDS:
            user = User.objects.create_user(f"{kind} {way}", is_staff=kind == "demoted")
            if kind in ("group", "of the group"):
                user.groups.add(group if kind == "group" else other)
            elif kind != "demoted":
                user.user_permissions.add(permission)
            client = Client()
            client.force_login(user)
            topic = f"{'entries' if kind == 'demoted' else 'guarded'}.{SECRET}"
            made[user.username] = (client.session.session_key, topic)
    return made


def by_django() -> None:
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.models import Session
    from django.utils import timezone

    users = {kind: User.objects.get(username=f"{kind} django") for kind in KINDS}
    session_of = {
        session.get_decoded().get("_auth_user_id"): session for session in Session.objects.all()
    }  # fmt: skip
    session_of[str(users["signed out"].pk)].delete()
    expired = session_of[str(users["expired"].pk)]
    expired.expire_date = timezone.now()
    expired.save()
    users["password"].set_password("other words")
    users["password"].save()
    users["deactivated"].is_active = False
    users["deactivated"].save()
    users["deleted"].delete()
    users["demoted"].is_staff = False
    users["demoted"].save()
    users["permission"].user_permissions.clear()
    users["group"].groups.clear()
    Group.objects.get(name="others django").permissions.clear()


def by_sql() -> None:
    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session
    from django.db import connection

    keys = {kind: User.objects.get(username=f"{kind} sql").pk for kind in KINDS}
    sessions = {
        session.get_decoded().get("_auth_user_id"): session.session_key for session in Session.objects.all()
    }
    statements: list[tuple[str, Any]] = [
        ("DELETE FROM django_session WHERE session_key = %s", sessions[str(keys["signed out"])]),
        (
            "UPDATE django_session SET expire_date = '2020-01-01' WHERE session_key = %s",
            sessions[str(keys["expired"])],
        ),
        ("UPDATE auth_user SET password = 'x' WHERE id = %s", keys["password"]),
        ("UPDATE auth_user SET is_active = false WHERE id = %s", keys["deactivated"]),
        ("DELETE FROM auth_user_user_permissions WHERE user_id = %s", keys["deleted"]),
        ("DELETE FROM auth_user WHERE id = %s", keys["deleted"]),
        ("UPDATE auth_user SET is_staff = false WHERE id = %s", keys["demoted"]),
        ("DELETE FROM auth_user_user_permissions WHERE user_id = %s", keys["permission"]),
        ("DELETE FROM auth_user_groups WHERE user_id = %s", keys["group"]),
        (
            "DELETE FROM auth_group_permissions WHERE group_id = (SELECT id FROM auth_group WHERE name = %s)",
            "others sql",
        ),
    ]
    with connection.cursor() as cursor:
        for statement, parameter in statements:
            cursor.execute(statement, [parameter])


def close() -> None:
    from django.db import transaction

    from realtime.boards.models import Board, Entry

    with transaction.atomic():
        Entry.objects.create(board_id=PUBLIC, label="written with the closing")
        Board.objects.filter(pk=PUBLIC).update(is_public=False, title="written with the closing")


if __name__ == "__main__":
    django.setup()
    done = {"prepare": prepare, "django": by_django, "sql": by_sql, "close": close}[sys.argv[1]]()
    print(json.dumps(done))
