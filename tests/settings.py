"""The project's settings for tests of real servers, with shorter times; each is also read from the environment."""

import os

from config.settings import *  # noqa: F403

_OURS = {
    "TICK_SECONDS": 0.05,
    "HEARTBEAT_SECONDS": 15.0,
    "RECHECK_SECONDS": 3.0,
    "HANDSHAKE_SECONDS": 10.0,
    "REQUEST_SECONDS": 60.0,
    "MAX_HANDSHAKES": 5000,
    "STALL_SECONDS": 60.0,
    "MAX_CONNECTIONS_PER_ADDRESS": 200,
}
REALTIME = {
    **REALTIME,  # noqa: F405
    **{name: type(default)(os.environ.get(name, default)) for name, default in _OURS.items()},
    "PUBLISHER": os.environ.get("PUBLISHER", "on") == "on",
}
