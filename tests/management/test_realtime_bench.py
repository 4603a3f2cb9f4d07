"""``manage.py realtime_bench``: its bounds, and its report; tests/processes/test_commands.py runs it."""

import pytest
from django.core.management import CommandError, call_command

from realtime.management.commands.realtime_bench import _lines, _percentile, _Run, _source_address

URL = "http://127.0.0.1:1/"


@pytest.mark.parametrize(
    "options, words",
    [
        ({"followers": 0}, "--followers is 0"),
        ({"followers": 1_000_000}, "at most"),
        ({"rate": 1e6}, "200 at most"),
        ({"rate": -1.0}, "above 0"),
        ({"seconds": float("nan")}, "--seconds is nan"),
        ({"write": "UPDATE t SET a = %s"}, "needs --topic"),
        ({"write": "UPDATE t SET a = 1", "topic": "boards"}, "needs one %s"),
    ],
)
def test_options_beyond_the_bounds_are_refused(options, words):
    """Before anything is connected: a mistyped number must not exhaust the machine."""
    with pytest.raises(CommandError, match=words):
        call_command("realtime_bench", URL, **options)


def test_a_wrong_address_is_refused():
    with pytest.raises(CommandError, match="write https"):
        call_command("realtime_bench", "ftp://h/")


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(CommandError, match=f"no connection to {URL}"):
        call_command("realtime_bench", URL, followers=2)


def test_connections_of_loopback_come_from_several_addresses():
    """A server limits the connections of one address; another machine is asked from the only address there is."""
    assert _source_address("ws://127.0.0.1:8000/realtime/ws/", 0) == "127.0.0.1"
    assert _source_address("ws://localhost:8000/realtime/ws/", 300) == "127.0.0.3"
    assert _source_address("wss://example.org/realtime/ws/", 300) is None
    assert _source_address("ws://192.0.2.1/realtime/ws/", 300) is None


@pytest.mark.parametrize("part, value", [(50, 50), (90, 90), (99, 99), (100, 100)])
def test_percentiles(part, value):
    """The smallest value that is not exceeded by the given number of values in a hundred."""
    assert _percentile(list(range(1, 101)), part) == value
    assert _percentile([7], part) == 7


def test_the_report_says_when_its_figures_are_those_of_the_program():
    """The clients then use most of a core, so that their own work is part of the latencies."""
    run = _Run(latencies=[0.001, 0.002], expected=3, connected=2, lost=1)

    quiet, busy = (_lines(run, {"write": None}, 2.0, own, 0.5) for own in (0.2, 1.9))

    assert quiet == [
        "2 clients, 1 lost, 2 of 3 heartbeats asked for received in 2.0 s",
        "latency in ms: p50 1.0, p90 2.0, p99 2.0, max 2.0",
        "CPU of the server: 25 % of a core, 250000 µs a message",
        "CPU of this program: 10 % of a core",
    ]
    assert "this program was busy" in busy[-1]
