"""The log: lines that cannot be forged, a limited number of each kind, and one per series of failures."""

import logging
import sqlite3
import sys

import psycopg
import pytest
from django.db import IntegrityError, OperationalError

from realtime import log_filters as logs
from realtime.log_filters import ClientsFaults, DatabaseFaults, FewOfAKind, FirstOfASeries, Lines, printable


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """The current time, which a test advances."""
    now = [1000.0]
    monkeypatch.setattr("realtime.log_filters.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def heard(request, clock) -> tuple[logging.Logger, list[logging.LogRecord]]:
    """A logger with a filter, ``FirstOfASeries`` unless a test names another, and the records that pass it."""
    passed: list[logging.LogRecord] = []
    logger = logging.Logger("of.the.layer")
    logger.addFilter(getattr(request, "param", FirstOfASeries)())
    handler = logging.Handler()
    vars(handler)["emit"] = passed.append
    logger.addHandler(handler)
    return logger, passed


def fail(logger: logging.Logger, error: Exception) -> None:
    try:
        raise error
    except Exception:
        logger.exception("Unexpected exception in %s", "receive task")


def test_a_failure_is_one_line_without_a_traceback(heard):
    """The line contains the error."""
    logger, passed = heard

    fail(logger, ConnectionError("refused"))

    line = logging.Formatter("{message}", style="{").format(passed[0])
    assert line == "Unexpected exception in receive task: ConnectionError: refused"


def test_only_the_first_of_a_series_passes(heard, clock):
    """However long the series is; after a pause a new one begins."""
    logger, passed = heard

    for _ in range(100):
        fail(logger, ConnectionError("refused"))
        clock[0] += 1
    assert len(passed) == 1

    clock[0] += logs.SERIES_ENDS_SECONDS
    fail(logger, ConnectionError("refused"))
    assert len(passed) == 2


def test_other_messages_and_other_errors_are_series_of_their_own(heard):
    """Other arguments are not."""
    logger, passed = heard

    fail(logger, ConnectionError("refused"))
    fail(logger, ValueError("never seen"))
    for number in range(3):
        logger.error("%d entries are read from the log", number)

    assert [record.getMessage() for record in passed] == [
        "Unexpected exception in receive task: ConnectionError: refused",
        "Unexpected exception in receive task: ValueError: never seen",
        "0 entries are read from the log",
    ]


# ---------------------------------------------------------------- few of a kind

few = pytest.mark.parametrize("heard", [FewOfAKind], indirect=True, ids=[""])


@few
def test_a_flood_is_a_hundred_lines_and_then_a_few_with_the_number_of_the_others(heard, clock):
    """Values sent by clients do not make other kinds."""
    logger, passed = heard

    for number in range(1000):
        logger.warning("refused %s: %s", f"10.0.0.{number}", f"host {number!r}")
    assert len(passed) == logs.BURST

    clock[0] += 1 / logs.PER_SECOND
    for number in range(1000):
        logger.warning("refused %s: %s", f"10.0.1.{number}", f"host {number!r}")
    assert len(passed) == logs.BURST + 1
    assert passed[-1].getMessage() == "(… 900 more like this) refused 10.0.1.0: host 0"


@few
def test_a_flood_that_goes_on_is_five_lines_a_second(heard, clock):
    """However its records are distributed over time."""
    logger, passed = heard

    for _ in range(100 * 64 + 1):
        logger.warning("refused %s", "it")
        clock[0] += 1 / 64

    assert len(passed) == logs.BURST + 100 * logs.PER_SECOND


@few
def test_after_a_pause_all_pass_again_and_the_number_of_the_others_is_logged_once(heard, clock):
    """A flood that is over has no further effect."""
    logger, passed = heard
    for _ in range(logs.BURST + 1):
        logger.warning("refused %s", "it")
    clock[0] += 3600

    for _ in range(2 * logs.BURST):
        logger.warning("refused %s", "it")

    assert len(passed) == 2 * logs.BURST
    assert ["more" in record.getMessage() for record in passed].count(True) == 1


@few
def test_a_flood_hides_nothing_else(heard):
    """Other levels, other messages and other lines of code are other kinds."""
    logger, passed = heard
    for _ in range(1000):
        logger.warning("%s: %s", "Not Found", "/wp-login.php")
    del passed[:]

    logger.error("%s: %s", "Internal Server Error", "/")
    logger.warning("refused %s", "it")
    logger.warning("%d %% done")

    assert len(passed) == 3


@few
def test_values_inside_a_message_do_not_make_kinds(heard):
    """Django logs unknown hosts in this way."""
    logger, passed = heard

    for number in range(1000):
        logger.warning(f"Invalid HTTP_HOST header: 'evil-{number}.example' 100%")

    assert len(passed) == logs.BURST


@few
def test_the_number_of_kinds_is_limited(heard):
    """Messages with values both inside and as arguments, which no code here has, share one allowance beyond it."""
    logger, passed = heard
    (remembers,) = logger.filters

    for number in range(3 * logs.MAX_KINDS):
        logger.warning(f"{number} of %s", "them")

    assert len(passed) == logs.MAX_KINDS + logs.BURST
    assert len(remembers._kinds) == logs.MAX_KINDS + 1


# ---------------------------------------------------------------- a database that is away

away = pytest.mark.parametrize("heard", [DatabaseFaults], indirect=True, ids=[""])


def fail_page(logger: logging.Logger, error: Exception, cause: Exception | None) -> None:
    """Log an error as Django does for a page."""
    try:
        raise error from cause
    except Exception:
        logger.exception("%s: %s", "Internal Server Error", "/boards/")


@away
@pytest.mark.parametrize(
    ("cause", "cure"),
    [
        (psycopg.OperationalError("connection refused"), "start the database"),
        (sqlite3.OperationalError("unable to open database file"), "create the folder"),
        (sqlite3.OperationalError("database is locked"), "end the program"),
    ],
    ids=["away", "no file", "locked"],
)
def test_a_page_that_the_database_fails_is_one_line_that_says_what_to_do(heard, cause, cure):
    """Otherwise every request for a page would be a traceback."""
    logger, passed = heard

    fail_page(logger, OperationalError(str(cause)), cause)

    line = logging.Formatter("{message}", style="{").format(passed[0])
    assert line.startswith(f"Internal Server Error: /boards/; OperationalError: {cause}; {cure}")
    assert line.count(str(cause)) == 1
    assert "\n" not in line


@away
@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            TimeoutError("reading topic t took more than 30 s"),
            "TimeoutError: reading topic t took more than 30 s",
        ),
        (TimeoutError(), "TimeoutError"),
        (OperationalError("interrupted"), "OperationalError: interrupted"),
    ],
    ids=["reading", "without words", "query"],
)
def test_a_page_that_took_too_long_is_one_line(heard, error, shown):
    """The traceback would show where the time was over, which says nothing."""
    logger, passed = heard

    fail_page(logger, error, None)

    line = logging.Formatter("{message}", style="{").format(passed[0])
    assert line == f"Internal Server Error: /boards/; {shown}"


