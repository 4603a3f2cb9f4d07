"""Secret links to boards, and the browsers that have opened one."""

from django.db import models

from ..secret_tokens import SecretToken


class BoardLink(SecretToken):
    """The right to see one board, public or not, for every browser in which the link was opened."""


class Guest(models.Model):
    """A browser in which secret links were opened. Its session names it as the user, see ``links.py``."""

    links = models.ManyToManyField(BoardLink, related_name="guests")
    made_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"guest {self.pk}"
