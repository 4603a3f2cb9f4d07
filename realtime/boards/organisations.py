"""Organisations whose name and logo boards show. A logo is kept in the database, as all content of boards is."""

import hashlib
from typing import Any
from xml.etree.ElementTree import ParseError

from csp.decorators import csp_replace
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control

MAX_LOGO_KB = 200
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


INERT = {"default-src": ["'none'"], "script-src": None, "sandbox": [""]}
"""The policy of a picture that is opened by itself: an SVG is a document then."""


class Logo(models.Model):
    """A picture, by the digest of its content: another picture has another address."""

    digest = models.CharField(max_length=64, primary_key=True)
    content_type = models.CharField(max_length=40)
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.digest

    @classmethod
    def keep(cls, content: bytes) -> "Logo":
        """Store a picture, unless it is stored already, and return it.

        Raises: ValidationError, in an editor's words, if it is none that browsers show.
        """
        kind = content_type_of(content)
        digest = hashlib.sha256(content).hexdigest()
        return cls.objects.get_or_create(digest=digest, defaults={"content": content, "content_type": kind})[
            0
        ]


class Organisation(models.Model):
    """What boards show beside their title: the name and the logo of those whose boards they are."""

    name = models.CharField(_("name"), max_length=80)
    logo = models.ForeignKey(Logo, models.SET_NULL, null=True, editable=False, related_name="organisations")

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")

    def __str__(self) -> str:
        return self.name


def content_type_of(content: bytes) -> str:
    """Return the type of a picture, by its content.

    Raises: ValidationError, if it is too large or none of those that browsers show.
    """
    if len(content) > MAX_LOGO_KB * 1024:
        raise ValidationError(
            _("This file has %(size)d kB; choose a picture of at most %(most)d kB."),
            params={"size": len(content) // 1024, "most": MAX_LOGO_KB},
        )
    for signature, kind in SIGNATURES.items():
        if content.startswith(signature):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    try:
        root = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        root = None
    if root is not None and root.tag in ("svg", "{http://www.w3.org/2000/svg}svg"):
        return "image/svg+xml"
    raise ValidationError(
        _("This is no picture that browsers show; choose a PNG, SVG, JPEG, WebP or GIF file.")
    )


def picture_of(file: Any) -> bytes:
    """Return the content of a file that was sent, no more of it than is needed to refuse it.

    Raises: ValidationError, if it cannot be a logo.
    """
    content: bytes = file.read(MAX_LOGO_KB * 1024 + 1)
    content_type_of(content)
    return content


def remove_unused() -> None:
    """Delete the pictures that no organisation has."""
    Logo.objects.filter(organisations=None).delete()


@csp_replace(INERT)  # type: ignore[arg-type]  # its types know views without arguments
@cache_control(public=True, max_age=365 * 24 * 3600, immutable=True)
def logo(request: HttpRequest, digest: str) -> HttpResponse:
    """Return a picture, which browsers may keep for good: its address is made of its content."""
    found: Any = get_object_or_404(Logo, digest=digest)
    return HttpResponse(bytes(found.content), content_type=found.content_type)
