"""The project's settings for tests of real servers; tests of apps add to them."""

from config.settings import *  # noqa: F403

# Its feed would add entries to the log of every test that counts them; tests/boards/test_all_entries.py has it on.
BOARDS_HISTORY_DAYS = 0
