"""Checks of declarations in apps: feeds, their order, and functions of ``on_change``. They query no database."""

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from django.core.checks import CheckMessage, Error, Info, Warning
from django.db import models
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template

from ..changes import handlers
from ..feeds import Feed, registry
from ..rows import queries, relations
from ..rows.declaration_faults import fault_of_queryset
from .conf import check_conf

MEANT = {
    "order_by": "ordering", "template": "template_name", "queryset": "get_queryset", "topic": "topic_field",
    "permission_classes": "can_subscribe", "has_permission": "can_subscribe", "select_related": "depends_on",
    "prefetch_related": "depends_on",
}  # fmt: skip
"""Attributes of feeds by names that other packages use for them."""


def check_feeds(**kwargs: Any) -> list[CheckMessage]:
    """Report declarations that cannot work, and those whose rows would show changes late."""
    found: list[CheckMessage] = []
    if check_conf():
        return found  # it names the database that the feeds are checked for
    faults = [
        (name, error, "docs/feeds.md lists what a feed may declare.")
        for name, error in registry.refused.items()
    ]
    faults += [(feed.name, fault.words, fault.hint) for feed in registry.off for fault in feed.faults]
    for feed in registry:
        if feed.template_name:
            try:
                get_template(feed.template_name)
            except (TemplateDoesNotExist, TemplateSyntaxError) as error:
                faults.append(
                    (
                        feed.name,
                        f"its template {feed.template_name} cannot be loaded: {error}",
                        "Correct template_name.",
                    )
                )
        try:
            rows = feed.get_queryset()
            if fault := fault_of_queryset(feed.model, rows):
                faults.append((feed.name, fault.words, fault.hint))
            else:
                found += _of_queryset(feed, rows)
        except Exception as error:
            faults.append((feed.name, f"its queryset raises {error!r}", "Correct filter or get_queryset."))
    return [
        *(
            Error(f"The feed {name!r} is not live: {words}.", hint=hint, id="realtime.E003")
            for name, words, hint in faults
        ),
        *found,
    ]


def _of_queryset(feed: Feed, rows: "models.QuerySet[Any]") -> Iterator[CheckMessage]:
    asks_the_time = queries.reads_the_time(rows) or queries.calls_a_clock(type(feed).get_queryset)
    if asks_the_time and feed.refresh_seconds is None:
        yield Warning(
            f"The time decides which rows the feed {feed.name!r} has, and nothing is written when it passes: rows "
            "appear and disappear late.",
            hint="Set refresh_seconds, or let a job write a column.",
            id="realtime.W011",
        )
    undeclared: dict[str, set[str]] = {}
    functions: list[Any] = [value.made_by for value in feed.values if inspect.isfunction(value.made_by)]
    if type(feed).serialize is not Feed.serialize:
        functions.append(type(feed).serialize)
    for table, where in relations.read_tables(rows, feed.ordering, feed.template_name, functions):
        if table not in feed.tables:
            undeclared.setdefault(table, set()).add(where)
    for table, places in undeclared.items():
        yield Warning(
            f"Rows of the feed {feed.name!r} are read from {table}, by {' and '.join(sorted(places))}, but changes "
            "in that table do not refresh them.",
            hint="Name the relation in depends_on.",
            id="realtime.W012",
        )
    for value in feed.values:
        if getattr(getattr(value.field, "storage", None), "querystring_auth", False):
            yield Warning(
                f"The feed {feed.name!r} sends the address of {value.name}, which its storage signs anew each time: "
                "pages never have what the server has.",
                hint="Send its name, by a @computed method, and let a view sign it; or turn querystring_auth off.",
                id="realtime.W025",
            )
    if queries.reads_other_rows(rows):
        yield Info(
            f"Rows of the feed {feed.name!r} depend on each other (a window, or a subquery of the same table): each "
            "change causes its topic to be read as a whole.",
            hint="Keep the topics small, or add limit; silence this check if that is intended.",
            id="realtime.I001",
        )


def check_names(**kwargs: Any) -> list[CheckMessage]:
    """Report attributes of feeds that no feed reads and whose names are close to one that feeds read."""
    known = [name for name in vars(Feed) if not name.startswith("_")]
    found: list[CheckMessage] = []
    for feed in [] if check_conf() else registry:
        own = {name for each in type(feed).__mro__ if Feed in each.__mro__ for name in vars(each)}
        for name in sorted(own - {*dir(Feed), *(value.name for value in feed.values)}):
            meant = MEANT.get(name) or next(iter(get_close_matches(name, known, 1, 0.8)), None)
            if meant and not name.startswith("_"):
                found.append(
                    Warning(
                        f"The feed {feed.name!r} has {name!r}, which nothing reads.",
                        hint=f"Do you mean {meant}? If not, silence this check.",
                        id="realtime.W027",
                    )
                )
    return found


def check_templates(**kwargs: Any) -> list[CheckMessage]:
    """Report row templates that do not name the row, or name values of one visitor."""
    found: list[CheckMessage] = []
    for feed in [] if check_conf() else registry:
        if not feed.template_name:
            continue
        row = str(feed.model._meta.model_name)
        names = relations.names_in(feed.template_name)
        # A tag of a library, or a template that is included by a variable, may read the row from the context.
        if names is not None and not names & {row, "load", "include", "debug"}:
            found.append(
                Warning(
                    f"The row template {feed.template_name} of the feed {feed.name!r} does not name {row!r}: all rows "
                    "look the same.",
                    hint=f"The row is {{{{ {row} }}}} in it, by its model's name.",
                    id="realtime.W028",
                )
            )
        for name in sorted({"request", "user", "perms", "csrf_token"} & (names or set()) - {row}):
            found.append(
                Warning(
                    f"The row template {feed.template_name} of the feed {feed.name!r} names {name!r}, which is empty "
                    "in it: a row is the same for all its readers.",
                    hint="Put values of one visitor outside of the rows; for forms see "
                    "docs/howto/tables-and-forms.md.",
                    id="realtime.W029",
                )
            )
    return found


def check_order_keys(**kwargs: Any) -> list[CheckMessage]:
    """Report feeds whose order keys disclose values that their rows do not show."""
    return [
        Warning(
            f"The feed {feed.name!r} is ordered by {name!r}, which neither its fields nor its template show, but the "
            "order key of each row contains its value, and every subscriber receives it.",
            hint="If the value is no secret, add it to fields; if it is one, set opaque_order = True.",
            id="realtime.W015",
        )
        for feed in ([] if check_conf() else registry)
        if not feed.opaque_order
        for name in relations.withheld(
            feed.model, [value.name for value in feed.values], feed.ordering, feed.template_name
        )
    ]


def check_handlers(**kwargs: Any) -> list[CheckMessage]:
    """Report functions of ``on_change`` that are never called."""
    return [
        Warning(
            f"The function {handler.name} of on_change is not called: {words}.", hint=hint, id="realtime.W024"
        )
        for handler in ([] if check_conf() else handlers.values())
        for words, hint in handler.faults
    ]
