"""A release's packages: ranges with floors, the lock file with exact versions and hashes, the bill of materials."""

import json
import os
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.servers import ROOT

RANGES = [
    Requirement(line.partition("#")[0])
    for name in ("requirements.txt", "requirements-uvicorn.txt")
    for line in (ROOT / name).read_text().splitlines()
    if line and not line.startswith(("#", "-r"))
]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", LOCK, re.MULTILINE)
"""Names and versions; a name may be there twice, for different interpreters."""


@pytest.mark.parametrize("one", RANGES, ids=lambda one: one.name)
def test_each_package_has_a_floor(one):
    """The lowest version that is known to work and to have no known vulnerability; older ones are never installed."""
    assert any(part.operator in {">=", "=="} for part in one.specifier)


@pytest.mark.parametrize("one", RANGES, ids=lambda one: one.name)
def test_the_locked_version_is_in_the_range(one):
    """After a change of a range: ``make lock``."""
    versions = [version for name, version in PINS if name == canonicalize_name(one.name)]

    assert versions
    assert all(version in one.specifier for version in versions)


def test_each_locked_version_has_hashes_and_no_address_is_in_the_file():
    """pip then takes the packages from the index of the machine, and refuses files other than those locked."""
    entries = [entry for entry in re.split(r"^(?=[a-z])", LOCK, flags=re.MULTILINE) if "==" in entry]

    assert len(entries) == len(PINS)
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"://|--(?:index|extra-index|find-links)", LOCK) == []


@pytest.mark.server
def test_pip_accepts_the_lock_with_hashes_required():
    """The line of docs/deploy.md; the dry run resolves and checks, and installs nothing."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--require-hashes",
            "--quiet", "--no-deps", "-r", "requirements.lock",
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if "connection broken" in done.stderr and os.environ.get("CI") != "true":
        pytest.skip("no package index can be reached")

    assert done.returncode == 0, done.stderr


@pytest.mark.server
def test_the_bill_of_materials_is_valid_and_names_every_locked_package(tmp_path):
    """``make sbom``: the tool validates what it writes by the schema of CycloneDX."""
    makefile = (ROOT / "Makefile").read_text()
    command = re.search(r"\$\(BIN\)/(cyclonedx-py .*)sbom\.json (.*)", makefile)
    assert command is not None
    document = tmp_path / "sbom.json"

    subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *command[1].split()[1:], document, *command[2].split()],
        cwd=ROOT, check=True, capture_output=True, timeout=300,
    )  # fmt: skip

    bill = json.loads(document.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert {(one["name"], one["version"]) for one in bill["components"]} == set(PINS)
