"""The project's settings for tests of real servers; tests of apps add to them."""

from config.settings import *  # noqa: F403
