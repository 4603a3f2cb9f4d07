"""``make audit``: asks pip-audit for known vulnerabilities of the packages installed here, except pip itself.

The data comes from the OSV database over the network. If that cannot be reached, the audit prints that it did not
happen and succeeds; it fails if a vulnerability is found.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from importlib.metadata import distributions

OSV_URL = "https://api.osv.dev/v1/query"
SECONDS = 60.0


def installed() -> dict[str, str]:
    """Return the installed packages as name: version, without pip, setuptools and wheel, which do not run with us."""
    found = {one.metadata["Name"].lower(): one.version for one in distributions()}
    return {name: found[name] for name in sorted(found.keys() - {"pip", "setuptools", "wheel"})}


def is_reachable(url: str) -> bool:
    """Return whether the URL answers a query as OSV does."""
    question = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "1.0"}
    try:
        with urllib.request.urlopen(url, json.dumps(question).encode(), timeout=10) as answer:
            return isinstance(json.load(answer), dict)
    except (OSError, ValueError):
        return False


def audit(url: str = OSV_URL, seconds: float = SECONDS) -> int:
    """Return 1 if there are known vulnerabilities or pip-audit fails, otherwise 0."""
    packages = installed()
    if not is_reachable(url):
        return not_audited(f"{url} cannot be reached", packages)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.writelines(f"{name}=={version}\n" for name, version in packages.items())
        pins.flush()
        command = [
            sys.executable, "-m", "pip_audit", "--requirement", pins.name, "--no-deps", "--disable-pip",
            "--vulnerability-service", "osv", "--osv-url", url, "--progress-spinner", "off", "--aliases",
        ]  # fmt: skip
        try:
            return subprocess.run(command, timeout=seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            return not_audited(f"{url} did not answer within {seconds:g} s", packages)


def not_audited(why: str, packages: dict[str, str]) -> int:
    frame = "=" * 100
    words = f"NOT AUDITED: {why}.\n{len(packages)} packages were not checked; run `make audit` elsewhere."
    print(f"{frame}\n{words}\n{frame}")
    return 0


if __name__ == "__main__":
    sys.exit(audit())
