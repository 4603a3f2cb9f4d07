"""The script that a page has in itself, to open its connection while the page client is still being loaded."""

import base64
import hashlib
from functools import cache
from pathlib import Path

__all__ = ["early_script", "early_script_hash"]


@cache
def early_script() -> str:
    """Return the script, without the line that says what it is made of."""
    path = Path(__file__).parents[1] / "static" / "realtime" / "early.min.js"
    return path.read_text().partition("\n")[2].strip()


def early_script_hash() -> str:
    """Return the source for ``script-src`` by which a Content-Security-Policy allows this inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(early_script().encode()).digest()).decode()}'"