@away
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OperationalError("no such column: x"), sqlite3.OperationalError("no such column: x")),
        (IntegrityError("UNIQUE"), sqlite3.IntegrityError("UNIQUE")),
        (ValueError("x"), ValueError("y")),
    ],
    ids=["column", "constraint", "no database"],
)
def test_a_fault_of_the_code_keeps_its_traceback(heard, error, cause):
    """Only the traceback says where it is."""
    logger, passed = heard

    fail_page(logger, error, cause)

    assert passed[0].exc_info is not None


# ---------------------------------------------------------------- lines


def formatted(logger: logging.Logger, *said: object, error: Exception | None = None) -> str:
    """Return the text that is written for a record."""
    exc_info = None
    if error is not None:
        try:
            raise error
        except Exception:
            exc_info = sys.exc_info()
    record = logger.makeRecord(logger.name, logging.WARNING, __file__, 1, said[0], said[1:], exc_info)
    return Lines("{levelname} {name}: {message}", style="{").format(record)


@pytest.mark.parametrize(
    "sent, shown",
    [
        ("/a\r\n2026-11-25 ERROR realtime: forged", r"/a\r\n2026-11-25 ERROR realtime: forged"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\x9b31m \x85 \x0b \x00", r"\x9b31m \x85 \x0b \x00"),
        ("\u2028 \u202e gnp.exe", r"\u2028 \u202e gnp.exe"),
        ("\udcff", r"\udcff"),
        ("a\tb", r"a\tb"),
        ("Kühlraum 北 100 %", "Kühlraum 北 100 %"),
    ],
)
def test_unprintable_characters_are_escaped(sent, shown):
    """Line ends, terminal commands, changes of text direction; printable characters are unchanged."""
    logger = logging.Logger("django.request")

    assert formatted(logger, "Not Found: %s", sent) == f"WARNING django.request: Not Found: {shown}"


def test_the_length_of_a_line_is_limited():
    """An address may be 64 KiB long."""
    line = formatted(logging.Logger("x"), "Not Found: %s", "\x00" * 65_536)

    assert len(line) == logs.MAX_CHARACTERS + 1
    assert line.endswith("…")


@pytest.mark.parametrize(
    "letter",
    [
        "\x00",
        "\x07",
        "\x1b",
        "\n",
        "\r",
        "\x7f",
        "\x85",
        "\x9b",
        "\x9d",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u2066",
        "\u200f",
    ],
    ids=ascii,
)
def test_what_a_terminal_would_obey_is_shown(letter):
    """Control characters of both sets, line ends, and changes of direction; letters of all scripts stay."""
    assert printable(f"größer {letter}[31m 東京") == f"größer {ascii(letter)[1:-1]}[31m 東京"


def test_no_traceback_can_forge_a_line():
    """Every line of it is indented, text quoted by the error included."""
    error = ValueError("what was sent:\n2026-11-25 ERROR realtime: forged\x1b[31m")

    first, *rest = formatted(logging.Logger("x"), "feed failed", error=error).split("\n")

    assert first == "WARNING x: feed failed"
    assert len(rest) > 2
    assert all(line.startswith("  ") for line in rest)
    assert rest[-1] == r"  2026-11-25 ERROR realtime: forged\x1b[31m"


@pytest.mark.parametrize(
    "name, level, shown",
    [
        ("django.security.DisallowedHost", logging.ERROR, (logging.WARNING, "WARNING", False)),
        ("django.security.csrf", logging.WARNING, (logging.WARNING, "WARNING", False)),
        ("django.request", logging.WARNING, (logging.WARNING, "WARNING", False)),
        ("django.request", logging.ERROR, (logging.ERROR, "ERROR", True)),
        ("realtime.hub", logging.ERROR, (logging.ERROR, "ERROR", True)),
    ],
)
def test_records_of_invalid_requests_are_warnings_without_a_traceback(name, level, shown):
    """A fault of the server keeps its level and its traceback."""
    record = logging.LogRecord(name, level, __file__, 1, "words", (), (ValueError, ValueError("x"), None))

    assert ClientsFaults().filter(record)
    assert (record.levelno, record.levelname, record.exc_info is not None) == shown
