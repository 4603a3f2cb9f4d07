"""Reading rows so that only the rows that cannot be read or rendered are left out.

A query or a rendering that fails is repeated for each half of its rows, until the faulty row is alone.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import FieldError, SynchronousOnlyOperation
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    models,
)

from ..databases.registry import database
from ..runtime.failures import contained

Item = TypeVar("Item")

MAX_FAILURES = 1000
"""How many queries of one reading may fail before it fails as a whole."""
MAX_WRONG_QUERIES = 50
"""How many wrong queries rendering may cause, where it succeeds for no row, before the reading fails as a whole."""
MAX_KEYS = 100_000
"""The largest number of rows that are searched for a failing one; with more rows the reading fails as a whole."""
ROWS_AT_ONCE = 500
"""How many rows are read at once after reading all of them has failed."""
_SQLITE_ERROR = (
    1  # SQLite's code for errors of statements and their data; locks, disks and limits have others
)


@dataclass(frozen=True, slots=True)
class Found(Generic[Item]):
    """The result of a reading: the rendered rows, and the error of each row that is left out, by its key."""

    rows: list[Item]
    left_out: dict[Any, Exception]


def is_of_a_row(error: Exception) -> bool:
    """Return whether a row's data may have caused an error, rather than the connection, a time limit or the query."""
    if isinstance(error, DataError):
        return True
    if isinstance(error, InternalError):
        return True  # of a function, of a damaged row; or of a transaction that a caught error has aborted
    if isinstance(error, OperationalError):
        return _is_of_a_statement(error) and not _is_wrong_query(error)
    return not isinstance(error, Error | FieldError | SynchronousOnlyOperation | MemoryError)


def _is_of_rendering(error: Exception) -> bool:
    """Return whether code that renders a row may have caused an error: it may run wrong queries for some rows only."""
    return is_of_a_row(error) or _is_wrong_query(error)


def _is_wrong_query(error: Exception) -> bool:
    """Return whether an error is of a query, whatever the data; or one that a transaction which reads cannot have."""
    if isinstance(error, OperationalError):
        return _is_of_a_statement(error) and str(error).startswith(("no such", "near "))
    return isinstance(
        error, ProgrammingError | NotSupportedError | IntegrityError | FieldError | SynchronousOnlyOperation
    )


def _is_of_a_statement(error: OperationalError) -> bool:
    """Return whether SQLite refuses a statement or its data, and is not locked, interrupted or without a disk."""
    cause = error.__cause__
    # An error about text that is not UTF-8 has no code.
    code = getattr(cause, "sqlite_errorcode", _SQLITE_ERROR)
    return type(cause).__module__ == "sqlite3" and bool(code & 0xFF == _SQLITE_ERROR)


def read(
    rows: "models.QuerySet[Any]",
    render: Callable[[Any], Item],
    *,
    by_place: bool,
    candidates: "Callable[[], models.QuerySet[Any]] | Sequence[Any]",
) -> Found[Item]:
    """Return the rendered rows of a queryset.

    ``by_place``: its rows depend on each other, so that it may be divided by place only, not by key.
    ``candidates``: the primary keys of the requested rows; or a function that returns rows among
    which its rows are, for when its own condition fails for one of them.
    Raises: errors that no row causes, such as a lost connection, a time-out, or a wrong query; one by the code that
    renders rows only if it fails for all of them.
    """
    instances, unread = _fetch(rows, by_place, candidates)
    unrendered: dict[int, Exception] = {}

    def render_some(start: int, end: int) -> list[Item]:
        found = []
        for number in range(start, end):
            try:
                found.append(render(instances[number]))
            except Exception as error:
                # After an error of the database the statements that follow may fail, too.
                if isinstance(error, Error) or not is_of_a_row(error):
                    raise
                unrendered[number] = error
        return found

    rendered, failed = (
        isolate(render_some, len(instances), is_of_a_row=_is_of_rendering) if instances else ([], {})
    )
    unrendered |= failed
    if not rendered:
        for error in filter(_is_wrong_query, unrendered.values()):
            raise error
    return Found(rendered, unread | {instances[number].pk: error for number, error in unrendered.items()})


def isolate(
    work: Callable[[int, int], list[Item]],
    size: int,
    at_once: int | None = None,
    is_of_a_row: Callable[[Exception], bool] = is_of_a_row,
) -> tuple[list[Item], dict[int, Exception]]:
    """Return the results of ``work(start, end)`` for ``size`` items, and the errors of items for which it fails.

    ``at_once``: how many items are tried at once; by default all.
    Raises: errors of which ``is_of_a_row`` says that no item causes them, and others if they are too many.
    """
    step = at_once or max(size, 1)
    waiting = [(start, min(start + step, size)) for start in range(0, size, step)][::-1]
    found: list[Item] = []
    errors: dict[int, Exception] = {}
    failures = wrong = 0
    while waiting:
        start, end = waiting.pop()
        try:
            with failing_alone():
                some = work(start, end)
        except Exception as error:
            failures += 1
            wrong += _is_wrong_query(error)
            is_wrong_for_all = wrong > MAX_WRONG_QUERIES and not found
            if not is_of_a_row(error) or failures > MAX_FAILURES or is_wrong_for_all:
                raise
            if end - start == 1:
                errors[start] = error
            else:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
        else:
            found += some  # only now, after the block has ended without an error
    return found, errors


def _fetch(
    rows: "models.QuerySet[Any]",
    by_place: bool,
    candidates: "Callable[[], models.QuerySet[Any]] | Sequence[Any]",
) -> tuple[list[Any], dict[Any, Exception]]:
    asked = rows if callable(candidates) else rows.filter(pk__in=candidates)
    try:
        with failing_alone():
            return list(asked), {}
    except Exception as error:
        if not is_of_a_row(error):
            raise
    if callable(candidates):
        keys = _keys(rows)
        if keys is None and not by_place:
            keys = _keys(candidates().order_by("pk"))
    else:
        keys = list(candidates)
    if keys is None or by_place:
        with failing_alone():
            size = rows.count() if keys is None else len(keys)
        found, errors = isolate(lambda start, end: list(rows[start:end]), size, ROWS_AT_ONCE)
    else:
        known = keys
        found, errors = isolate(
            lambda start, end: list(rows.filter(pk__in=known[start:end])), len(keys), ROWS_AT_ONCE
        )
    return found, {keys[number] if keys else f"number {number + 1}": errors[number] for number in errors}


def _keys(rows: "models.QuerySet[Any]") -> list[Any] | None:
    """Return the primary keys in the order of the rows; None if they cannot be read, or are too many."""
    try:
        with failing_alone():
            keys = list(rows.prefetch_related(None).values_list("pk", flat=True)[: MAX_KEYS + 1])
    except Exception as error:
        if not is_of_a_row(error):
            raise
        return None
    return keys if len(keys) <= MAX_KEYS else None


def is_possible(rows: "models.QuerySet[Any]") -> bool:
    """Return whether the database accepts the values that a query compares with, whatever rows there are."""
    sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    try:
        with failing_alone():
            database().fetch(f"{sql} LIMIT 0", parameters)
    except DataError:
        return False
    return True


@contextlib.contextmanager
def failing_alone() -> Iterator[None]:
    """Return a block in which a query may fail without aborting the transaction around it, if there is one.

    Converters of fields are an app's code.
    """
    here = database()
    here.connection.ensure_connection()
    with contained, here.failing_alone() if here.is_in_transaction() else contextlib.nullcontext():
        yield
