"""Unique indexes by which an inserted row may replace another one, besides a model's plain unique columns.

These are indexes with a condition, an expression or a collation, and indexes that were created without a model. They
are read from the database, so that the condition is repeated exactly: SQLite uses an index with a condition only then.
"""

import re
from collections.abc import Collection
from itertools import groupby

from django.db.backends.base.base import BaseDatabaseWrapper

_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\] | (?P<comment>--[^\n]*|/\*.*?\*/) | .""",
    re.DOTALL | re.VERBOSE,
)
_DIRECTION = re.compile(r"\s(ASC|DESC)\s*$", re.IGNORECASE)
_WHERE = re.compile(r"\s*WHERE\b", re.IGNORECASE)


def conflicts(connection: BaseDatabaseWrapper, table: str, known: Collection[Collection[str]]) -> list[str]:
    """Return the SQL conditions, one for each index, on which a row conflicts with the inserted row NEW.

    Shape: columns of the row are not qualified, so a query on the table alone can have them.
    ``known`` are groups of columns; a plain index on one of them is left out.
    """
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pragma_table_xinfo(%s)", [table])
        columns = [quote(name) for (name,) in cursor.fetchall()]
        cursor.execute(
            "SELECT list.name, partial, definition.sql, member.name, member.coll "
            "FROM pragma_index_list(%s) AS list JOIN pragma_index_xinfo(list.name) AS member "
            "JOIN sqlite_master AS definition ON definition.type = 'index' AND definition.name = list.name "
            'WHERE list."unique" AND member.key ORDER BY list.name, member.seqno',
            [table],
        )
        found = [list(members) for _, members in groupby(cursor.fetchall(), key=lambda member: member[0])]
    new_row = ", ".join(f"NEW.{column} AS {column}" for column in columns)

    def of_new(expression: str) -> str:
        return f"(SELECT {expression} FROM (SELECT {new_row}))"

    conditions = []
    for members in found:
        (_, is_partial, definition, _, _) = members[0]
        names = [name for _, _, _, name, _ in members]
        is_plain = not is_partial and all(collation == "BINARY" for *_, collation in members)
        if is_plain and any(set(names) == set(group) for group in known):
            continue
        expressions, condition = _parts(definition) if definition else ([], "")
        terms = []
        for place, (*_, name, collation) in enumerate(members):
            if name is not None:
                terms.append(f"{quote(name)} = NEW.{quote(name)} COLLATE {quote(collation)}")
            else:
                terms.append(f"({expressions[place]}) = {of_new(expressions[place])}")
        if condition:
            terms += [f"({condition})", of_new(condition)]
        conditions.append(" AND ".join(terms).replace("%", "%%"))
    return conditions


def _parts(definition: str) -> tuple[list[str], str]:
    """Return the expressions of a CREATE INDEX statement, and its condition, "" if there is none."""
    tokens = [" " if token["comment"] else token[0] for token in _TOKEN.finditer(definition)]
    expressions, depth = [""], 1
    for place in range(tokens.index("(") + 1, len(tokens)):
        text = tokens[place]
        depth += (text == "(") - (text == ")")
        if depth == 0:
            break
        if depth == 1 and text == ",":
            expressions.append("")
        else:
            expressions[-1] += text
    condition = _WHERE.sub("", "".join(tokens[place + 1 :])).strip()
    return [_DIRECTION.sub("", one) for one in expressions], condition
