"""The contract for private objects: what is probed, and what happens where it does not match."""

import logging
import subprocess
import sys
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pytest
import uvicorn  # noqa: F401  (what is not loaded does not fit)
from django.core.management import call_command
from packaging.requirements import Requirement
from packaging.version import Version

from realtime.servers import private_objects
from realtime.servers.private_objects import PARTS, VERSIONS, Feature, Part

ROOT = Path(__file__).resolve().parents[2]


class Owner:
    """A class of another package."""

    limit = 3

    def __init__(self) -> None:
        self.queue: list[int] = []

    def send(self, data: bytes, flush: bool = False) -> None:
        self.queue.append(len(data))


HERE = f"{__name__}:Owner"


@pytest.fixture(autouse=True)
def probe_anew():
    """Each test probes by itself."""
    yield
    private_objects.faults.cache_clear()
    private_objects.report.cache_clear()


@pytest.mark.parametrize("feature", Feature)
def test_the_installed_servers_have_every_part(feature):
    """Otherwise the other tests would pass without the features that they are about."""
    assert private_objects.faults(feature) == ()
    assert private_objects.fits(feature)


def test_every_package_has_versions_known_to_fit():
    """The lowest is the lowest that the requirements allow."""
    lines = "\n".join((ROOT / name).read_text() for name in ("requirements.txt", "requirements-uvicorn.txt"))
    required = {
        requirement.name: requirement.specifier
        for line in lines.splitlines()
        if line and line[0] not in "#-"
        for requirement in [Requirement(line)]
    }

    assert {part.package for parts in PARTS.values() for part in parts} == set(VERSIONS)
    for package, (lowest, _) in VERSIONS.items():
        below = {Version(one.version) for one in required[package] if one.operator == ">="}
        assert below == {Version(lowest)}, package


@pytest.mark.parametrize(
    "part",
    [
        Part("x", f"{HERE}.limit"),
        Part("x", f"{HERE}.send", parameters=("self", "data", "flush")),
        Part("x", f"{HERE}.send", arguments=("self", "data")),
        Part("x", f"{HERE}.send", arguments=("self", "data", "flush=")),
        Part("x", f"{HERE}.__init__", names=("queue",)),
        Part("x", "no.such.module:Parser.parse", only_if_loaded=True),
    ],
)
def test_a_part_that_matches_has_no_fault(part):
    """By its name, its parameters, the arguments of our calls, or the attributes that its code sets."""
    assert part.fault() == ""


@pytest.mark.parametrize(
    "part, fault",
    [
        (Part("x", "no.such.module:name"), "no.such.module:name is missing"),
        (Part("x", f"{HERE}.colour"), "Owner.colour is missing"),
        (
            Part("x", f"{HERE}.send", parameters=("self", "data")),
            "has the parameters (self, data, flush), not (self, data)",
        ),
        (Part("x", f"{HERE}.send", arguments=("self",)), "missing a required argument: 'data'"),
        (Part("x", f"{HERE}.send", arguments=("self", "data", "now=")), "unexpected keyword argument 'now'"),
        (Part("x", f"{HERE}.__init__", names=("queue", "colour")), "does not use colour"),
        (Part("x", f"{HERE}.limit", names=("queue",)), "Owner.limit"),
        (Part("x", f"{HERE}.limit", arguments=()), "is not a callable object"),
    ],
)
def test_a_part_that_does_not_match_says_why(part, fault):
    """In words for the log."""
    assert fault in part.fault()


@pytest.fixture
def without_stalled(monkeypatch) -> None:
    """An installed Twisted whose connections have no offset."""
    parts = (Part("twisted", "twisted.internet.tcp:Server.no_offset"),)
    monkeypatch.setitem(PARTS, Feature.DAPHNE_STALLED, parts)
    private_objects.faults.cache_clear()


def test_a_feature_that_does_not_fit_is_off_and_reported_in_one_line(without_stalled, lines):
    """The others stay; the line names the package, the object, and the versions known to fit."""
    for _ in range(2):
        private_objects.report("daphne")

    assert not private_objects.fits(Feature.DAPHNE_STALLED)
    assert private_objects.fits(Feature.DAPHNE_GUARDS)
    (line,) = lines(logging.WARNING)
    assert line.startswith(f"daphne runs without ending stalled clients: twisted {version('twisted')}: ")
    assert "twisted.internet.tcp:Server.no_offset is missing" in line
    assert "known to fit: " in line
    assert "twisted 25.5.0 to " in line


def test_doctor_reports_a_feature_that_does_not_fit(without_stalled, log):
    """With the same words; the features that fit are listed."""
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", stdout=out)

    words = out.getvalue()
    assert f"BAD  daphne runs without ending stalled clients: twisted {version('twisted')}: " in words
    assert "ok   daphne: guards against hostile clients, waiting for slow readers, ready frames, " in words
    assert "ok   uvicorn: guards against hostile clients, ready frames, ending stalled clients" in words


def test_a_server_that_is_not_loaded_is_neither_probed_nor_imported():
    """Twisted costs memory and installs a reactor."""
    code = (
        "import sys\n"
        "from realtime.servers import private_objects, reactor\n"
        "assert not any(private_objects.fits(feature) for feature in private_objects.Feature)\n"
        "private_objects.report('daphne'); private_objects.report('uvicorn'); reactor.guard_daphne(dict)\n"
        "assert not reactor.is_running() and not reactor.counts_bodies()\n"
        "assert not {'twisted', 'daphne', 'autobahn', 'uvicorn'} & set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
