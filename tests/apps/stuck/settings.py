"""The settings of tests with real servers, with that feed."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.stuck"]  # noqa: F405
REALTIME = {**REALTIME, "READ_SECONDS": 3600.0}  # noqa: F405
