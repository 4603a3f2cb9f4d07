"""The table of settings in docs/operations.md, made from ``Conf``.

``python -m tests.support.settings_table`` writes it into the document.
"""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

from realtime.conf import Conf

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
HEAD = "| name | unit | default | means |\n|---|---|---|---|\n"
UNITS = {
    "bytes_per_second": "bytes/s", "per_second": "1/s", "seconds": "s", "bytes": "bytes", "rows": "rows",
    "entries": "entries", "threads": "threads", "database": "alias",
}  # fmt: skip
"""By the end of a name; the longest that fits counts."""


def sentences() -> dict[str, str]:
    """Return the docstring below each field of ``Conf``, on one line."""
    (declaration,) = ast.parse(inspect.getsource(Conf)).body
    assert isinstance(declaration, ast.ClassDef)
    found = {}
    for node, following in zip(declaration.body, declaration.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(following, ast.Expr):
            assert isinstance(node.target, ast.Name)
            assert isinstance(following.value, ast.Constant)
            found[node.target.id] = " ".join(str(following.value.value).split())
    return found


def table() -> str:
    """Return the table in Markdown, its lines in the order of the fields."""
    said = sentences()
    rows = []
    for field in dataclasses.fields(Conf):
        unit = next((unit for end, unit in UNITS.items() if field.name.endswith(end)), "")
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        text = said[field.name].replace("``", "`")
        rows.append(
            f"| `{field.name.upper()}` | {unit} | {f'`{default}`' if default else 'none'} | {text} |\n"
        )
    return HEAD + "".join(rows)


def printed() -> str:
    """Return the table as it stands in the document."""
    found = re.search(re.escape(HEAD) + r"(?:\|.*\n)+", DOCUMENT.read_text())
    assert found is not None, f"{DOCUMENT} has no table that begins with {HEAD!r}"
    return found[0]


if __name__ == "__main__":
    DOCUMENT.write_text(DOCUMENT.read_text().replace(printed(), table()))
