"""Tables that the faults of tests/faults/ strike, and one that they leave alone."""

from typing import Any, ClassVar, Self

from django.db import models

from .switches import UNRENDERABLE


class Model(models.Model):
    objects: ClassVar[models.Manager[Self]]

    class Meta:
        abstract = True


class Item(Model):
    """A row whose writer may store what cannot be shown: ``is_bad`` is the suite's own note of that."""

    shelf = models.TextField(
        help_text="Splits the feed into topics, and may be too long for the name of one."
    )
    name = models.TextField(default="", db_default="")
    day: Any = models.DateField(null=True)
    is_bad = models.BooleanField(default=False, db_default=False)

    def __str__(self) -> str:
        return self.name

    @property
    def words(self) -> str:
        """Return the name, as the template shows it.

        Raises: RuntimeError, for a name that the suite has chosen for it.
        """
        if self.name == UNRENDERABLE:
            raise RuntimeError("this row cannot be rendered")
        return self.name


class Crate(Model):
    """A row of a table that is replaced by another one of the same name."""

    label = models.TextField(default="", db_default="")

    def __str__(self) -> str:
        return self.label


class Reading(Model):
    """A row of a table that is partitioned by ``sector`` on PostgreSQL."""

    sector = models.IntegerField()
    level = models.IntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return f"{self.level} in {self.sector}"


class Parcel(Model):
    """A row of a feed that two releases declare differently."""

    shelf = models.IntegerField()
    floor = models.IntegerField()
    weight = models.IntegerField(default=0, db_default=0)
    label = models.TextField(default="", db_default="")

    def __str__(self) -> str:
        return self.label


class Pulse(Model):
    """A row of a healthy feed, written regularly to measure how long its changes take."""

    number = models.IntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return str(self.number)
