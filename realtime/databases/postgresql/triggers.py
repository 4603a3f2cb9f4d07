"""Capture on PostgreSQL: statement triggers with transition tables, each with a function of its own.

For a write of one row a statement trigger costs as much as a row trigger, for a large one a third less.
The functions run with their owner's rights: a role that may write a table needs no rights on the outbox.
"""

from ..base import Triggers
from ..captures import TRIGGER_PREFIX, Capture, InstalledTrigger, literal
from ..outbox import OUTBOX_TABLE
from . import columns

# An arbitrary number: held by the process that changes triggers, so that two starting servers do not do so at once.
_ADVISORY_LOCK = 0x7E41_71DE

TRIGGER_PATTERN = f"^{TRIGGER_PREFIX}[0-9a-f]{{12}}_"
"""Matches exactly the engine's names: a project's own function may begin with realtime_ too."""

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

_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table"}


class PostgreSQLTriggers(Triggers):
    def statements(self, capture: Capture) -> dict[str, str]:
        """Return the statements that create each trigger with its function, by the name of both."""
        return {name: "; ".join(both) for name, both in self._definitions(capture).items()}

    def _definitions(self, capture: Capture) -> dict[str, tuple[str, str]]:
        """Return the statements that create each trigger's function and the trigger, by the name of both."""
        quote, schema = self.quote, self.quote(self._schema())
        types = self._types(capture)
        created = {}
        for event, (verb, referencing, images) in _EVENTS.items():
            record = self._record(capture, types, images, f"{schema}.{quote(OUTBOX_TABLE)}")
            # A column may have the name of a variable, such as "new" and "found".
            body = f"#variable_conflict use_column BEGIN {record} RETURN NULL; END"
            settings = " ".join(f"SET {one}" for one in columns.settings(types) if images)
            name = capture.trigger_name(event, f"{settings} {body}" if settings else body)
            function = f"{schema}.{quote(name)}()"
            # Without a search path of its own, the function would resolve names by the caller's.
            created[name] = (
                f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql "
                f"SECURITY DEFINER SET search_path = pg_catalog, pg_temp {settings} "
                f"AS $realtime$ {body} $realtime$; "
                f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC",
                # Replacing does not wait for readers, as dropping would, and enables a disabled trigger.
                f"CREATE OR REPLACE TRIGGER {quote(name)} AFTER {verb} ON {quote(capture.table)} {referencing} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}",
            )
        return created

    def installed(self) -> list[InstalledTrigger]:
        """Return the engine's functions with the tables of their triggers; a disabled trigger does not count."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT proname, "
                "CASE WHEN to_regclass(quote_ident(relname)) = pg_class.oid THEN relname ELSE '' END, "
                "coalesce(pg_class.oid::regclass::text, '') FROM pg_proc "
                "LEFT JOIN pg_trigger ON tgfoid = pg_proc.oid AND tgenabled IN ('O', 'A') "
                "LEFT JOIN pg_class ON pg_class.oid = tgrelid "
                "WHERE proname ~ %s AND prorettype = 'trigger'::regtype "
                "AND pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
                [TRIGGER_PATTERN, OUTBOX_TABLE],
            )
            return [InstalledTrigger(*row) for row in cursor.fetchall()]

    def unfit(self, table: str) -> str:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT relkind, relispartition FROM pg_class WHERE oid = to_regclass(quote_ident(%s))",
                [table],
            )
            kind, is_partition = cursor.fetchone() or ("", False)
        if is_partition:
            return "it is a partition: writes through the partitioned table fire no trigger of it"
        return f"it is a {_KINDS[kind]}, which cannot have the triggers" if kind in _KINDS else ""

    def refusal(self, table: str) -> str:
        schema = self._schema()
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_user, has_table_privilege(oid, 'TRIGGER'), has_schema_privilege(%s, 'CREATE') "
                "FROM pg_class WHERE oid = to_regclass(quote_ident(%s))",
                [schema, table],
            )
            role, may_trigger, may_create = cursor.fetchone() or ("", True, True)
        if not may_trigger:
            return (
                f"the role {role} may not create triggers on it: run `manage.py migrate` as the owner of the table, "
                f"or GRANT TRIGGER ON {self.quote(table)} TO {self.quote(role)}"
            )
        if not may_create:
            return (
                f"the role {role} may not create functions in the schema {schema}: run `manage.py migrate` as its "
                f"owner, or GRANT CREATE ON SCHEMA {self.quote(schema)} TO {self.quote(role)}"
            )
        return ""

    def begin_change(self, wait_seconds: float) -> None:
        """Wait until no other process changes triggers, and bound how long a table's writers wait for this one."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{wait_seconds * 1000:.0f}ms'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])

    def create(self, capture: Capture) -> None:
        """Create the triggers, and the functions that do not exist.

        The name of a function says what it does, so one that exists is right. It may be in use by a table that was
        renamed, or belong to another role.
        """
        schema = self._schema()
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT proname FROM pg_proc WHERE pronamespace = %s::regnamespace AND proname = ANY(%s)",
                [self.quote(schema), list(self.statements(capture))],
            )
            present = {name for (name,) in cursor.fetchall()}
            for name, (function, trigger) in self._definitions(capture).items():
                if name not in present:
                    cursor.execute(function, [])
                cursor.execute(trigger, [])

    def drop(self, trigger: InstalledTrigger) -> None:
        """Drop a trigger, and its function unless a table that was renamed uses it."""
        schema = self._schema()
        with self.connection.cursor() as cursor:
            if trigger.place:
                cursor.execute(f"DROP TRIGGER IF EXISTS {self.quote(trigger.name)} ON {trigger.place}")
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
                "WHERE pronamespace = %s::regnamespace AND proname = %s)",
                [self.quote(schema), trigger.name],
            )
            if not cursor.fetchone()[0]:
                cursor.execute(f"DROP FUNCTION IF EXISTS {self.quote(schema)}.{self.quote(trigger.name)}()")

    def _schema(self) -> str:
        """Return the schema of the outbox, in which the functions are.

        Raises: ProgrammingError, if there is no outbox.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
                "WHERE pg_class.oid = %s::regclass",
                [OUTBOX_TABLE],
            )
            (schema,) = cursor.fetchone()
            return str(schema)

    def _types(self, capture: Capture) -> list[columns.Type]:
        """Return the type of each column, without a name where there is no such column."""
        found = columns.types(self.connection, capture.table)
        return [found.get(column, columns.Type()) for column in capture.columns]

    def _record(
        self, capture: Capture, types: list[columns.Type], images: tuple[str, ...], outbox: str
    ) -> str:
        """Return the statement that records the images; one row without an image for an event without images.

        UNION makes one row of the old and the new image of an unchanged key. The stamp is the column's default.
        """
        source = f"'{literal(capture.table)}'"
        if not images:
            return f"INSERT INTO {outbox} (source) VALUES ({source});"
        names = [self.quote(column) for column in capture.columns]
        told_apart = ", ".join(
            f"{columns.distinct(name, type)} AS {name}" for name, type in zip(names, types, strict=True)
        )
        rows = " UNION ".join(f"SELECT {told_apart} FROM {image}" for image in images)
        image = ", ".join(
            f"'{literal(column)}', {name}::text" for column, name in zip(capture.columns, names, strict=True)
        )
        return (
            f"INSERT INTO {outbox} (source, image) SELECT {source}, jsonb_build_object({image}) "
            f"FROM ({rows}) AS touched;"
        )
