"""The app in a project of its own: without the boards, and without this project's settings and templates."""

import json
import subprocess
import sys

import pytest

from tests.support.servers import ROOT

pytestmark = pytest.mark.server


def test_every_address_answers_in_a_project_without_the_boards(tmp_path):
    """A new address needs an entry here, and in the requests of tests/apps/standalone."""
    kept = {"PATH": "/usr/bin:/bin", "VAR_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-m", "tests.apps.standalone"],
        cwd=ROOT, env=kept, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "metrics/": 200,
        "inspector/": 200,
        "realtime/sse/": 200,
        "^realtime/topics/(?P<topic>.+)/$": 200,
        "realtime/live/": 200,
        "realtime/ready/": 200,
        "realtime/calls/": 400,  # a call without an action
        "realtime/ticket/": 401,  # without a session or a password
        "realtime/ws/": 426,  # a request without an upgrade
        "socket realtime/ws/": "welcome",
    }
