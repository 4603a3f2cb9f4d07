"""Secret links to boards, and the browsers that have opened one."""

from django.db import models
from django.utils import timezone

from ..secret_tokens import SecretToken


class BoardLink(SecretToken):
    """The right to see one board, public or not, for every browser in which the link was opened."""


class Guest(models.Model):
    """A browser in which secret links were opened, and when the last one was.

    Its session names it as the user, see ``links.py``.
    """

    links = models.ManyToManyField(BoardLink, related_name="guests")
    opened_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return f"guest {self.pk}"
