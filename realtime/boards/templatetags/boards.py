"""The tag of the boards' pages: ``{% load boards %}``."""

from django import template
from django.conf import settings

from ..builds import build

register = template.Library()


@register.inclusion_tag("boards/_build.html")
def board_build() -> dict[str, str]:
    """Render the build that the page is of, and the address that has that of now: scripts compare them."""
    return {"build": build()}


@register.simple_tag
def languages() -> list[tuple[str, str]]:
    """Return the languages of the site, each by its own name; Django's tag translates the names."""
    return settings.LANGUAGES
