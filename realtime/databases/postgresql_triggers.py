"""Capture on PostgreSQL: statement triggers with transition tables, each with a function of its own.

One statement trigger costs a single-row write as much as a row trigger, and a large one a third less.
The functions run with their owner's rights: who may write a table need not have any on the outbox.
"""

from .captures import OUTBOX_TABLE, TRIGGER_PREFIX, Capture

LOCK_SECONDS = 5
"""How long to wait for a table's writers before giving up; they wait behind us meanwhile."""

# Any number of one's own: who changes triggers holds it, so that two starting servers take turns.
_ADVISORY_LOCK = 0x7E41_71DE

_EVENTS = {
    "insert": ("INSERT", "REFERENCING NEW TABLE AS realtime_new", ("realtime_new",)),
    "delete": ("DELETE", "REFERENCING OLD TABLE AS realtime_old", ("realtime_old",)),
    "update": (
        "UPDATE",
        "REFERENCING OLD TABLE AS realtime_old NEW TABLE AS realtime_new",
        ("realtime_old", "realtime_new"),
    ),
    "truncate": ("TRUNCATE", "", ()),
}


def triggers(capture: Capture, connection) -> dict[str, str]:
    """Return the statements that make each trigger with its function, by the name of both."""
    quote = connection.ops.quote_name
    schema = _schema(connection)
    created = {}
    for event, (verb, referencing, images) in _EVENTS.items():
        body = _note(capture, images, f"{quote(schema)}.{quote(OUTBOX_TABLE)}", quote)
        name = capture.trigger_name(event, body)
        function = f"{quote(schema)}.{quote(name)}()"
        # Whoever calls the function chooses the search path, and with it what our names would mean.
        created[name] = (
            f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql "
            f"SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
            f"AS $realtime$ BEGIN {body} RETURN NULL; END $realtime$; "
            f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC; "
            f"CREATE TRIGGER {quote(name)} AFTER {verb} ON {quote(capture.table)} {referencing} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}"
        )
    return created


def installed(connection) -> dict[str, str]:
    """Return the names of our functions and the tables their triggers stand on.

    A trigger that is switched off does not count; a function whose table is gone stands on "".
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, coalesce(relname, '') FROM pg_proc "
            "LEFT JOIN pg_trigger ON tgfoid = pg_proc.oid AND tgenabled IN ('O', 'A') "
            "LEFT JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE proname ~ %s AND prorettype = 'trigger'::regtype "
            "AND pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
            # Exactly our names: somebody else's function may begin with realtime_ too.
            [f"^{TRIGGER_PREFIX}[0-9a-f]{{12}}_", OUTBOX_TABLE],
        )
        return dict(cursor.fetchall())


def begin_change(connection) -> None:
    """Wait for whoever changes triggers now, and let no table's writers wait long for us."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])


def drop(connection, name: str, table: str) -> None:
    """Drop a trigger and its function; ``table`` may be gone, then "", or not have the trigger."""
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        if table:
            cursor.execute(f"DROP TRIGGER IF EXISTS {quote(name)} ON {quote(table)}")
        cursor.execute(f"DROP FUNCTION IF EXISTS {quote(_schema(connection))}.{quote(name)}()")


def _schema(connection) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE pg_class.oid = to_regclass(%s)",
            [OUTBOX_TABLE],
        )
        return cursor.fetchone()[0]


def _note(capture: Capture, images: tuple[str, ...], outbox: str, quote) -> str:
    """Return the statement that notes the images; one without any when there are none to be had.

    The old and the new image of an unchanged key are one (UNION). The stamp is the column's default.
    """
    source = f"'{_literal(capture.table)}'"
    if not images:
        return f"INSERT INTO {outbox} (source) VALUES ({source});"
    columns = ", ".join(map(quote, capture.columns))
    rows = " UNION ".join(f"SELECT {columns} FROM {image}" for image in images)
    image = ", ".join(f"'{_literal(column)}', {quote(column)}" for column in capture.columns)
    return (
        f"INSERT INTO {outbox} (source, image) SELECT {source}, jsonb_build_object({image}) "
        f"FROM ({rows}) AS touched;"
    )


def _literal(text: str) -> str:
    return text.replace("'", "''").replace("%", "%%")
