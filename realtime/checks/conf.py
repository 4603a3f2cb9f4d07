"""The check of ``settings.REALTIME``, and the settings that the other checks use."""

from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from ..conf import Conf, get_conf


def check_conf(**kwargs: Any) -> list[CheckMessage]:
    try:
        get_conf()
    except ImproperlyConfigured as error:
        return [
            Error(
                str(error), hint="docs/operations.md lists all settings with their units.", id="realtime.E001"
            )
        ]
    return []


def conf_or_defaults() -> Conf:
    """Return the settings; the defaults if they are invalid, which ``check_conf`` reports."""
    try:
        return get_conf()
    except ImproperlyConfigured:
        return Conf()
