"""The project's settings, with what tests of real servers want quicker; from the environment as well."""

import os

from config.settings import *  # noqa: F403

REALTIME = {
    "TICK_SECONDS": float(os.environ.get("TICK_SECONDS", "0.05")),
    "HEARTBEAT_SECONDS": float(os.environ.get("HEARTBEAT_SECONDS", "15")),
    "RECHECK_SECONDS": float(os.environ.get("RECHECK_SECONDS", "5")),
    "HANDSHAKE_SECONDS": float(os.environ.get("HANDSHAKE_SECONDS", "10")),
    "REQUEST_SECONDS": float(os.environ.get("REQUEST_SECONDS", "60")),
    "STALL_SECONDS": float(os.environ.get("STALL_SECONDS", "60")),
    "PUBLISHER": os.environ.get("PUBLISHER", "on") == "on",
}
