"""The dependencies of a queryset beside the columns of its rows: other rows of the table, other tables, time."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.models.expressions import RawSQL, Subquery
from django.db.models.functions import Now
from django.db.models.sql import Query

_WINDOW_IN_SQL = re.compile(r"\bover\s*[(\w]", re.IGNORECASE)
_TIME_IN_SQL = re.compile(r"\b(now\s*\(|current_(timestamp|date|time)\b|localtime(stamp)?\b)", re.IGNORECASE)

_CLOCKS = frozenset({"now", "utcnow", "today", "localtime", "localdate", "time_ns"})


def parts(query: Query) -> Iterator[Any]:
    """Yield all expressions, conditions and subqueries of a query, including nested ones."""
    waiting: list[Any] = [
        *query.annotations.values(), query.where, *query.order_by, *query.extra.values(),
    ]  # fmt: skip
    combined: tuple[Query, ...] = getattr(query, "combined_queries", ())
    waiting += combined
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, Query):
            yield from parts(part)
            continue
        if isinstance(part, Subquery):
            waiting.append(part.query)
        if isinstance(part, list | tuple | set | frozenset):
            waiting += part
            continue
        source_expressions = getattr(part, "get_source_expressions", None)
        waiting += source_expressions() if source_expressions else getattr(part, "children", ())
        # Conditions compare a left side with a right one, which may be an expression, too.
        waiting += [getattr(part, side, None) for side in ("lhs", "rhs")]


def reads_other_rows(queryset: "models.QuerySet[Any]") -> bool:
    """Return whether a row's contents depend on other rows of the same table, by a window or a subquery.

    A subquery that reads the same row, by its primary key, does not count.
    """
    table = queryset.model._meta.db_table
    for part in parts(queryset.query):
        if isinstance(part, models.Window) or _is_sql(part, _WINDOW_IN_SQL):
            return True
        if isinstance(part, Query) and table in tables(part) and not _is_of_one_row(part):
            return True
    return False


def reads_the_time(queryset: "models.QuerySet[Any]") -> bool:
    """Return whether the rows of a queryset, or their contents, depend on the database's clock."""
    return any(isinstance(part, Now) or _is_sql(part, _TIME_IN_SQL) for part in parts(queryset.query))


def calls_a_clock(function: Callable[..., Any]) -> bool:
    """Return whether the code of a function names a function that returns the time, such as ``timezone.now``."""
    code = getattr(function, "__code__", None)
    return code is not None and not _CLOCKS.isdisjoint(code.co_names)


def tables(query: Query) -> set[str]:
    """Return the names of the tables that a query itself reads, without its subqueries."""
    base = [query.get_meta().db_table] if query.model is not None else []
    joined = [join.table_name for alias, join in query.alias_map.items() if query.alias_refcount.get(alias)]
    return {*base, *joined}


def all_tables(queryset: "models.QuerySet[Any]") -> set[str]:
    """Return the names of the tables that a queryset reads, subqueries and ``select_related`` included."""
    found = tables(queryset.query)
    for part in parts(queryset.query):
        if isinstance(part, Query):
            found |= tables(part)
    if isinstance(queryset.query.select_related, dict):
        found |= _selected(queryset.model, queryset.query.select_related)
    return found


def _selected(model: type[models.Model], names: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    relations: dict[str, Any] = {field.name: field for field in model._meta.fields if field.is_relation}
    relations |= {found.field.related_query_name(): found for found in model._meta.related_objects}
    for name, deeper in names.items():
        relation = relations.get(name)
        if relation is not None and relation.related_model is not None:
            related: type[models.Model] = relation.related_model
            found |= {related._meta.db_table} | _selected(related, deeper)
    return found


def _is_sql(part: Any, pattern: re.Pattern[str]) -> bool:
    """Return whether a part is raw SQL that the pattern finds."""
    if isinstance(part, RawSQL):
        return bool(pattern.search(part.sql))
    sqls = getattr(part, "sqls", None)  # extra(where=…)
    texts = sqls if isinstance(sqls, list | tuple) else [part] if isinstance(part, str) else []
    return any(isinstance(text, str) and pattern.search(text) for text in texts)


def _is_of_one_row(query: Query) -> bool:
    """Return whether a subquery reads the outer query's own row: its primary key equals the outer one's."""
    meta = query.get_meta()
    for condition in query.where.children if not query.where.negated else ():
        is_equal = getattr(condition, "lookup_name", "") == "exact"
        target = getattr(getattr(condition, "lhs", None), "target", None)
        outer = getattr(condition, "rhs", None)
        if not is_equal or target != meta.pk:
            continue
        name = getattr(outer, "name", None)
        if name is None:
            name = getattr(getattr(outer, "target", None), "name", None)
        if meta.pk is not None and name in ("pk", meta.pk.name) and query.where.connector == "AND":
            return True
    return False
