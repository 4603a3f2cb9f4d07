"""Checks of a server process: its reactor, and its limit of open files."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from ..servers import open_files
from .conf import check_conf


def check_daphne(**kwargs: Any) -> list[CheckMessage]:
    names = [name.partition(".")[0] for name in settings.INSTALLED_APPS]
    if "daphne" not in names[1:]:
        return []
    return [
        Warning(
            "daphne is not the first of INSTALLED_APPS: an app before it may install another Twisted reactor, "
            "or another runserver.",
            hint="Put 'daphne' first.",
            id="realtime.W007",
        )
    ]


def check_open_files(**kwargs: Any) -> list[CheckMessage]:
    if check_conf():
        return []  # it reports why the number of connections is unknown
    needed, (_, allowed) = open_files.files_needed(), open_files.limits()
    if allowed >= needed:
        return []
    return [
        Warning(
            f"A process here may open {allowed} files, and REALTIME['MAX_CONNECTIONS'] needs {needed}: a server "
            "accepts fewer connections, so that it can still open its database.",
            hint=f"Raise the limit (LimitNOFILE={needed} in a systemd unit, ulimit -Hn), or lower MAX_CONNECTIONS.",
            id="realtime.W014",
        )
    ]
