"""The edits by which a project uses the app: each returns a file's text with the parts that were missing.

They find their place by Python's own parser, and do not change a file that is not written as ``startproject`` writes
it.
"""

import ast
import re

from ..checks.wiring import LIVE_BLOCKS, PRIVATE_PAGES, SESSIONS, WIRE

HEAD = "{% load realtime %}{% realtime_head %}"
IMMEDIATE = "{'transaction_mode': 'IMMEDIATE'}"


class Unrecognised(Exception):
    """A file is written in another way than ``startproject`` writes it; the text says what to add by hand."""


def with_app_first(source: str, app: str) -> str:
    """Return settings with an app at the head of ``INSTALLED_APPS``."""
    apps = _elements(source, "INSTALLED_APPS", f"put {app!r} first in it")
    if any(_is(one, app) for one in apps):
        return source
    return _inserted(source, apps[0], repr(app))


def with_middleware(source: str) -> str:
    """Return settings with the middleware for pages of one visitor, before that of sessions."""
    by_hand = f"add {PRIVATE_PAGES!r} before {SESSIONS!r}"
    middleware = _elements(source, "MIDDLEWARE", by_hand)
    if any(_is(one, PRIVATE_PAGES) for one in middleware):
        return source
    sessions = [one for one in middleware if _is(one, SESSIONS)]
    if not sessions:
        raise Unrecognised(f"MIDDLEWARE does not list {SESSIONS!r}: {by_hand}")
    return _inserted(source, sessions[0], repr(PRIVATE_PAGES))


def with_live_blocks(source: str) -> str:
    """Return settings with the middleware for live blocks, before all others: they may read the database."""
    middleware = _elements(source, "MIDDLEWARE", f"put {LIVE_BLOCKS!r} first in it")
    if any(_is(one, LIVE_BLOCKS) for one in middleware):
        return source
    return _inserted(source, middleware[0], repr(LIVE_BLOCKS))


def with_application(source: str, name: str) -> str:
    """Return settings that name the ASGI application."""
    if _assigned(source, "ASGI_APPLICATION") is not None:
        return source
    line = f"ASGI_APPLICATION = {name!r}"
    place = _assigned(source, "WSGI_APPLICATION") or _assigned(source, "ROOT_URLCONF")
    if place is None:
        raise Unrecognised(f"it sets neither WSGI_APPLICATION nor ROOT_URLCONF: add {line}")
    return _with_line_after(source, place, line)


def with_immediate_transactions(source: str) -> str:
    """Return settings in which transactions of SQLite wait for their turn instead of failing."""
    by_hand = f"add 'OPTIONS': {IMMEDIATE} to the database in DATABASES"
    value = _assigned(source, "DATABASES")
    database = value.values[0] if isinstance(value, ast.Dict) and len(value.values) == 1 else None
    if not isinstance(database, ast.Dict) or not all(isinstance(key, ast.Constant) for key in database.keys):
        raise Unrecognised(f"DATABASES is not one dictionary with one database: {by_hand}")
    if "transaction_mode" in ast.unparse(database):
        return source
    if any(_is(key, "OPTIONS") for key in database.keys):
        raise Unrecognised(
            f"the database has OPTIONS: add 'transaction_mode': 'IMMEDIATE' to them, or {by_hand}"
        )
    first = database.keys[0]
    assert first is not None
    return _inserted(source, first, f"'OPTIONS': {IMMEDIATE}")


def with_engine(source: str) -> str:
    """Return the module of the ASGI application with the engine in it."""
    by_hand = f"{WIRE}, and above it `import realtime.asgi`"
    tree = _parsed(source, by_hand)
    if any("realtime.asgi" in _imports(node) for node in tree.body):
        return source
    value = _assigned(source, "application")
    imported = [node for node in tree.body if "django.core.asgi.get_asgi_application" in _imports(node)]
    if value is None or ast.unparse(value) != "get_asgi_application()" or not imported:
        raise Unrecognised(f"it does not say `application = get_asgi_application()`: {by_hand}")
    source = _replaced(source, value, f"realtime.asgi.application({_text(source, value)})")
    return _with_line_after(source, imported[-1], "\nimport realtime.asgi")


