"""``manage.py restart_log``: positions of before no longer compare."""

from django.core.management import call_command

from tests.support.positions import position_now


def test_the_command_begins_a_new_epoch(log, quay, capsys):
    """And prints it."""
    before = position_now()

    call_command("restart_log")

    after = position_now()
    assert after.epoch != before.epoch
    assert f"epoch {after.epoch};" in capsys.readouterr().out
