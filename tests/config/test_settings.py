"""The project's settings: what the documents say makes a production machine, each in a process of its own."""

import re
import secrets

import pytest

from tests.support.servers import ROOT, Project

DEPLOY = (ROOT / "docs" / "deploy.md").read_text()


@pytest.fixture
def documented(tmp_path) -> dict[str, str]:
    """The environment that docs/deploy.md gives, with a secret and a folder that there are."""
    block = DEPLOY.partition("# /etc/tidemark.env")[2].partition("```")[0]
    variables = dict(re.findall(r"^([A-Z_]+)=(\S+)", block, re.MULTILINE))
    assert {"HTTPS", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "VAR_DIR"} <= set(variables)
    return {**variables, "SECRET_KEY": secrets.token_urlsafe(50), "VAR_DIR": str(tmp_path)}


@pytest.mark.parametrize("shape", [["DATABASE_URL", "REDIS_URL"], []], ids=["embedded", "many processes"])
def test_the_documented_environment_passes_all_checks_of_a_deployment(documented, shape, tmp_path):
    """Django's and ours, on SQLite in one process and on PostgreSQL and Redis in many."""
    for unset in shape:
        documented[unset] = ""
    project = Project(tmp_path, DJANGO_SETTINGS_MODULE="config.settings", **documented)

    checked = project.manage("check", "--deploy", "--fail-level", "WARNING", check=False)

    assert checked.returncode == 0, checked.stderr


def test_what_hsts_seconds_cannot_mean_is_said(documented, tmp_path):
    """In a line, before anything runs."""
    documented["HSTS_SECONDS"] = "a year"

    checked = Project(tmp_path, **documented).manage("check", check=False)

    assert "HSTS_SECONDS is a whole number" in checked.stderr
    assert "Traceback" not in checked.stderr
