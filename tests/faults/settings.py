"""The settings of the suite's processes: those of the tests, with the fragile feeds and what makes a process fail."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.faulty", "tests.faults.apps.FaultsConfig"]  # noqa: F405
REALTIME = {
    **REALTIME,  # noqa: F405
    "DRAIN_SECONDS": 1.0,
}
