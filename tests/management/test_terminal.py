"""How commands for people at a terminal end."""

import importlib

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import OperationalError

from realtime.engine.errors import UnknownTopic
from realtime.management.terminal import TerminalCommand

OLDER = ["publish", "broadcast", "restart_log", "doctor"]


class Failing(TerminalCommand):
    """A command that ends with an error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def handle(self, *args: object, **options: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error, words",
    [
        (UnknownTopic("x"), "no topic 'x'"),
        (
            OperationalError("no such table: realtime_logentry\nLINE 1"),
            "^database: no such table: realtime_logentry; ",
        ),
    ],
    ids=["engine", "database"],
)
def test_an_error_is_one_sentence_that_says_what_to_do(error, words):
    """Without a traceback, and without the lines in which a database shows the statement."""
    with pytest.raises(CommandError, match=words) as raised:
        call_command(Failing(error))
    assert "\n" not in str(raised.value)


def test_ctrl_c_is_no_error():
    """The exit status is the usual one."""
    with pytest.raises(SystemExit) as ended:
        call_command(Failing(KeyboardInterrupt()))
    assert ended.value.code == 130


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        call_command(Failing(ZeroDivisionError()))


@pytest.mark.parametrize("name", OLDER)
def test_the_older_names_of_commands_work(name):
    """They are the same commands."""
    older = importlib.import_module(f"realtime.management.commands.{name}").Command

    assert get_commands()[name] == get_commands()[f"realtime_{name}"] == "realtime"
    assert type(load_command_class("realtime", f"realtime_{name}")) is older


def test_every_command_has_the_prefix():
    """Commands of other apps have names like publish and doctor, too; dumpdata is Django's, with an option more."""
    own = {name for name, app in get_commands().items() if app == "realtime"}

    assert {name for name in own if not name.startswith("realtime_")} == {*OLDER, "dumpdata"}
    assert all(load_command_class("realtime", name).help for name in own)
