"""The settings of tests with real servers, with that feed."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.restricted"]  # noqa: F405
