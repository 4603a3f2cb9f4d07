"""The project's settings, with what tests of real servers want quicker; from the environment as well."""

import os

from config.settings import *  # noqa: F403

REALTIME = {
    **REALTIME,  # noqa: F405
    "HEARTBEAT_SECONDS": float(os.environ.get("HEARTBEAT_SECONDS", "15")),
    "RECHECK_SECONDS": float(os.environ.get("RECHECK_SECONDS", "3")),
    "MAX_CONNECTIONS_PER_ADDRESS": int(os.environ.get("MAX_CONNECTIONS_PER_ADDRESS", "200")),
    "PUBLISHER": os.environ.get("PUBLISHER", "on") == "on",
}
