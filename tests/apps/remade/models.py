"""One model, as its last migration leaves it."""

from django.db import models


class Berth(models.Model):
    name = models.CharField(max_length=40)
    dock = models.IntegerField(default=1)
    note = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return self.name
