"""The feed of the page, and which users may operate."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Permission

from realtime.operators import reports
from realtime.operators.live import may_operate
from realtime.publishing.positions import read_topic
from tests.operators.test_reports import report

User = get_user_model()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("flags", "has_permission", "may"),
    [
        ({"is_staff": True}, True, True),
        ({"is_superuser": True, "is_staff": True}, False, True),
        ({"is_staff": True}, False, False),
        ({}, True, False),
        ({"is_superuser": True}, False, False),
        ({"is_staff": True, "is_active": False}, True, False),
    ],
    ids=["permitted", "superuser", "staff", "no staff", "no staff, superuser", "inactive"],
)
def test_staff_with_the_permission_may_operate(flags, has_permission, may):
    user = User.objects.create_user("somebody", **flags)
    if has_permission:
        user.user_permissions.add(Permission.objects.get(codename="operate"))

    assert may_operate(User.objects.get(pk=user.pk)) is may
    assert not may_operate(AnonymousUser())


def test_a_row_shows_that_there_is_a_report_and_nothing_of_it(feed, log):
    """The rows that subscribers are sent have no address and no user."""
    reports.store("a:1", report(addresses={"192.0.2.77": 1}, users={"4711": 1}))

    assert list(log.sequenced()) == [feed.name]
    (row,) = read_topic(feed.name).rows
    assert "192.0.2.77" not in repr(row)
    assert "4711" not in repr(row)
