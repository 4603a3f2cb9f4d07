"""``manage.py restart_log``: positions of before no longer compare."""

from django.core.management import call_command

from realtime.publishing import positions


def test_the_command_begins_a_new_epoch(log, quay, capsys):
    """And prints it."""
    before = positions.position_now()

    call_command("restart_log")

    after = positions.position_now()
    assert after.epoch != before.epoch
    assert f"epoch {after.epoch};" in capsys.readouterr().out
