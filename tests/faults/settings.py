"""The settings of the suite's processes: those of the tests, and the application that makes a process fail."""

import os

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults.apps.FaultsConfig"]  # noqa: F405
REALTIME = {
    **REALTIME,  # noqa: F405
    "LOG_RETENTION_SECONDS": float(os.environ.get("LOG_RETENTION_SECONDS", "3600")),
    "DRAIN_SECONDS": 1.0,
}
