"""Capture on PostgreSQL: statement triggers with transition tables, each with a function of its own.

For a write of one row a statement trigger costs as much as a row trigger, for a large one a third less.
The functions run with their owner's rights: a role that may write a table needs no rights on the outbox.
"""

from ..base import Triggers
from ..captures import TRIGGER_PREFIX, Capture, literal
from ..outbox import OUTBOX_TABLE

LOCK_SECONDS = 4
"""How long to wait for the lock of a table; other writers of the table wait behind that request."""

# An arbitrary number: held by the process that changes triggers, so that two starting servers do not do so at once.
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


class PostgreSQLTriggers(Triggers):
    def statements(self, capture: Capture) -> dict[str, str]:
        """Return the statements that create each trigger with its function, by the name of both."""
        quote, schema = self.quote, self.quote(self._schema())
        created = {}
        for event, (verb, referencing, images) in _EVENTS.items():
            body = self._record(capture, images, f"{schema}.{quote(OUTBOX_TABLE)}")
            name = capture.trigger_name(event, body)
            function = f"{schema}.{quote(name)}()"
            # Without a search path of its own, the function would resolve names by the caller's.
            created[name] = (
                f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql "
                f"SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
                f"AS $realtime$ BEGIN {body} RETURN NULL; END $realtime$; "
                f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC; "
                f"CREATE TRIGGER {quote(name)} AFTER {verb} ON {quote(capture.table)} {referencing} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}"
            )
        return created

    def installed(self) -> dict[str, str]:
        """Return the names of the engine's functions and the tables of their triggers.

        A disabled trigger does not count; a function whose table no longer exists has the table "".
        """
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT proname, coalesce(relname, '') FROM pg_proc "
                "LEFT JOIN pg_trigger ON tgfoid = pg_proc.oid AND tgenabled IN ('O', 'A') "
                "LEFT JOIN pg_class ON pg_class.oid = tgrelid "
                "WHERE proname ~ %s AND prorettype = 'trigger'::regtype "
                "AND pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
                # Exactly the engine's names: a project's own function may begin with realtime_ too.
                [f"^{TRIGGER_PREFIX}[0-9a-f]{{12}}_", OUTBOX_TABLE],
            )
            return dict(cursor.fetchall())

    def begin_change(self) -> None:
        """Wait until no other process changes triggers, and bound how long a table's writers wait for this one."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])

    def drop(self, name: str, table: str) -> None:
        """Drop a trigger and its function; the table may lack the trigger, or no longer exist and be ""."""
        with self.connection.cursor() as cursor:
            if table:
                cursor.execute(f"DROP TRIGGER IF EXISTS {self.quote(name)} ON {self.quote(table)}")
            cursor.execute(f"DROP FUNCTION IF EXISTS {self.quote(self._schema())}.{self.quote(name)}()")

    def _schema(self) -> str:
        """Return the schema of the outbox, in which the functions are."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
                "WHERE pg_class.oid = to_regclass(%s)",
                [OUTBOX_TABLE],
            )
            (schema,) = cursor.fetchone()
            return str(schema)

    def _record(self, capture: Capture, images: tuple[str, ...], outbox: str) -> str:
        """Return the statement that records the images; one row without an image for an event without images.

        UNION makes one row of the old and the new image of an unchanged key. The stamp is the column's default.
        """
        source = f"'{literal(capture.table)}'"
        if not images:
            return f"INSERT INTO {outbox} (source) VALUES ({source});"
        columns = ", ".join(map(self.quote, capture.columns))
        rows = " UNION ".join(f"SELECT {columns} FROM {image}" for image in images)
        image = ", ".join(f"'{literal(column)}', {self.quote(column)}" for column in capture.columns)
        return (
            f"INSERT INTO {outbox} (source, image) SELECT {source}, jsonb_build_object({image}) "
            f"FROM ({rows}) AS touched;"
        )
