"""The settings of the suite's processes: those of the tests, with the fragile feeds and what makes a process fail."""

import os

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.faulty", "tests.faults.apps.FaultsConfig"]  # noqa: F405
REALTIME = {
    **REALTIME,  # noqa: F405
    "LOG_RETENTION_SECONDS": float(os.environ.get("LOG_RETENTION_SECONDS", "3600")),
    "DRAIN_SECONDS": 1.0,
}
