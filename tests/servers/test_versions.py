"""The guards hold on the lowest and the highest versions of the servers that the requirements allow.

The versions are installed in a folder of their own, which precedes the installed ones. ``make versions`` runs this
module with HOSTILE=1: then hostile clients attack real servers of these versions, too.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from realtime.servers.private_objects import VERSIONS

pytestmark = pytest.mark.server

ROOT = Path(__file__).resolve().parents[2]
LOWEST = [f"{package}=={lowest}" for package, (lowest, _) in VERSIONS.items()]
HIGHEST = ["daphne<5", "twisted", "autobahn", "uvicorn<1"]
ATTACKS = ["tests/processes/hostile", "tests/processes/test_connections.py"]


@pytest.fixture(scope="module", params=[LOWEST, HIGHEST], ids=["lowest", "highest"])
def environment(request, tmp_path_factory) -> dict[str, str]:
    """The environment of a process that imports these versions."""
    folder = tmp_path_factory.mktemp("versions")
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1",
         "--no-deps", "--target", str(folder), *request.param],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if installed.returncode:
        pytest.skip(f"no package registry: {installed.stderr.strip().splitlines()[-1]}")
    names = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "VAR_DIR": str(folder / "var")}
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | names


def run(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout[-4000:])
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_every_private_object_fits(environment):
    """The installed versions are the requested ones, and no feature is off."""
    run(
        environment, "-c",
        "import daphne.server, twisted, autobahn, uvicorn\n"
        "from realtime.servers.private_objects import Feature, faults\n"
        "for module in (daphne, twisted, autobahn, uvicorn): print(module.__name__, module.__version__)\n"
        "assert all(module.__file__.startswith(__import__('os').environ['PYTHONPATH'].partition(':')[0])\n"
        "           for module in (daphne, twisted, autobahn, uvicorn))\n"
        "assert not [fault for feature in Feature for fault in faults(feature)]",
    )  # fmt: skip


def test_the_servers_tests_pass(environment):
    """The tests of the guards, frames, and the other modules."""
    run(environment, "-m", "pytest", "tests/servers", "-q", "-p", "no:cacheprovider", "-m", "not server")


@pytest.mark.skipif("HOSTILE" not in os.environ, reason="takes minutes: make versions")
def test_hostile_clients_are_resisted(environment):
    """As on the installed versions."""
    guarded = "not (hostile and uvicorn)"  # by itself uvicorn does not resist them
    run(environment, "-m", "pytest", *ATTACKS, "-q", "-p", "no:cacheprovider", "-k", guarded)
