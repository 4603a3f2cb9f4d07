"""Feeds: the declaration that makes a model live: which rows, fields and topics, and which users may read them.

A feed is registered in its app's ``live.py``, which is imported when Django starts.
"""

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ValidationError
from django.db import models
from django.db.models.constants import LOOKUP_SEP
from django.template.loader import get_template
from django.utils.functional import cached_property

from .conf import get_conf
from .databases.base import is_storable
from .dependencies import dependencies
from .engine.errors import FeedOff, NoSuchFormat, UnknownTopic
from .engine.messages import Format, Row
from .rendering import BadRow, render_row, with_place
from .rows import queries, reading
from .rows.captured import CapturedColumn, Image
from .rows.declaration import Fault, check_columns, check_values, faults, faults_of_surroundings
from .rows.fingerprint import fingerprint
from .rows.rights_tables import rights_sources
from .rows.surroundings import surroundings
from .rows.topic_text import topic_text
from .rows.visibility import answers_together, may_subscribe
from .runtime.left_out import left_out

__all__ = ["Feed", "register"]

logger = logging.getLogger("realtime.feeds")

MAX_TOPIC_CHARACTERS = 200

Field: TypeAlias = "models.Field[Any, Any]"


class Feed:
    """Makes the rows of one model live. Subclass it and ``@register`` it for the model.

    A feed has one topic, its ``name``; with ``topic_field`` it has one per value of that column,
    ``<name>.<value>``. Only staff may read it, unless ``can_subscribe`` is overridden.
    """

    name: str = ""
    """The feed's name in topics; by default the model's name with an s."""
    model: type[models.Model]
    topic_field: str | None = None
    """The column of the model's own table that splits the feed into topics."""
    fields: Sequence[str] = ()
    """The fields that subscribers of the format ``rows`` receive."""
    filter: models.Q | None = None
    """Which rows are live; by default all of them."""
    depends_on: Sequence[str] = ()
    """Relations, as in ``prefetch_related``, whose rows a row is computed from: ``["author", "tags__group"]``."""
    rights_depend_on: Sequence[type[models.Model]] | None = None
    """The models whose rows ``can_subscribe`` reads, users and groups aside: after a change of one, nothing is sent
    before the subscribers' rights were asked again. By default the model that ``topic_field`` refers to, or the
    feed's own where ``topic_field`` is its primary key."""
    ordering: Sequence[str] = ()
    """Field names as in ``order_by``, "-" for descending; the primary key breaks ties."""
    opaque_order: bool = False
    """Whether the order keys that subscribers receive say only which row comes first, and nothing of the values that
    ``ordering`` names. Each change then reads the touched topics as a whole, and sends each row whose place changes."""
    limit: int | None = None
    """Maximum number of rows of a topic: its first ones in the database's ordering."""
    min_interval: float = 0.0
    """Minimum number of seconds between two messages of a topic; changes in between are sent together."""
    refresh_seconds: float | None = None
    """How often topics are read again, where the time or something else that no table holds decides on their rows."""
    template_name: str | None = None
    """The template of one row, one root element; the row is in its context under the model's name."""
    language: str | None = None
    """The language that rows are rendered in, for all subscribers; by default ``LANGUAGE_CODE``."""
    time_zone: str | None = None
    """The time zone that rows are rendered in, for all subscribers; by default ``TIME_ZONE``."""

    def __init__(self, model: type[models.Model]) -> None:
        """Raises: ImproperlyConfigured, for a name or a number that cannot be used; for the rest see ``faults``."""
        if model._meta.abstract:
            raise ImproperlyConfigured(
                f"{model.__name__} is abstract, it has no rows; register the models made of it"
            )
        self.model = model
        self.name = self.name or f"{model._meta.model_name}s"
        self._topic_column: Field | None = None
        try:
            if self.topic_field:
                self._topic_column = self._own_column(self.topic_field)
            for name in [] if isinstance(self.fields, str) else self.fields:
                model._meta.get_field(name)
            self._dependencies = dependencies(model, self.depends_on)
            # Whether a user may read a feed with the default ``can_subscribe`` depends on the user alone.
            is_default = type(self).can_subscribe is Feed.can_subscribe and not answers_together(self, Feed)
            is_for_staff = is_default and self.rights_depend_on is None
            self._rights_sources = rights_sources(
                model, self._topic_column, [] if is_for_staff else self.rights_depend_on
            )
        except FieldDoesNotExist as error:
            raise ImproperlyConfigured(f"feed {self.name!r}: {error}") from error
        check_values(self.name, self.limit, self.min_interval, self.refresh_seconds)
        check_columns(self.name, _primary_key(model), self._topic_column)

    def _own_column(self, name: str) -> Field:
        column: Any = self.model._meta.get_field(name)
        if column not in _concrete(self.model)._meta.local_fields:
            raise ImproperlyConfigured(
                f"feed {self.name!r}: {name} is a column of {column.model.__name__}'s table; "
                f"split by one of {self.model.__name__}'s own"
            )
        assert isinstance(column, models.Field)
        return column

    # ------------------------------------------------------------ for subclasses to override

    def can_subscribe(self, user: Any, key: Any) -> bool | Awaitable[bool]:
        """Return whether a user may read a topic; ``key`` is the topic field's value, None without a topic field.

        A subclass may declare it as an async function.
        """
        return bool(user.is_active and user.is_staff)

    def visible_topics(self, user: Any, keys: Collection[Any]) -> Iterable[Any]:
        """Return those of the keys whose topics a user may read; the place to answer for all of them by one query.

        It decides in place of ``can_subscribe``, unless a subclass declares only that.
        """
        return [key for key in keys if may_subscribe(self, user, key)]

    def same_rights(self, user: Any) -> Hashable:
        """Return what of a user its rights depend on: of users for whom that is equal only one is asked for.

        It does not count for a ``can_subscribe`` or a ``visible_topics`` that a subclass declares alone.
        """
        own: Hashable = user.pk
        return own

    def get_queryset(self) -> "models.QuerySet[Any]":
        """Return the rows of all topics; the place for ``select_related``."""
        rows = self.model._default_manager.all()
        if self.filter is None:
            return rows
        if self.depends_on:
            # A join would return a row once per related row that matches.
            found = self.model._default_manager.filter(self.filter, pk=models.OuterRef("pk"))
            return rows.filter(models.Exists(found))
        return rows.filter(self.filter)

    # ------------------------------------------------------------ what the declaration implies

    @cached_property
    def faults(self) -> list[Fault]:
        """What is wrong with the declaration; a feed with a fault is off: it is not captured and has no topics."""
        annotations: list[str] = []
        names = [name for name in self.ordering if isinstance(name, str) and LOOKUP_SEP not in name]
        own = {name for field in self.model._meta.concrete_fields for name in (field.name, field.attname)}
        if {name.removeprefix("-") for name in names} - {"pk", *own}:
            annotations = list(self.get_queryset().query.annotations)
        return [
            *faults(self.model, self.fields, self.ordering, annotations),
            *faults_of_surroundings(self.language, self.time_zone),
        ]

    @property
    def error(self) -> str | None:
        """Why the feed is off; None if it is live."""
        return self.faults[0].words if self.faults else None

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats that subscribers may ask for."""
        return ("rows", "html") if self.template_name else ("rows",)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits: rows made by a feed of this name with another fingerprint may differ."""
        topics = self.model._meta.label, self.topic_field, list(self.depends_on), sorted(self.rights_tables)
        order = list(self.ordering), self.opaque_order, self.limit
        declaration = list(self.fields), self.filter, order, self.template_name
        functions: list[Any] = [type(self).get_queryset, type(self.model._default_manager).get_queryset]
        return fingerprint(topics, declaration, functions, self.template_name)

    @cached_property
    def is_read_whole(self) -> bool:
        """Whether one row cannot be read alone: its place, or its contents, depend on other rows of the table."""
        return self.limit is not None or self.opaque_order or queries.reads_other_rows(self.get_queryset())

    # ------------------------------------------------------------ tables

    @cached_property
    def sources(self) -> dict[type[models.Model], list[Field]]:
        """The models whose tables rows are computed from, with the columns that triggers record of a change."""
        sources = {_concrete(self.model): [_primary_key(self.model), *filter(None, [self._topic_column])]}
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
            captured.setdefault(model, [_primary_key(model)]).extend(filter(None, [column]))
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

        ``images`` are the captured ones by table. None if more than ``at_most`` rows are touched.
        Images that lack a column are those of another release's triggers, which stand beside this one's.
        ``note_unusable`` is called with each image that has a value which no row of a topic has: such a key names no
        row, and such a topic none.
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
        own = {str(column.column) for column in self.sources[_concrete(self.model)]}
        keys = CapturedColumn(_primary_key(self.model), _hashable)
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
            values = {
                noted(column, image)
                for image in images.get(dependency.table, ())
                if dependency.column.column in image
            } - {None}
            if not values:
                continue
            # Including rows that the filter excludes: they may have left it by this change.
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
        # Those whose topic cannot be read are in none; they are reported when they are read as rows.
        return [*placed, *((keys[number], None) for number in errors)]

    # ------------------------------------------------------------ topics

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
        topic = self.topic(key)
        if not is_legal(topic):
            raise BadRow(
                f"it is in no topic: {topic[:60]!r}… is no name of one; names have up to {MAX_TOPIC_CHARACTERS} "
                "characters, without null characters"
            )
        return topic

    def parse_key(self, text: str) -> Any:
        """Return the key in the second part of a topic's name.

        Raises: ValidationError, if it is not a value of the topic field.
        """
        assert self._topic_column is not None
        key = self._topic_column.to_python(text)
        if isinstance(key, int) and not -(2**63) <= key < 2**63:
            raise ValidationError(f"{text[:80]} is not a 64-bit integer")
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
        """Return the name of the topic with that key; None if it is null, or no topic can have that name."""
        if key is None:
            return None
        topic = self.topic(key)
        return topic if is_legal(topic) else None

    def live_rows(self) -> "models.QuerySet[Any]":
        """Return the rows of all topics, from the database of the log."""
        return self.get_queryset().using(get_conf().database)

    def topic_rows(self, key: Any) -> "models.QuerySet[Any]":
        """Return the rows of one topic, in order, at most ``limit``."""
        rows = self._in_topic(self.live_rows(), key)
        return rows.order_by(*self.ordering, "pk")[: self.limit]

    def _in_topic(self, rows: "models.QuerySet[Any]", key: Any) -> "models.QuerySet[Any]":
        return rows if self._topic_column is None else rows.filter(**{self._topic_column.attname: key})

    def _everywhere(self) -> "models.QuerySet[Any]":
        """Return all rows of the table, whether live or not, in no order."""
        return self.model._base_manager.using(get_conf().database).order_by()

    # ------------------------------------------------------------ rows

    def read_topic(self, key: Any, before_each: Callable[[], None] = lambda: None) -> list[Row]:
        """Return the rows of one topic as subscribers receive them, by their order keys.

        ``before_each`` is called before a row is rendered; what it raises ends the reading unless it is an Exception.

        A row that cannot be read or rendered is left out, with a line in the log.
        Raises: what concerns the feed as a whole, such as a lost connection, a wrong query, a missing template.
        """
        topic = self.topic(key)
        with self._surroundings():
            found = reading.read(
                self.topic_rows(key),
                self._placed_after(before_each),
                by_place=self.is_read_whole,
                candidates=lambda: self._in_topic(self._everywhere(), key),
            )
        left_out.read(self.name, topic, self._leave_out(found, topic))
        # Where the database ignores case, it returns rows of topics whose names differ in case.
        rows = (placed[2] for placed in found.rows if placed and placed[1] == topic)
        # By the order keys, not the database's collation: rows stay where the first paint put them.
        in_order = sorted(rows, key=lambda row: row.order)
        return (
            [with_place(row, place) for place, row in enumerate(in_order)] if self.opaque_order else in_order
        )

    def read_rows(
        self, keys: Collection[Any], before_each: Callable[[], None] = lambda: None
    ) -> dict[Any, tuple[str, Row]]:
        """Return those of the rows with these primary keys that are live, each with its topic, by key.

        ``before_each`` is called before a row is rendered; what it raises ends the reading unless it is an Exception.

        Rows in no topic, and rows that cannot be read or rendered, are left out as in ``read_topic``.
        Raises: as ``read_topic``.
        """
        keys = list(keys)
        placed = self._placed_after(before_each)
        with self._surroundings():
            found = reading.read(self.live_rows().order_by(), placed, by_place=False, candidates=keys)
        failed = self._leave_out(found)
        left_out.shown(self.name, {str(key) for key in keys} - failed)
        return {placed[0]: placed[1:] for placed in found.rows if placed}

    def row(self, instance: models.Model) -> Row:
        """Return one instance as subscribers receive it.

        Raises: whatever its values and its template raise; BadRow.
        """
        return render_row(instance, self.fields, self.ordering, self.template_name)

    def _placed(self, instance: models.Model) -> tuple[Any, str, Row] | None:
        """Return key, topic and row of an instance; None without a topic: there is nothing to render."""
        topic = self.topic_of(instance)
        if topic is None:
            return None
        return instance.pk, topic, self.row(instance)

    def _placed_after(
        self, before_each: Callable[[], None]
    ) -> Callable[[models.Model], tuple[Any, str, Row] | None]:
        def placed(instance: models.Model) -> tuple[Any, str, Row] | None:
            before_each()
            return self._placed(instance)

        return placed

    def _leave_out(self, found: reading.Found[Any], topic: str | None = None) -> set[str]:
        """Note the rows that a reading has left out, and return their keys."""
        for key, error in found.left_out.items():
            left_out.note(self.name, str(key), topic, error)
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
                get_template(self.template_name)  # a missing or wrong template is no fault of a row
            yield


