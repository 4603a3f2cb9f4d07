"""``manage.py realtime_asyncapi``; what it writes is tested in test_asyncapi.py, its options in test_contracts.py."""

import json

from django.core.management import call_command

from realtime.management.asyncapi import document


def test_it_writes_the_contract(capsys):
    """As JSON, for people too: indented, and with the letters that there are."""
    call_command("realtime_asyncapi")

    printed = capsys.readouterr().out
    assert json.loads(printed) == document()
    assert '\n  "info"' in printed
