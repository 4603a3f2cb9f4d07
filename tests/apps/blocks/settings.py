"""The settings of tests with real servers, with a page of live blocks at /blocks/."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.blocks"]  # noqa: F405
ROOT_URLCONF = "tests.apps.blocks.urls"
