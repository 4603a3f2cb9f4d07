"""A stand-in for systemd on the machine of the test: starts and stops the processes of unit files.

``PREFIX/run/units`` holds the process id of each unit that runs, ``PREFIX/var/log/journal`` what it has printed. It
knows templates, drop-ins, and of a unit's settings those that say how its process is run.
"""

import contextlib
import fnmatch
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

PREFIX = Path(os.environ["PREFIX"])
UNITS = [PREFIX / "etc/systemd/system", PREFIX / "lib/systemd/system"]
RUNNING = PREFIX / "run/units"


def full(unit: str) -> str:
    return unit if unit.endswith(".service") else f"{unit}.service"


def settings(unit: str) -> dict[str, list[str]]:
    """Return the values of each setting of a unit, with its drop-ins; an empty value forgets those before it."""
    name, _, instance = full(unit).removesuffix(".service").partition("@")
    file = f"{name}@.service" if instance else f"{name}.service"
    paths = [path for folder in UNITS if (path := folder / file).exists()][:1]
    if not paths:
        sys.exit(f"Unit {unit} not found.")
    found: dict[str, list[str]] = defaultdict(list)
    for path in [*paths, *sorted((UNITS[0] / f"{file}.d").glob("*.conf"))]:
        for line in path.read_text().replace("\\\n", " ").splitlines():
            key, equals, value = line.replace("%i", instance).partition("=")
            if equals and not line.startswith(("#", "[")):
                found[key] = [*found[key], value] if value else []
    return found


def environment(unit: dict[str, list[str]]) -> dict[str, str]:
    """Return what systemd passes on: nothing of the caller's but the paths, and what the unit names."""
    given = {"PATH": os.environ["PATH"], "PREFIX": str(PREFIX), "LANG": "C.UTF-8"}
    lines = [line for path in unit["EnvironmentFile"] for line in Path(path).read_text().splitlines()]
    for line in [*lines, *unit["Environment"]]:
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            given[name] = "".join(shlex.split(value))
    return given


def process(unit: str) -> int | None:
    """Return the process id of a unit that runs."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        number = int((RUNNING / full(unit)).read_text())
        os.kill(number, 0)
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        return None if state == "Z" else number
    return None


def start(unit: str) -> None:
    if process(unit):
        return
    known = settings(unit)
    for folder in known["StateDirectory"]:
        (PREFIX / "var/lib" / folder).mkdir(parents=True, exist_ok=True)
    log = PREFIX / "var/log/journal" / full(unit)
    with log.open("ab") as output:
        child = subprocess.Popen(
            shlex.split(known["ExecStart"][-1]),
            cwd=known["WorkingDirectory"][-1] if known["WorkingDirectory"] else "/",
            env=environment(known),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    (RUNNING / full(unit)).write_text(str(child.pid))


def stop(unit: str, number: int | None = None) -> None:
    running = process(unit)
    if running is None:
        return
    if number is None:
        known = settings(unit)["KillSignal"]
        number = signal.Signals[known[-1]] if known else signal.SIGTERM
    os.kill(running, number)
    deadline = time.monotonic() + 60
    while process(unit) and time.monotonic() < deadline:
        time.sleep(0.02)
    if process(unit):
        os.kill(running, signal.SIGKILL)
    (RUNNING / full(unit)).unlink()


def main(verb: str, arguments: list[str]) -> None:
    options = [word for word in arguments if word.startswith("--")]
    names = [word for word in arguments if not word.startswith("--")]
    running = [path.name for path in RUNNING.iterdir()]
    units = [
        one
        for name in names
        for one in (fnmatch.filter(running, full(name)) if "*" in name else [full(name)])
        if one != "systemd-journald.service"
    ]
    for unit in units:
        match verb:
            case "start" | "enable" if verb == "start" or "--now" in options:
                start(unit)
            case "stop" | "disable" if verb == "stop" or "--now" in options:
                stop(unit)
            case "restart":
                stop(unit)
                start(unit)
            case "try-restart" if process(unit):
                stop(unit)
                start(unit)
            case "is-active" if not process(unit):
                sys.exit(3)
            case "reload":
                os.kill(process(unit) or sys.exit(f"{unit} is not active."), signal.SIGHUP)
            case "kill":
                stop(unit, signal.Signals["SIGKILL"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
