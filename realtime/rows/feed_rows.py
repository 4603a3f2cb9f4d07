"""The rows of a feed, read and rendered as its subscribers receive them; a row that fails does not affect others."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeAlias

from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, models
from django.template.loader import get_template
from msgspec import UNSET

from ..conf import get_conf
from ..engine.errors import FeedOff, UnknownTopic
from ..engine.messages import Content, Row
from ..runtime.failures import contained
from ..runtime.left_out import left_out
from . import reading, stored_forms
from .declaration_faults import fault_of_queryset
from .feed_declaration import FeedDeclaration
from .feed_topics import primary_key
from .rendering import BadRow, render_row, with_place
from .surroundings import surroundings

_Placed: TypeAlias = tuple[Any, str, Row]
"""Primary key, topic and row of an instance."""


class FeedRows(FeedDeclaration):
    """The part of a feed that reads and renders rows."""

    def live_rows(self) -> "models.QuerySet[Any]":
        """Return the rows of all topics, from the database of the log, with the related rows that ``fields`` reads.

        Raises: ImproperlyConfigured, if the queryset names another database; whatever ``get_queryset`` raises.
        """
        rows = self.get_queryset()
        if fault := fault_of_queryset(self.model, rows):
            raise ImproperlyConfigured(f"feed {self.name!r}: {fault.words}. {fault.hint}")
        rows = rows.using(get_conf().database)
        # Django selects no related rows of a union, or with deferred columns.
        is_plain = not rows.query.combinator and not rows.query.deferred_loading[0]
        return rows.select_related(*self.relations) if self.relations and is_plain else rows

    def topic_rows(self, key: Any) -> "models.QuerySet[Any]":
        """Return the rows of one topic, in order, at most ``limit``."""
        rows = self._in_topic(self.live_rows(), key)
        return rows.order_by(*self.ordering, "pk")[: self.limit]

    def keys_after(self, key: Any, at_most: int, topic: str) -> list[Any]:
        """Return the next primary keys after one of a topic's rows, None for the first; of all rows by the feed's name.

        Raises: UnknownTopic.
        """
        rows = self.live_rows().order_by("pk")
        if self._topic_column is not None and topic != self.name:
            rows = self._in_topic(rows, self.parse_topic(topic))
        after = (rows if key is None else rows.filter(pk__gt=key)).values_list("pk", flat=True)
        keys = list(after[:at_most])
        if not stored_forms.has_several(primary_key(self.model)):
            return keys
        # A key by which Django finds no row, or one further on, cannot be continued from.
        found = list(after.filter(pk__in=stored_forms.found(after, keys)))
        while found and len(after.filter(pk__lte=found[-1])[: len(keys) + 1]) > len(keys):
            found.pop()
        if keys and not found and len(keys) == at_most:
            return self.keys_after(key, 2 * at_most, topic)
        return found

    def _in_topic(self, rows: "models.QuerySet[Any]", key: Any) -> "models.QuerySet[Any]":
        return rows if self._topic_column is None else rows.filter(**{self._topic_column.attname: key})

    def read_topic(
        self,
        key: Any,
        before_each: Callable[[], None] = lambda: None,
        format: Content | None = None,
        note_left_out: Callable[[Any], None] = lambda key: None,
    ) -> list[Row]:
        """Return the rows of one topic as subscribers receive them, by their order keys.

        In one format, or in all formats: then a row that cannot be rendered in one of them is left out.
        ``before_each`` is called before a row is rendered; what it raises ends the reading unless it is an Exception.

        A row that cannot be read or rendered is left out, with a line in the log; ``note_left_out`` is called with its
        key.
        Raises: UnknownTopic, if the database refuses the key; what concerns the feed as a whole, such as a lost
        connection, a wrong query, a missing template.
        """
        topic = self.topic(key)
        in_topic = self._in_topic(self._everywhere(), key)
        try:
            with self._surroundings():
                found = reading.read(
                    self.topic_rows(key),
                    self._placed_after(before_each, format),
                    by_place=self.is_read_whole,
                    candidates=lambda: in_topic,
                )
        except DataError as error:
            if reading.is_possible(in_topic):
                raise
            raise UnknownTopic(topic) from error
        if stored_forms.has_several(primary_key(self.model)):
            found = self._found_by_key(found, key, format)
        left_out.read(self.name, topic, self._leave_out(found, topic, format), format)
        for failed in found.left_out:
            note_left_out(failed)
        # Where the database ignores case, it returns rows of topics whose names differ in case.
        rows = (placed[2] for placed in found.rows if placed and placed[1] == topic)
        # Ordered by the order keys, not by the database's collation, as in the first paint.
        in_order = sorted(rows, key=lambda row: row.order)
        return (
            [with_place(row, place) for place, row in enumerate(in_order)] if self.opaque_order else in_order
        )

    def read_rows(
        self,
        keys: Collection[Any],
        before_each: Callable[[], None] = lambda: None,
        format: Content | None = None,
        note_left_out: Callable[[Any], None] = lambda key: None,
    ) -> dict[Any, tuple[str, Row]]:
        """Return the live rows among those with these primary keys, each with its topic, by key.

        ``before_each`` is called before a row is rendered; what it raises ends the reading unless it is an Exception.

        Rows in no topic, and rows that cannot be read or rendered, are left out as in ``read_topic``; of the latter
        ``note_left_out`` is called with each key.
        Raises: as ``read_topic``.
        """
        keys = list(keys)
        placed = self._placed_after(before_each, format)
        with self._surroundings():
            found = reading.read(self.live_rows().order_by(), placed, by_place=False, candidates=keys)
        if self._topic_column is not None and stored_forms.has_several(self._topic_column):
            found = _without_others(found, self._found_by_topic(found), "topic field")
        failed = self._leave_out(found, None, format)
        left_out.shown(self.name, {str(key) for key in keys} - failed, format)
        for key in found.left_out:
            note_left_out(key)
        return {placed[0]: placed[1:] for placed in found.rows if placed}

    def _found_by_key(
        self, found: reading.Found[_Placed | None], key: Any, format: Content | None
    ) -> reading.Found[_Placed | None]:
        """Return a reading of a topic with those of its rows that ``read_rows`` returns for their keys."""
        rows = self.live_rows()
        # A union cannot be filtered; it is read whole.
        rows = self._everywhere() if rows.query.combinator else self._in_topic(rows.order_by(), key)
        times = Counter([*found.left_out, *(placed[0] for placed in found.rows if placed)])
        found = _without_others(found, stored_forms.found(rows, list(times)), "key")
        several = {key for key, number in times.items() if number > 1}
        if not several:
            return found
        by_key = [(key, *row) for key, row in self.read_rows(several, format=format).items()]
        others = [placed for placed in found.rows if placed and placed[0] not in several]
        return replace(
            found,
            rows=[*others, *by_key],
            left_out={**found.left_out, **dict.fromkeys(several, _in_another_form("key"))},
        )

    def _found_by_topic(self, found: reading.Found[_Placed | None]) -> set[Any]:
        """Return the keys of the rows that a reading of their topic also finds."""
        assert self._topic_column is not None
        keys = [placed[0] for placed in found.rows if placed]
        topics = []
        for topic in {placed[1] for placed in found.rows if placed}:
            with suppress(UnknownTopic):  # the value is written in another way than in its topic's name
                topics.append(self.parse_topic(topic))
        in_topics = self._everywhere().filter(**{f"{self._topic_column.attname}__in": topics})
        return stored_forms.found(in_topics, keys)

    def row(self, instance: models.Model) -> Row:
        """Return one instance as subscribers receive it.

        Raises: whatever its values and its template raise; BadRow.
        """
        return render_row(instance, self.serialize(instance), self.ordering, self.template_name)

    def _row(self, instance: models.Model, format: Content | None) -> Row:
        if format is None:
            return self.row(instance)
        if getattr(self.row, "__func__", None) is not FeedRows.row:
            return self.row(instance).within((format,))  # a subclass makes all formats together
        if format == "html":
            return render_row(instance, UNSET, self.ordering, self.template_name)
        return render_row(instance, self.serialize(instance), self.ordering, None)

    def _placed(self, instance: models.Model, format: Content | None) -> _Placed | None:
        """Return key, topic and row of an instance; None without a topic: there is nothing to render."""
        topic = self.topic_of(instance)
        if topic is None:
            return None
        return instance.pk, topic, self._row(instance, format)

    def _placed_after(
        self, before_each: Callable[[], None], format: Content | None
    ) -> Callable[[models.Model], _Placed | None]:
        def placed(instance: models.Model) -> _Placed | None:
            before_each()
            with contained:
                return self._placed(instance, format)

        return placed

    def _leave_out(self, found: reading.Found[Any], topic: str | None, format: Content | None) -> set[str]:
        """Note the rows that a reading has left out, and return their keys."""
        for key, error in found.left_out.items():
            left_out.note(self.name, str(key), topic, error, format)
        return {str(key) for key in found.left_out}

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """Return a block in which rows are read and rendered.

        Raises: FeedOff; what loading the template raises.
        """
        if self.error is not None:
            raise FeedOff(self.name)
        with surroundings(self.language, self.time_zone):
            if self.template_name:
                get_template(self.template_name)  # a missing or wrong template is not the fault of a row
            with contained:
                yield


def _without_others(
    found: reading.Found[_Placed | None], keys: set[Any], column: str
) -> reading.Found[_Placed | None]:
    """Return a reading without the rows that Django does not find by the value that it has read of a column."""
    others = {placed[0]: placed for placed in found.rows if placed and placed[0] not in keys}
    if not others:
        return found
    return replace(
        found,
        rows=[placed for placed in found.rows if not placed or placed[0] not in others],
        left_out={**found.left_out, **dict.fromkeys(others, _in_another_form(column))},
    )


def _in_another_form(column: str) -> BadRow:
    return BadRow(
        f"its {column} is stored in another form than Django writes, so that Django does not find the row by it; "
        "store the value again through Django, or as Django writes it: a UUID, for example, without dashes on SQLite"
    )
