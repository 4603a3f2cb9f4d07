"""System checks: each reports its problem with a solution, and none reports anything for the project as it is."""

import re

import pytest

from tests.checks.conftest import found
from tests.support.servers import ROOT, Project


@pytest.mark.parametrize("deploy", [True, False])
def test_nothing_is_reported_for_the_project_as_it_is(deploy):
    """Otherwise its reports would be ignored."""
    assert found(deploy=deploy) == {}


@pytest.mark.parametrize(
    "changes",
    [{"ALLOWED_HOSTS": ["*"]}, {"vendor": "postgresql"}],
    ids=str,
)
def test_checks_for_deployments_run_only_with_deploy(spoil, changes):
    """Both are usual during development."""
    for name, value in changes.items():
        spoil(name, value)

    assert found(deploy=False) == {}


def test_every_check_is_in_the_table():
    """In docs/operations.md, with its id."""
    table = re.findall(
        r"^\| `(realtime\.[EWI]\d+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    source = [
        found
        for path in (ROOT / "realtime" / "checks").glob("*.py")
        for found in re.findall(r"realtime\.[EWI]\d+", path.read_text())
    ]

    assert sorted(table) == sorted(source)


def test_checks_work_where_there_is_no_database(tmp_path):
    """In a build, for example: the server's name does not resolve, and nothing waits for it."""
    project = Project(tmp_path, DATABASE_URL="postgresql://nobody@no-such-host.invalid:1/nothing")

    checked = project.manage("check", check=False)

    assert checked.returncode == 0, checked.stderr
    assert "Traceback" not in checked.stderr
