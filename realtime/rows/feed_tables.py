"""The tables that a feed's rows and rights depend on, and the rows that a captured change of them touches."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from django.db import models

from ..conf import get_conf
from . import reading, stored_forms
from .captured import CapturedColumn, Image
from .dependencies import Dependency
from .feed_topics import FeedTopics, Field, concrete, primary_key


class FeedTables(FeedTopics):
    """The part of a feed that triggers and the sequencer use."""

    _dependencies: list[Dependency]
    _rights_sources: "dict[type[models.Model], Field | None]"

    @cached_property
    def sources(self) -> dict[type[models.Model], list[Field]]:
        """The models whose tables rows are computed from, with the columns that triggers record of a change."""
        sources = {concrete(self.model): [primary_key(self.model), *filter(None, [self._topic_column])]}
        for dependency in self._dependencies:
            sources.setdefault(dependency.model, []).append(dependency.column)
        return sources

    @cached_property
    def tables(self) -> set[str]:
        """The names of the tables that rows are computed from."""
        return {model._meta.db_table for model in self.sources}

    @cached_property
    def captured(self) -> dict[type[models.Model], list[Field]]:
        """All models whose changes the feed needs: ``sources``, and those that rights to its topics depend on."""
        captured = {model: list(fields) for model, fields in self.sources.items()}
        for model, column in self._rights_sources.items():
            captured.setdefault(model, [primary_key(model)]).extend(filter(None, [column]))
        return captured

    @cached_property
    def rights_tables(self) -> set[str]:
        """The names of the tables that rights to the feed's topics depend on."""
        return {model._meta.db_table for model in self._rights_sources}

    def topics_in_question(self, table: str, image: Image) -> set[str]:
        """Return the topics to which rights may have changed with a captured row; the feed's name stands for all.

        Raises: what converting a value raises that the column cannot have.
        """
        topics = set()
        for model, column in self._rights_sources.items():
            if model._meta.db_table != table:
                continue
            if column is None or column.column not in image:
                return {self.name}
            topics.add(self._legal_topic(CapturedColumn(column).value(image)))
        return {topic for topic in topics if topic is not None}

    def touched(
        self,
        images: Mapping[str, Sequence[Image]],
        at_most: int,
        note_unusable: Callable[[Image], None] = lambda image: None,
    ) -> dict[Any, set[str]] | None:
        """Return the rows that changes touch: for each primary key the topics that the row was in.

        ``images`` are the captured ones by table. None if more than ``at_most`` rows are touched, or if rows may refer
        to one by a value in another form than the one that Django looks for. Images that lack a column are from another
        release's triggers, which exist beside this release's. ``note_unusable`` is called with each image that has an
        impossible value: a key that no row can have, or that no topic can have.
        """

        def noted(column: CapturedColumn, image: Image) -> Any:
            try:
                return column.value(image)
            except Exception as error:
                if not reading.is_of_a_row(error):
                    raise
                note_unusable(image)
                return None

        touched: dict[Any, set[str]] = defaultdict(set)
        own = {str(column.column) for column in self.sources[concrete(self.model)]}
        keys = CapturedColumn(primary_key(self.model), _hashable)
        topics = self._topic_column and CapturedColumn(self._topic_column, self._legal_topic)
        for image in images.get(self.model._meta.db_table, ()):
            if not own <= image.keys():
                continue
            key = noted(keys, image)
            if key is not None:
                topic = noted(topics, image) if topics else self.name
                touched[key].update(() if topic is None else [topic])
        for dependency in self._dependencies:
            column = CapturedColumn(dependency.column, _hashable)
            has_several = stored_forms.has_several(dependency.column)
            values = set()
            for image in images.get(dependency.table, ()):
                if image.get(column.name) is None:
                    continue
                if has_several and not column.is_as_django_writes(image):
                    return None
                value = noted(column, image)
                if value is not None:
                    values.add(value)
            if not values:
                continue
            # Including rows that the filter excludes: this change may have excluded them.
            rows = self._everywhere().filter(**{f"{dependency.lookup}__in": values}).distinct()
            for key, topic in self._with_topics(rows, at_most + 1):
                touched[key].update([] if topic is None else [topic])
        return touched if len(touched) <= at_most else None

    def _with_topics(self, rows: "models.QuerySet[Any]", at_most: int) -> list[tuple[Any, str | None]]:
        """Return the keys of rows, each with the row's topic."""
        column = self._topic_column
        if column is None:
            return [(key, self.name) for key in rows.values_list("pk", flat=True)[:at_most]]
        try:
            with reading.failing_alone():
                found = list(rows.values_list("pk", column.attname)[:at_most])
            return [(key, self._legal_topic(topic_key)) for key, topic_key in found]
        except Exception as error:
            if not reading.is_of_a_row(error):
                raise
        keys = list(rows.values_list("pk", flat=True)[:at_most])

        def of_some(start: int, end: int) -> list[tuple[Any, str | None]]:
            some = self._everywhere().filter(pk__in=keys[start:end]).values_list("pk", column.attname)
            return [(key, self._legal_topic(topic_key)) for key, topic_key in some]

        placed, errors = reading.isolate(of_some, len(keys))
        # Rows whose topic cannot be read are in no topic; they are reported when they are read as rows.
        return [*placed, *((keys[number], None) for number in errors)]

    def _everywhere(self) -> "models.QuerySet[Any]":
        """Return all rows of the table, live or not, without an order; no manager excludes any."""
        return models.QuerySet(self.model, using=get_conf().database).order_by()


def _hashable(value: Any) -> Any:
    """Return a key. Raises: TypeError, for a list for example: it is none."""
    hash(value)
    return value
