"""Boards and their entries: what a wall screen shows.

Nothing here knows that the rows are live; ``live.py`` says so.
"""

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.urls import reverse


class BoardQuerySet(models.QuerySet["Board"]):
    def visible_to(self, user: Any) -> "BoardQuerySet":
        """Return the boards a user may see: staff all of them, everyone else the public ones."""
        return self.all() if user.is_active and user.is_staff else self.filter(is_public=True)


class Board(models.Model):
    """A titled table that people leave open; its entries are its rows."""

    slug = models.SlugField(unique=True, help_text="Its part of the address: /boards/departures/.")
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="", db_default="")
    label_heading = models.CharField(max_length=60, blank=True, default="", db_default="")
    value_heading = models.CharField(max_length=60, blank=True, default="", db_default="")
    status_heading = models.CharField(max_length=60, blank=True, default="", db_default="")
    note_heading = models.CharField(max_length=60, blank=True, default="", db_default="")
    position = models.IntegerField(default=0, db_default=0, help_text="Boards are listed from low to high.")
    is_public = models.BooleanField(
        "public", default=True, db_default=True, help_text="Others are seen by staff only."
    )

    objects = BoardQuerySet.as_manager()

    class Meta:
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("boards:board", args=[self.slug])


class Status(models.TextChoices):
    """How an entry is doing. The style sheet colours each by its value; an entry without one shows none."""

    NONE = "", "No status"
    OK = "ok", "OK"
    INFO = "info", "Now"
    WARNING = "warning", "Watch"
    CRITICAL = "critical", "Alert"


class Entry(models.Model):
    """One row of a board. Whoever writes it in SQL has to give a board and a label, nothing else."""

    board = models.ForeignKey(Board, models.CASCADE, related_name="entries")
    position = models.IntegerField(default=0, db_default=0, help_text="Entries are listed from low to high.")
    label = models.CharField(max_length=200)
    value = models.CharField(max_length=200, blank=True, default="", db_default="")
    unit = models.CharField(max_length=40, blank=True, default="", db_default="")
    status = models.CharField(max_length=20, choices=Status, blank=True, default="", db_default="")
    note = models.CharField(max_length=500, blank=True, default="", db_default="")
    is_visible = models.BooleanField("visible", default=True, db_default=True)
    updated = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        ordering = ["position", "pk"]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return self.label
