"""``manage.py realtime_watch``: a topic in the terminal; tests/processes/test_commands.py has terminals and servers."""

import asyncio
import io
import json
import shutil
import sys
import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rich.console import Console

from realtime.client import Change
from realtime.management.commands import realtime_watch
from realtime.management.commands.realtime_watch import Command, _table

OBEYED = "\x1b]0;x\x07\x7f\x85\x9b31m\u2028\u2029\u202e\u2066"
"""Characters that a terminal obeys: control characters of both sets, line ends, changes of direction."""


def test_without_a_topic_the_topics_are_listed(log, quay, capsys):
    call_command("realtime_watch")

    assert capsys.readouterr().out.splitlines() == [
        "screenlist", f"entries.{quay.pk}", f"board.{quay.pk}", "boards", "staffboards",
    ]  # fmt: skip


def test_rows_and_changes_are_lines_of_json(log, quay, capsys, monkeypatch):
    """The rows that there are come first; the output is no terminal here."""
    rounds = iter([lambda: quay.entries.filter(label="Saltmere").delete(), log.sequence])

    def wait(seconds: float) -> None:
        next(rounds, stop)()

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)

    with pytest.raises(SystemExit):
        call_command("realtime_watch", f"entries.{quay.pk}")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["op"], (line["row"] or {}).get("label")) for line in lines] == [
        ("upsert", "Saltmere"), ("upsert", "Kelpstone"), ("delete", None),
    ]  # fmt: skip
    assert all(line["position"].startswith(log.state.epoch) for line in lines)


def test_the_option_once_ends_the_command_after_the_rows_even_if_there_are_none(log, quay, capsys):
    quay.entries.all().delete()
    log.sequence()

    call_command("realtime_watch", f"entries.{quay.pk}", once=True)

    assert capsys.readouterr().out == ""


def test_a_wrong_topic_names_those_there_are(log, quay):
    with pytest.raises(CommandError, match=rf"no topic 'entrys'.*there are: .*entries\.{quay.pk}, board"):
        call_command("realtime_watch", "entrys")


def test_the_state_says_when_nothing_publishes(log, quay, monkeypatch):
    """Changes that wait for longer than a moment."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    source = Command()._of_database(f"entries.{quay.pk}")
    assert next(source).state.startswith("live, at ")
    quay.entries.create(label="new")
    assert next(source).state.startswith("live")

    monkeypatch.setattr(realtime_watch, "STATUS_SECONDS", -1)

    assert next(source).state.startswith("changes wait: nothing publishes")


@pytest.mark.parametrize("number, more", [(3, ""), (200, "; 183 more")])
def test_the_table_fits_the_terminal(monkeypatch, number, more):
    """The rows that it has no room for are counted; markup in values is shown as it is."""
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: type("Size", (), {"lines": 24}))
    rows = {
        str(key): {"name": f"[red]{key}[/red] is\n{'long ' * 50}", "stock": None} for key in range(number)
    }
    output = io.StringIO()
    console = Console(width=100, file=output)

    console.print(_table("products.7", rows, {"1"}, "live, at e.1"))

    text = output.getvalue()
    assert "products.7" in text
    assert "[red]1[/red]" in text
    assert f"{number} rows{more} · live, at e.1" in text
    assert len(text.splitlines()) <= 24


def test_what_is_missing_is_named(monkeypatch, log, quay):
    """The package for the table, and that for servers."""
    for name in ("rich.live", "realtime.client.follower"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("realtime.client.follow")
    with pytest.raises(CommandError, match=r"django-tidemark\[client\]"):
        call_command("realtime_watch", "boards", url="http://127.0.0.1:1/")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(CommandError, match=r"django-tidemark\[cli\]"):
        call_command("realtime_watch", "boards")


@pytest.mark.parametrize("url", ["ftp://h/", "http://"])
def test_a_text_that_is_not_an_address_is_refused(url):
    with pytest.raises(CommandError, match="write https"):
        call_command("realtime_watch", "boards", url=url)


def test_nothing_in_the_table_is_obeyed_by_the_terminal():
    """Values, keys, names of fields and of the topic, and what a server has said."""
    output = io.StringIO()

    Console(width=4000, file=output).print(
        _table(f"t{OBEYED}", {f"k{OBEYED}": {f"n{OBEYED}": f"v{OBEYED}"}}, set(), f"s{OBEYED}")
    )

    shown = output.getvalue()
    assert not (set(OBEYED) - set("]0;x31m")) & set(shown)
    assert all(f"{name}{ascii(OBEYED)[1:-1][:20]}" in shown for name in "tkns")


def test_nothing_in_the_lines_of_json_is_obeyed_by_the_terminal(log, quay, capsys):
    quay.entries.update(label=f"v{OBEYED}")

    call_command("realtime_watch", f"entries.{quay.pk}", once=True)

    shown = capsys.readouterr().out
    assert not (set(OBEYED) - set("]0;x31m")) & set(shown)
    assert {json.loads(line)["row"]["label"] for line in shown.splitlines()} == {f"v{OBEYED}"}


def test_a_handshake_may_take_longer_than_the_state_is_drawn(monkeypatch):
    """The state is drawn in between; the connection that is being made goes on, once."""
    begun: list[str] = []

    class Slow:
        status, trouble, position = "connecting", "", None
        rows: dict[str, Any] = {}

        async def __anext__(self) -> Change:
            begun.append("connect")
            await drawn.wait()
            return Change("upsert", "1", {"name": "x"}, None, "e.1")

        def take(self) -> list[Change]:
            return []

        async def aclose(self) -> None:
            begun.append("closed")

    drawn = asyncio.Event()
    monkeypatch.setattr(realtime_watch, "STATUS_SECONDS", 0)
    monkeypatch.setattr("realtime.client.follow", lambda *args, **options: Slow())
    source: Any = Command()._of_server("t", {"url": "http://127.0.0.1:1/", "origin": None, "ticket": None})

    assert [next(source).changes for _ in range(5)] == [[]] * 5
    drawn.set()
    while not (changes := next(source).changes):
        pass

    assert [change.key for change in changes] == ["1"]
    next(source)
    source.close()
    assert begun == ["connect", "connect", "closed"]
