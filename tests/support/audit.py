"""``make audit``: asks pip-audit whether known vulnerabilities are in what is installed here, besides pip itself.

The data is the OSV database's, over the network. Where it cannot be reached nothing is known: that is said, and
no failure. What is found is one.
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
    """Return name and version of what is installed; of pip and its like nothing runs with us."""
    found = {one.metadata["Name"].lower(): one.version for one in distributions()}
    return {name: found[name] for name in sorted(found.keys() - {"pip", "setuptools", "wheel"})}


def is_reachable(url: str) -> bool:
    """Whether somebody answers a question there as OSV does."""
    question = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "1.0"}
    try:
        with urllib.request.urlopen(url, json.dumps(question).encode(), timeout=10) as answer:
            return isinstance(json.load(answer), dict)
    except (OSError, ValueError):
        return False


def audit(url: str = OSV_URL, seconds: float = SECONDS) -> int:
    """Return 1 when there are known vulnerabilities, or when pip-audit fails; 0 otherwise."""
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
    words = f"NOT AUDITED: {why}.\nOf {len(packages)} packages nothing is known; run `make audit` elsewhere."
    print(f"{frame}\n{words}\n{frame}")
    return 0


if __name__ == "__main__":
    sys.exit(audit())
