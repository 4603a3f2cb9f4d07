"""The check of the versions of packages, and which version of a package is installed."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.utils.version import get_version_tuple

# The oldest acceptable versions, and the faults of older ones.
LEAST_VERSIONS = {
    "daphne": ("4.2.3", "accepts messages of any size, and forged headers"),
    "autobahn": ("26.7.1", "decompresses a client's data without a limit"),
}


def check_versions(**kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"{name} is older than {least}: it {fault}.",
            hint=f"pip install '{name}>={least}'",
            id="realtime.W005",
        )
        for name, (least, fault) in LEAST_VERSIONS.items()
        if () < installed_version(name) < get_version_tuple(least)
    ]


def installed_version(name: str) -> tuple[int, ...]:
    """Return the version of an installed package; empty if it is not installed."""
    try:
        return get_version_tuple(version(name))
    except PackageNotFoundError:
        return ()
