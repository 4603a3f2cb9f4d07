"""The time zone of a board: of its clock, and of the times that are shown on it."""

import zoneinfo

from django.core.exceptions import ValidationError
from django.utils.timezone import get_default_timezone
from django.utils.translation import gettext as _


def validate_time_zone(name: str) -> None:
    """Raise ValidationError if there is no time zone of this name."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            _("There is no time zone “{name}”; write a name such as Europe/Oslo or Asia/Tokyo.").format(
                name=name
            )
        )


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """Return the time zone of this name; the server's, if it is blank or not a name, because SQL can write any text."""
    try:
        return zoneinfo.ZoneInfo(name or str(get_default_timezone()))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return zoneinfo.ZoneInfo(str(get_default_timezone()))
