"""Readings: the numeric values of entries over time, for charts."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone


class Reading(models.Model):
    """The value of an entry from a time on, if it is a number.

    It has no foreign key: programs may delete entries by SQL without deleting readings. A job deletes these.
    """

    entry = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now, db_default=Now())
    value = models.FloatField()

    class Meta:
        indexes = [models.Index(fields=["entry", "at"], name="boards_reading_entry")]

    def __str__(self) -> str:
        return f"{self.value:g} at {self.at}"
