"""The time zone of a board: of its clock, and of the times that are shown on it."""

import zoneinfo
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import get_default_timezone
from django.utils.translation import gettext as _

CONTINENTS = {
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
}  # fmt: skip
"""The first parts of the names that people know; others are older names of the same zones."""


class ZoneInput(forms.TextInput):
    """An input of a time zone, which suggests the places whose names contain what is typed."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        suggestions = f"{(attrs or {}).get('id', name)}_zones"
        zones = sorted(
            zone for zone in zoneinfo.available_timezones() if zone.partition("/")[0] in CONTINENTS
        )
        return format_html(
            '{}<datalist id="{}">{}</datalist>',
            super().render(name, value, {**(attrs or {}), "list": suggestions}, renderer),
            suggestions,
            format_html_join("", '<option value="{}"></option>', ((zone,) for zone in zones)),
        )


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
