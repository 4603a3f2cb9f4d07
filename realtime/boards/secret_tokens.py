"""Tokens: long random texts that give a right to a program or a viewer. Only their digests are stored."""

import hashlib
import secrets
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

BYTES = 32


class SecretTokenQuerySet(models.QuerySet[Any]):
    def valid(self) -> Self:
        """Return the tokens that give their right now: not those of deactivated accounts."""
        return self.filter(models.Q(made_by=None) | models.Q(made_by__is_active=True))


class SecretToken(models.Model):
    """A right concerning one board. A client that has the text has the right, until the row is deleted.

    The right rests on the account that made the token: it pauses while that is deactivated, and ends with it.
    """

    board = models.ForeignKey("boards.Board", models.CASCADE, related_name="%(class)ss")
    name = models.CharField(_("name"), max_length=100, help_text=_("What it is for, or who has it."))
    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, editable=False, related_name="+"
    )
    made_at = models.DateTimeField(auto_now_add=True)

    objects = SecretTokenQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["made_at", "pk"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def make(cls, board: Any, name: str, user: Any) -> tuple[Self, str]:
        """Store a new token; return it with its text, which cannot be read again."""
        text = secrets.token_urlsafe(BYTES)
        return cls.objects.create(board=board, name=name, made_by=user, digest=digest_of(text)), text

    @classmethod
    def found(cls, text: str) -> Self | None:
        """Return the token with this text, None if there is none, if it was revoked or if its maker is deactivated."""
        return cls.objects.valid().select_related("board", "made_by").filter(digest=digest_of(text)).first()


def digest_of(text: str) -> str:
    """Return the digest that is stored of a text. The text has 256 random bits, so a quick digest is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
