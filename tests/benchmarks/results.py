"""The results of runs: the JSON file ``var/bench.json``, written after each scenario, has the latest of each."""

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from tests.support.servers import ROOT

FILE = Path(os.environ.get("VAR_DIR") or ROOT / "var") / "bench.json"
PACKAGES = ("django", "channels", "daphne", "uvicorn", "django-eventstream")


def machine() -> dict[str, str | int]:
    return {
        "python": platform.python_version(),
        "cores": psutil.cpu_count() or 0,
        **{package: version(package) for package in PACKAGES},
    }


def commit() -> str:
    """Return the short name of the commit that is measured, with a + if files differ from it; empty without git."""
    command = ["git", "describe", "--always", "--dirty=+"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def read(file: Path = FILE) -> dict[str, Any]:
    """Return the results of scenarios by name; empty if there is no file yet."""
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def write(scenario: str, result: dict[str, Any], file: Path = FILE) -> None:
    """Put the result of a scenario into the file; the others in it stay."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.new")
    partial.write_text(json.dumps(read(file) | {scenario: result}, indent=1))
    partial.replace(file)


def surroundings(scale: float) -> dict[str, Any]:
    """Return what a result is measured with, to be written beside it."""
    return {
        "commit": commit(), "scale": scale, "load": round(os.getloadavg()[0], 1),
        "at": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(),
    }  # fmt: skip
