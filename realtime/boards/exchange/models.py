"""Batches of changes by imports, which are undone at once, and tokens of programs that write rows."""

from django.conf import settings
from django.db import models

from ..secret_tokens import SecretToken


class Batch(models.Model):
    """The revisions of one import, which the history shows as one change. Like revisions, it outlives its board.

    ``entries`` are the keys of all entries that it has changed: revisions of some may have been removed.
    """

    board = models.BigIntegerField(db_index=True)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    summary = models.CharField(max_length=300)
    entries = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return self.summary


class RowToken(SecretToken):
    """The right of a program to read all rows of one board, and to replace them."""

    used_at = models.DateTimeField(null=True, editable=False)
