"""The engine's errors: each has a sentence, a code for the client, and its values as attributes."""

import pickle

import pytest

from realtime.engine import errors
from realtime.engine.codes import Code
from realtime.engine.errors import (
    BadMessage,
    BadPosition,
    FeedOff,
    Forbidden,
    Gap,
    NoSuchFormat,
    RealtimeError,
    UnknownTopic,
    Unreadable,
    Unrecoverable,
)

TABLE = [
    (BadMessage("not JSON"), Code.BAD_MESSAGE, "bad message: not JSON; see docs/protocol.md"),
    (
        BadPosition("x" * 1000),
        Code.BAD_MESSAGE,
        f"bad message: position '{'x' * 80}' is not <epoch>.<integer>; see docs/protocol.md",
    ),
    (
        UnknownTopic("y" * 1000),
        Code.NOT_FOUND,
        f"no topic '{'y' * 100}'; a topic is a feed's name, with a key where the feed has one",
    ),
    (
        FeedOff("z" * 1000),
        Code.INTERNAL,
        f"the feed '{'z' * 100}' is off; `manage.py check` and `manage.py doctor` show the reason",
    ),
    (
        NoSuchFormat("entries.7", "html"),
        Code.NOT_FOUND,
        "'entries.7' has no html: its feed has no row template; ask for the format rows",
    ),
    (
        Forbidden("entries.7"),
        Code.FORBIDDEN,
        "you may not use 'entries.7'; sign in with an account that may, and reload the page",
    ),
    (
        Unreadable("entries.7"),
        Code.INTERNAL,
        "entries.7 cannot be read at present; the server tries again and sends it then",
    ),
    (
        Unrecoverable(3, 5),
        Code.INTERNAL,
        "cannot resume from 3; the kept changes start at 5; send a snapshot",
    ),
    (Gap(4, 6), Code.INTERNAL, "changes after 6 do not follow 4; read the log from 4"),
]


@pytest.mark.parametrize("error, code, sentence", TABLE, ids=lambda value: type(value).__name__)
def test_an_error_says_what_happened_and_what_to_do(error, code, sentence):
    """Values that a client sent are cut, because they may be of any length."""
    assert (error.code, str(error)) == (code, sentence)


@pytest.mark.parametrize(
    "error",
    [*(error for error, _, _ in TABLE), UnknownTopic("nothing", "ask for another one")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_stays_the_same_when_it_is_sent_to_another_process(error):
    """By tests that run in several processes, for example: it is made anew from its arguments."""
    received = pickle.loads(pickle.dumps(error))

    assert (type(received), str(received), vars(received)) == (type(error), str(error), vars(error))


def test_values_are_attributes():
    """Code that handles an error need not parse its sentence."""
    gap, unrecoverable = Gap(4, 6), Unrecoverable(3, 5)

    assert (gap.position, gap.after) == (4, 6)
    assert (unrecoverable.asked, unrecoverable.oldest) == (3, 5)
    assert UnknownTopic("nothing").topic == "nothing"
    assert BadPosition("5").text == "5"


def test_the_table_has_every_error():
    """A new error needs its line here."""
    defined = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, RealtimeError) and value is not RealtimeError
    }

    assert {type(error) for error, _, _ in TABLE} == defined
