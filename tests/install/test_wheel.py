"""The distribution ``django-tidemark``: the app alone, with all of its files, by pip from every form of it."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import realtime
from tests.install.conftest import pip
from tests.support.servers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
NOT_PYTHON = {"py.typed", ".html", ".js", ".css", ".svg"}
ONLY_OURS = {"servestatic", "django-csp", "psutil", "dj-database-url", "segno", "openpyxl", "defusedxml"}
"""The packages that this project needs for the demo, its settings and its pages."""


def ranges(*names: str) -> dict[str, Requirement]:
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]
    return {one.name: one for one in wanted}


def tracked() -> set[str]:
    """Return the files of the app in this repository that are part of the distribution."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "realtime"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return {name for name in listed if not name.startswith("realtime/boards/")}


def members(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_ranges_are_those_that_the_project_itself_is_tested_with():
    """Each is declared twice, for pip and for this project: they may not differ."""
    extras = [one for extra in EXTRAS.values() for one in extra]
    declared = {(one := Requirement(line)).name: one for line in [*PROJECT["dependencies"], *extras]}
    tested = ranges("tests/requirements.txt")
    ours = ranges("requirements.txt", "requirements-uvicorn.txt")
    ours |= {name: one for name, one in tested.items() if name in declared}

    assert {name: str(one.specifier) for name, one in declared.items()} == {
        name: str(one.specifier) for name, one in ours.items() if name not in ONLY_OURS
    }
    assert {name: one.extras for name, one in declared.items()} == {
        name: ours[name].extras for name in declared
    }


def test_the_classifiers_name_the_versions_that_pip_allows():
    named = {
        line.rpartition(" :: ")[2]
        for line in PROJECT["classifiers"]
        if line.startswith("Framework :: Django ::")
    }
    django = Requirement(PROJECT["dependencies"][0])

    assert {
        version for version in ("5.1", "5.2", "6.0", "6.1") if f"{version}.15" in django.specifier
    } == named


@pytest.mark.server
def test_the_wheel_has_every_file_of_the_app_and_nothing_else(wheel):
    """Templates, static files, migrations, types; no demo, no tests."""
    assert members(wheel) == tracked()
    assert {kind for kind in NOT_PYTHON if not any(name.endswith(kind) for name in members(wheel))} == set()


@pytest.mark.server
def test_the_version_and_the_licence_are_in_the_metadata(wheel):
    """The version is written once, in the package."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        metadata = message_from_bytes(archive.read(name))

    assert metadata["Name"] == "django-tidemark"
    assert metadata["Version"] == realtime.__version__
    assert metadata["License-Expression"] == "MIT"
    assert set(metadata.get_all("Provides-Extra", [])) == set(EXTRAS)


@pytest.mark.server
def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")

    pip("wheel", archive.with_name(archive.name.removesuffix(".tar.gz")), "--wheel-dir", tmp_path)

    (built,) = tmp_path.glob("*.whl")
    assert members(built) == members(wheel)


@pytest.mark.server
def test_an_editable_installation_is_the_repository(tmp_path):
    """For work on the engine from within another project."""
    pip("install", "--editable", ".", "--prefix", tmp_path)
    (folder,) = tmp_path.glob("lib*/python*/site-packages")

    program = f"import site; site.addsitedir({str(folder)!r}); import realtime; print(realtime.__file__)"

    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip

    assert Path(found.strip()) == ROOT / "realtime" / "__init__.py"


@pytest.mark.server
def test_the_app_runs_with_its_dependencies_alone(installed, tmp_path):
    """Servers, drivers and layers are extras: none of them is imported where it is not used."""
    extras = {Requirement(line).name.replace("-", "_") for extra in EXTRAS.values() for line in extra}
    blocked = extras | {"servestatic", "csp", "psutil", "dj_database_url"}
    program = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(blocked)!r}))
import realtime.asgi
from django.conf import settings
settings.configure(
    SECRET_KEY="a secret for tests", ROOT_URLCONF="realtime.urls", USE_TZ=True, STATIC_URL="static/",
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "django.contrib.staticfiles", "realtime"],
)
from django.core.asgi import get_asgi_application
application = realtime.asgi.application(get_asgi_application())
from django.core.management import call_command
call_command("migrate", verbosity=0)
print(application, realtime.__file__)
"""

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env={"PATH": "", "PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout
