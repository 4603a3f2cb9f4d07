"""The tag of the boards' pages: ``{% load boards %}``."""

from django import template

from ..builds import build

register = template.Library()


@register.inclusion_tag("boards/_build.html")
def board_build() -> dict[str, str]:
    """Render the build that the page is of, and the address that has that of now: scripts compare them."""
    return {"build": build()}
