"""The settings of tests with real servers, with a page of viewers at /sociable/."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.apps.sociable"]  # noqa: F405
ROOT_URLCONF = "tests.apps.sociable.urls"
