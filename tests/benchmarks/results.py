"""The results of runs: one JSON file for each part in ``var/bench``, written after each scenario."""

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

FOLDER = Path(os.environ.get("VAR_DIR") or ROOT / "var") / "bench"
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


def read(part: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return what has been measured of a part: its scenarios by name; empty if nothing was."""
    file = folder / f"{part}.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def write(part: str, scenario: str, result: dict[str, Any], folder: Path = FOLDER) -> None:
    """Put the result of a scenario into the file of its part; the others in it stay."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = read(part, folder) | {scenario: result}
    partial = folder / f"{part}.json.new"
    partial.write_text(json.dumps(whole, indent=1))
    partial.replace(folder / f"{part}.json")


def surroundings(scale: float) -> dict[str, Any]:
    """Return what a result is measured with, to be written beside it."""
    return {
        "commit": commit(), "scale": scale, "load": round(os.getloadavg()[0], 1),
        "at": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(),
    }  # fmt: skip
