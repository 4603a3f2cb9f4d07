"""``manage.py realtime_types``; what it writes is tested in test_typescript.py, its options in test_contracts.py."""

from django.core.management import call_command

from realtime.management.typescript import declarations


def test_it_writes_the_contract(capsys):
    """With a first line that says how to renew it."""
    call_command("realtime_types")

    printed = capsys.readouterr().out
    assert printed == declarations()
    assert printed.startswith("// Made by `manage.py realtime_types`")
