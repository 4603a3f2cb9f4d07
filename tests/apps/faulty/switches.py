"""Switches that make the feeds fail or slow: files in ``VAR_DIR``, an environment variable, and a name."""

import os
from pathlib import Path

FAILING_FILE = "failing"
"""Holds the share of its queries, from 0 to 1, in which the feed ``erratics`` fails."""
SLOW_FILE = "slow"
"""Holds the number of seconds that a query of the feed ``slows`` takes."""
UNRENDERABLE = "unrenderable"
"""The name of an item that its template cannot show."""
NEXT_RELEASE = "next"
"""The value of ``RELEASE`` in the environment with which the feed ``parcels`` is declared differently."""


def is_next_release() -> bool:
    return os.environ.get("RELEASE") == NEXT_RELEASE


def number_in(name: str) -> float:
    """Return the number in a file of ``VAR_DIR``, 0 if there is no such file."""
    try:
        return float((Path(os.environ["VAR_DIR"]) / name).read_text())
    except (FileNotFoundError, ValueError):
        return 0.0
