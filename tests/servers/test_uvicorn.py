"""The protocol classes for uvicorn's command line: guarded if this uvicorn fits, else its own."""

import subprocess
import sys
from pathlib import Path

from realtime.servers import uvicorn, uvicorn_guards

ROOT = Path(__file__).resolve().parents[2]


def test_the_classes_on_the_command_line_are_the_guarded_ones():
    """The names are those of docs/deploy.md."""
    assert uvicorn.GuardedHttp is uvicorn_guards.GuardedHttp
    assert uvicorn.GuardedWebSocket is uvicorn_guards.GuardedWebSocket


def test_an_upgrade_that_does_not_fit_leaves_uvicorn_its_own_classes():
    """The command line that names the guards starts the server all the same."""
    code = (
        "import uvicorn\n"
        "from realtime.servers import private_objects\n"
        "from realtime.servers.private_objects import PARTS, Feature, Part\n"
        "PARTS[Feature.UVICORN_GUARDS] = (Part('uvicorn', 'uvicorn:no_such_thing'),)\n"
        "from realtime.servers.uvicorn import GuardedHttp, GuardedWebSocket\n"
        "assert GuardedHttp.__module__.startswith('uvicorn.protocols.http'), GuardedHttp\n"
        "assert GuardedWebSocket.__module__.startswith('uvicorn.protocols.websockets'), GuardedWebSocket\n"
    )

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
