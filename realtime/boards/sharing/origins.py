"""Origins: the sites whose pages may show a board in a frame and read its rows."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,5})?", re.ASCII)
"""As browsers send it: in lower case, without a path. Only such texts may be written into a header."""
MAX_ORIGINS = 20


def origins(text: str) -> list[str]:
    """Return the origins in a text, one per line; other lines are left out, because SQL can write any text."""
    return [line for line in lines(text) if ORIGIN.fullmatch(line)][:MAX_ORIGINS]


def validate_origins(text: str) -> None:
    """Raise ValidationError if a line is not an origin, or if there are too many."""
    for line in lines(text):
        if not ORIGIN.fullmatch(line):
            raise ValidationError(
                _(
                    "“{line}” is not the address of a site; write https:// and its name, without a path, such as "
                    "https://example.com, one per line."
                ).format(line=line)
            )
    if len(lines(text)) > MAX_ORIGINS:
        raise ValidationError(
            _("At most {number} sites are possible. Remove some.").format(number=MAX_ORIGINS)
        )


def lines(text: str) -> list[str]:
    """Return the lines of a text that are not blank; an origin that ends with a slash without it."""
    return [line.strip().removesuffix("/").lower() for line in text.splitlines() if line.strip()]
