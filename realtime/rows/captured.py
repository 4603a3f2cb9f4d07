"""Captured values: values of a column as triggers record them, and as Django returns them when it reads the row."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from django.db import models

from ..databases.registry import database
from ..runtime.failures import contained
from . import reading

Field: TypeAlias = "models.Field[Any, Any]"
Image: TypeAlias = dict[str, Any]
"""An image of a row, as a trigger has recorded it: values by column."""


class CapturedColumn:
    """The values of a column in many images; equal texts and whole numbers are converted once."""

    def __init__(self, column: Field, convert: Callable[[Any], Any] = lambda value: value) -> None:
        """``convert`` is applied to each value after Django's own converters."""
        self.name = str(column.column)
        self._column, self._database, self._convert = column, database(), convert
        self._expression = column.get_col(column.model._meta.db_table)
        self._converters = [
            *self._database.connection.ops.get_db_converters(self._expression),
            *self._expression.get_db_converters(self._database.connection),
        ]
        self._known: dict[int | str, Any] = {}

    def value(self, image: Image) -> Any:
        """Return the value in an image, which must have the column.

        Raises: ValueError or ValidationError, if no row can have it; what drivers and converters raise.
        """
        noted = image[self.name]
        if type(noted) is not int and type(noted) is not str:  # True is equal to 1, and lists have no hash
            return self._read(noted)
        if noted not in self._known:
            self._known[noted] = self._read(noted)
        return self._known[noted]

    def is_as_django_writes(self, image: Image) -> bool:
        """Return whether a value in an image is stored in the form in which Django would write it.

        False too for a value that Django cannot read or write: rows may refer to it all the same.
        """
        noted = image[self.name]
        try:
            stored = self._column.get_db_prep_value(self.value(image), self._database.connection)
        except Exception as error:
            if not reading.is_of_a_row(error):
                raise
            return False
        match stored:
            case None:
                return noted is None
            case str():
                return str(noted) == stored
            case Decimal():
                return float(self._database.value(self._column, noted)) == float(stored)
        return True

    def _read(self, noted: Any) -> Any:
        with contained:
            value = self._database.value(self._column, noted)
            for convert in self._converters:
                value = convert(value, self._expression, self._database.connection)
            self._column.to_python(
                value
            )  # its result may be written in another way than the instance's value
            stored = self._column.get_db_prep_value(value, self._database.connection)
            if isinstance(value, str):
                value.encode()
            if isinstance(stored, int) and not -(2**63) <= stored < 2**63:
                raise ValueError("no column holds the number")
            return self._convert(value)