def with_addresses(source: str) -> str:
    """Return the URL configuration with the pages of the app."""
    line = "path('realtime/', include('realtime.urls'))"
    by_hand = f"add {line} to urlpatterns"
    if "realtime.urls" in source:
        return source
    addresses = _elements(source, "urlpatterns", by_hand)
    imported = [node for node in _parsed(source, by_hand).body if "django.urls.path" in _imports(node)]
    if not imported:
        raise Unrecognised(f"it does not import path from django.urls: {by_hand}")
    source = _inserted(source, addresses[0], line)
    first = imported[0]
    assert isinstance(first, ast.ImportFrom)
    return (
        source if "django.urls.include" in _imports(first) else _inserted(source, first.names[0], "include")
    )


def with_outage_page(source: str) -> str:
    """Return the URL configuration with the view that answers 503 in an outage, unless it has one for errors."""
    line = "handler500 = 'realtime.views.server_error'"
    if re.search(r"\bhandler500\b", source):
        return source
    addresses = _assigned(source, "urlpatterns")
    if addresses is None:
        raise Unrecognised(f"it does not set urlpatterns: add {line}")
    return _with_line_after(source, addresses, f"\n{line}")


def with_head(source: str) -> str:
    """Return a page's template with the tag that loads the page client, at the end of its head."""
    if "realtime_head" in source:
        return source
    found = re.search(r"^([ \t]*)</head>", source, re.MULTILINE)
    if found is None:
        raise Unrecognised(f"no line begins with </head>: add {HEAD} to the head")
    return f"{source[: found.start()]}{found[1]}  {HEAD}{_newline(source)}{source[found.start() :]}"


def _parsed(source: str, by_hand: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise Unrecognised(f"it is not Python ({error}): {by_hand}") from error


def _assigned(source: str, name: str) -> ast.expr | None:
    """Return the value that a module assigns last to a name; None if it assigns none."""
    values = [
        node.value
        for node in _parsed(source, f"set {name}").body
        if isinstance(node, ast.Assign)
        and any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
    ]
    return values[-1] if values else None


def _elements(source: str, name: str, by_hand: str) -> list[ast.expr]:
    value = _assigned(source, name)
    if not isinstance(value, ast.List) or not value.elts:
        raise Unrecognised(f"{name} is not written as one list: {by_hand}")
    return value.elts


def _is(node: ast.expr | None, value: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _imports(node: ast.stmt) -> set[str]:
    """Return the full names that a statement imports."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def _inserted(source: str, before: ast.expr | ast.alias, text: str) -> str:
    """Return the source with an element in front of another: on a line of its own if that one begins its line."""
    at = _offset(source, before.lineno, before.col_offset)
    indent = source[source.rfind("\n", 0, at) + 1 : at]
    gap = " " if indent.strip() else _newline(source) + indent
    return f"{source[:at]}{text},{gap}{source[at:]}"


def _replaced(source: str, node: ast.expr, text: str) -> str:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start = _offset(source, node.lineno, node.col_offset)
    return source[:start] + text + source[_offset(source, node.end_lineno, node.end_col_offset) :]


def _with_line_after(source: str, node: ast.stmt | ast.expr, line: str) -> str:
    assert node.end_lineno is not None
    lines = _lines(source)
    newline = _newline(source)
    lines[node.end_lineno - 1] = lines[node.end_lineno - 1].rstrip("\r\n") + newline
    lines.insert(node.end_lineno, line.replace("\n", newline) + newline)
    return "".join(lines)


def _text(source: str, node: ast.expr) -> str:
    return ast.get_source_segment(source, node) or ""


def _offset(source: str, line: int, column: int) -> int:
    """Return the index of a place that Python's parser names, which counts columns in bytes."""
    lines = _lines(source)
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())


def _lines(source: str) -> list[str]:
    """Return the lines that Python's parser counts: not those that end with a form feed, as in ``str.splitlines``."""
    return re.split(r"(?<=\n)|(?<=\r)(?!\n)", source)


def _newline(source: str) -> str:
    return "\r\n" if "\r\n" in source else "\n"
