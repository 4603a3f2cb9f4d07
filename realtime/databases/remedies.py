"""What to do about an error of the database, for the log and for ``manage.py doctor``."""

import re

from .outbox import OUTBOX_TABLE

_ENGINE = f"{OUTBOX_TABLE.partition('_')[0]}_"

MIGRATE = "run `manage.py migrate`"
_AWAY = "start the database, or correct its address in DATABASE_URL"
_BY_STATE = {
    "25006": "it is read-only: let DATABASE_URL name the primary, and a role that may write",
    "3D000": "create the database, or correct its name in DATABASE_URL",
    "28000": "correct user and password in DATABASE_URL, or add the user to pg_hba.conf",
    "28P01": "correct user and password in DATABASE_URL",
    "42703": MIGRATE,
    "42P01": MIGRATE,
    "53100": "free space on the disk of the database",
    "57P01": _AWAY,
    "57P02": _AWAY,
    "57P03": _AWAY,
    "53300": "raise max_connections of the database, or run fewer processes (docs/operations.md counts connections)",
}
"""By SQLSTATE of PostgreSQL."""
_DENIED = "42501"
_BY_WORDS = {
    "no such table": MIGRATE,
    "no such column": MIGRATE,
    "readonly database": "let the user of this process write the file and its folder",
    "unable to open database file": "create the folder of the file, and let the user of this process write to it",
    "is full": "free space on the disk of the database",
    "disk I/O error": "free space on the disk of the database, or look for its faults in the system's log",
    "malformed": "restore a backup: the file is damaged",
    "not a database": "restore a backup, or correct the path: the file is something else",
    "is locked": "end the program that keeps a transaction open, or raise OPTIONS['timeout']",
}
"""By words of SQLite."""


def remedy(error: BaseException) -> str:
    """Return what to do about an error of the database; "" if no remedy is known."""
    cause = error.__cause__ if error.__cause__ is not None else error
    package = type(cause).__module__.partition(".")[0]
    if package == "sqlite3":
        return next((words for part, words in _BY_WORDS.items() if part in str(cause)), "")
    if package == "psycopg_pool":  # the pool waited for a connection that could not be opened
        return _AWAY
    if package != "psycopg":
        return ""
    state = getattr(cause, "sqlstate", None)
    if state == _DENIED:
        return _remedy_of_denial(str(cause))
    if state is None and type(cause).__name__ == "OperationalError":
        return _of_connection(str(cause))
    if type(cause).__name__ == "InterfaceError" and "closed" in str(cause):
        return _AWAY
    return _BY_STATE.get(str(state), "")


def _of_connection(words: str) -> str:
    """Return the remedy for a refused connection: its error has a text of the server, and no SQLSTATE."""
    if "authentication failed" in words or "no password supplied" in words:
        return _BY_STATE["28P01"]
    if "does not exist" in words:
        return _BY_STATE["3D000"]
    if "too many" in words:
        return _BY_STATE["53300"]
    if "No space left" in words:
        return _BY_STATE["53100"]
    return _AWAY


def _remedy_of_denial(words: str) -> str:
    found = re.search(r"permission denied for (table|sequence|schema) (\S+)", words)
    if found is None:
        return "run the command as the owner of the table, or GRANT the right to the role in DATABASE_URL"
    kind, name = found[1], found[2]
    rights = {
        "table": "ALL" if name.startswith(_ENGINE) else "SELECT",
        "sequence": "USAGE, SELECT",
        "schema": "USAGE",
    }
    return f"GRANT {rights[kind]} ON {kind.upper()} {name} TO the role in DATABASE_URL, as the owner"
