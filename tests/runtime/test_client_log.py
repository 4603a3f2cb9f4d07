"""Log lines about clients."""

import logging

import pytest
from django.db import OperationalError

from realtime.runtime.client_log import ClientLog, client_name, one_line
from realtime.runtime.threads import Stopping


def test_a_line_begins_with_the_connection_or_the_client(lines):
    """The connection's name, if there is one."""
    ClientLog("10.0.0.7:9", "c12").info("open from %s", "10.0.0.7:9")
    ClientLog("10.0.0.7:9").warning("refused: %s", "no Origin")

    assert lines(logging.INFO) == ["c12 open from 10.0.0.7:9"]
    assert lines(logging.WARNING) == ["10.0.0.7:9 refused: no Origin"]


@pytest.mark.parametrize(
    "peer, name", [(("10.0.0.7", 9), "10.0.0.7:9"), (["::1", 9], "::1:9"), (None, "?"), ([], "?")]
)
def test_a_client_is_named_by_its_socket(peer, name):
    """A Unix socket has no address."""
    assert client_name(peer) == name


def test_lines_of_one_kind_have_one_message(lines, caplog):
    """Whatever connection they are about: the filter of floods counts by message."""
    for number in range(3):
        ClientLog("?", f"c{number}").info("message unsubscribe %r", f"topic {number}")

    assert {record.msg for record in caplog.records} == {"%s message unsubscribe %r"}


@pytest.mark.parametrize(
    "value, logged",
    [
        ("plain", "plain"), ("grün", "grün"), (12, "12"), (1.5, "1.5"),
        ("a\nERROR forged", "'a\\nERROR forged'"), ("\x1b[31m", "'\\x1b[31m'"), ("\u202e", "'\\u202e'"),
    ],
)  # fmt: skip
def test_no_value_breaks_or_forges_a_line(lines, value, logged):
    """Also not the client's own name."""
    assert str(one_line(value)) == logged

    ClientLog(str(value)).info("message %s", value)

    assert lines() == [f"{logged} message {logged}"]


@pytest.mark.parametrize(
    "error, has_traceback", [(ValueError("x"), True), (OperationalError("x"), False), (Stopping("x"), False)]
)
def test_a_failure_has_a_traceback_unless_the_database_or_the_process_is_away(lines, error, has_traceback):
    """Neither is a fault of the code, and both fail for every client."""
    ClientLog("?", "c1").failure("subscribe", error)

    (line,) = lines(logging.ERROR)
    assert line.startswith(f"c1 subscribe failed: {type(error).__name__}: x")
    assert line.endswith("Traceback") is has_traceback