def _hashable(value: Any) -> Any:
    """Return a key. Raises: TypeError, for a list for example: it is none."""
    hash(value)
    return value


def is_legal(topic: str) -> bool:
    """Return whether a topic may have this name: it is stored, and part of addresses."""
    return len(topic) <= MAX_TOPIC_CHARACTERS and is_storable(topic)


def _concrete(model: type[models.Model]) -> type[models.Model]:
    """Return the model that has a table: for a proxy, the model behind it."""
    concrete = model._meta.concrete_model
    assert concrete is not None
    return concrete


def _primary_key(model: type[models.Model]) -> Field:
    key = model._meta.pk
    assert key is not None
    return key


class Registry:
    """The feeds of a project by name; its one instance is ``registry``. Iterating yields those that are not off."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self.refused: dict[str, str] = {}
        """Feeds that could not even be made, by name, with the error; they are off, too."""

    def add(self, feed: Feed) -> None:
        present = self._feeds.get(feed.name)
        if present is not None and type(present).__qualname__ != type(feed).__qualname__:
            raise ImproperlyConfigured(
                f"two feeds have the name {feed.name!r}: {type(present).__name__} and {type(feed).__name__}; "
                "rename one of them"
            )
        self._feeds[feed.name] = feed

    def remove(self, name: str) -> None:
        self._feeds.pop(name, None)
        self.refused.pop(name, None)

    def __iter__(self) -> Iterator[Feed]:
        return iter([feed for feed in self._feeds.values() if feed.error is None])

    def __getitem__(self, name: str) -> Feed:
        return self._feeds[name]

    def __contains__(self, name: str) -> bool:
        return name in self._feeds

    @property
    def off(self) -> list[Feed]:
        """The feeds with a fault in their declaration, which is in ``feed.faults``."""
        return [feed for feed in self._feeds.values() if feed.error is not None]

    def find(self, topic: str) -> tuple[Feed, Any]:
        """Return the feed and the key of a topic.

        Raises: UnknownTopic, also for another spelling of a key: ``entries.07`` is not ``entries.7``.
                FeedOff, if the feed is declared wrongly.
        """
        name, _, text = topic.partition(".")
        feed = self._feeds.get(name)
        if name in self.refused if feed is None else feed.error is not None:
            raise FeedOff(name)
        if feed is None or not is_legal(topic):
            raise UnknownTopic(topic)
        try:
            key = feed.parse_key(text) if feed.topic_field else None
        except (ValidationError, ValueError, OverflowError) as error:
            raise UnknownTopic(topic) from error
        if feed.topic(key) != topic:
            raise UnknownTopic(topic)
        return feed, key

    def check_format(self, topic: str, format: Format) -> None:
        """Refuse a format that the feed of a topic does not have.

        Raises: NoSuchFormat; and what ``find`` raises.
        """
        if format not in self.find(topic)[0].formats:
            raise NoSuchFormat(topic, format)


registry = Registry()


def register(model: type[models.Model]) -> Callable[[type[Feed]], type[Feed]]:
    """Register the decorated feed for a model.

    A declaration that cannot be used does not keep the project from starting: the feed is off, which the
    system checks report, and all others are live.
    """

    def decorate(feed_class: type[Feed]) -> type[Feed]:
        try:
            registry.add(feed_class(model))
        except ImproperlyConfigured as error:
            name = feed_class.name or f"{model._meta.model_name}s"
            registry.refused[name] = str(error)
            logger.error("%s; this feed is off", error)
        return feed_class

    return decorate
