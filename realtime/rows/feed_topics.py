"""The topics of a feed: their names, and which of them a row is in."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import models

from ..databases.base import is_storable
from ..databases.registry import prepared
from ..engine.errors import UnknownTopic
from . import reading
from .captured import CapturedColumn, Image
from .rendering import BadRow
from .topic_text import topic_text

Field: TypeAlias = "models.Field[Any, Any]"

MAX_TOPIC_CHARACTERS = 200


class FeedTopics:
    """The part of a feed that names its topics."""

    name: str
    model: type[models.Model]
    topic_field: str | None
    _topic_column: "Field | None"

    def _own_column(self, name: str) -> Field:
        try:
            column: Any = self.model._meta.get_field(name)
        except FieldDoesNotExist as error:
            own = ", ".join(field.attname for field in concrete(self.model)._meta.local_concrete_fields)
            raise FieldDoesNotExist(f"{error}; topic_field is a column of its own table: {own}") from None
        if column not in concrete(self.model)._meta.local_fields:
            raise ImproperlyConfigured(
                f"feed {self.name!r}: {name} is a column of {column.model.__name__}'s table; "
                f"split by one of {self.model.__name__}'s own"
            )
        assert isinstance(column, models.Field)
        return column

    def topic(self, key: Any = None) -> str:
        """Return the name of the topic with that key."""
        if self._topic_column is None:
            return self.name
        return f"{self.name}.{topic_text(self._topic_column, key)}"

    def topic_of(self, instance: models.Model) -> str | None:
        """Return the topic of an instance; None if its topic field is null.

        Raises: BadRow, if no topic can have that name.
        """
        if self._topic_column is None:
            return self.name
        key = getattr(instance, self._topic_column.attname)
        if key is None:
            return None
        if isinstance(key, bytes):
            raise BadRow(f"it is in no topic: its {self._topic_column.name} holds bytes; store a text")
        topic = self.topic(key)
        if not is_legal(topic):
            raise BadRow(
                f"it is in no topic: {topic[:60]!r}… is not a valid name for one; names have up to "
                f"{MAX_TOPIC_CHARACTERS} characters, without null characters"
            )
        return topic

    def parse_key(self, text: str) -> Any:
        """Return the key in the second part of a topic's name.

        Raises: ValidationError and what fields raise, if it is not a value of the topic field.
        """
        assert self._topic_column is not None
        key = self._topic_column.to_python(text)
        stored = prepared(self._topic_column, key)  # not every field has checked it
        if isinstance(stored, int) and not -(2**63) <= stored < 2**63:
            raise ValidationError(f"{text[:80]} is not a 64-bit integer")
        return key

    def parse_topic(self, topic: str) -> Any:
        """Return the key of a topic of this feed, None without a topic field.

        Raises: UnknownTopic, also for another spelling of a key: ``entries.07`` is not ``entries.7``.
        """
        _, _, text = topic.partition(".")
        try:
            key = self.parse_key(text) if self._topic_column is not None else None
        except Exception as error:
            if not reading.is_of_a_row(error):
                raise
            raise UnknownTopic(topic) from error
        if self.topic(key) != topic:
            raise UnknownTopic(topic)
        return key

    def named_topics(self, images: Iterable[Image]) -> set[str]:
        """Return the topics that captured rows of the feed's own table were in."""
        if self._topic_column is None:
            return {self.name} if any(True for _ in images) else set()
        column = CapturedColumn(self._topic_column, self._legal_topic)
        topics = set()
        for image in images:
            try:
                topics.add(column.value(image))
            except Exception as error:
                if not reading.is_of_a_row(error):
                    raise
        return topics - {None}

    def _legal_topic(self, key: Any) -> str | None:
        """Return the name of the topic with that key; None for a null key, or if no topic can have that name."""
        if key is None or isinstance(key, bytes):
            return None
        topic = self.topic(key)
        return topic if is_legal(topic) else None


def is_legal(topic: str) -> bool:
    """Return whether a topic may have this name: it is stored, and part of addresses."""
    return len(topic) <= MAX_TOPIC_CHARACTERS and is_storable(topic)


def concrete(model: type[models.Model]) -> type[models.Model]:
    """Return the model that has a table: for a proxy, the model behind it."""
    concrete = model._meta.concrete_model
    assert concrete is not None
    return concrete


def primary_key(model: type[models.Model]) -> Field:
    key = model._meta.pk
    assert key is not None
    return key
