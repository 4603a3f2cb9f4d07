"""The parameters of requests for topics: the parts of the query string of a WebSocket, stream or poll."""

import math
from collections.abc import Mapping, Sequence
from typing import get_args

from ..access.handshake import BadQuery
from ..access.limits import TooMuch
from ..engine.messages import Format, Subscribe, WireFormat

MAX_WAIT_SECONDS = 25.0

Parameters = Mapping[str, Sequence[str]]


def last(parameters: Parameters, name: str, default: str = "") -> str:
    """Return a parameter that is given once; the last value if it is repeated."""
    return parameters.get(name, [default])[-1]


def subscriptions(parameters: Parameters, limit: int, last_event_id: str = "") -> list[Subscribe]:
    """Return a subscription for each requested topic, from the position that ``last_event_id`` or ``since`` names.

    Raises: BadQuery, TooMuch.
    """
    names = topics(parameters, limit)
    forms = wire_formats(parameters, len(names))
    since = positions(last_event_id or last(parameters, "since"), len(names))
    return [
        Subscribe(topic, position, form.format)
        for topic, position, form in zip(names, since, forms, strict=True)
    ]


def topics(parameters: Parameters, limit: int) -> list[str]:
    """Return the requested topics, each once.

    Raises: BadQuery if there is none, TooMuch if there are more than ``limit``.
    """
    names = list(dict.fromkeys(parameters.get("topic", [])))
    if not names:
        raise BadQuery("name the topics to follow: ?topic=boards&topic=entries.1")
    if len(names) > limit:
        raise TooMuch(limit, "topics of one stream")
    return names


def wire_formats(parameters: Parameters, topic_count: int = 1) -> list[WireFormat]:
    """Return the form of the rows of each topic: one ``format`` for all topics, or one for each in their order.

    Raises: BadQuery.
    """
    known: dict[str, Format] = {name: name for name in get_args(Format)}
    names = parameters.get("format", ["rows"])
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadQuery(f"format is signal, rows or html, not {unknown[0][:40]!r}")
    if len(names) not in (1, topic_count):
        raise BadQuery(f"{len(names)} formats for {topic_count} topics: give one for all, or one for each")
    return [
        WireFormat(known[name]) for name in (names if len(names) == topic_count else [names[0]] * topic_count)
    ]


def positions(text: str, topic_count: int) -> list[str | None]:
    """Return the position of each topic that the id of an event names, None for a topic without one.

    Raises: BadQuery, if it is the id of a stream with another number of topics.
    """
    if not text:
        return [None] * topic_count
    named = text.split(",")
    if len(named) != topic_count:
        raise BadQuery(f"{len(named)} positions for {topic_count} topics: give one for each, in their order")
    return [position or None for position in named]


def wait_seconds(parameters: Parameters) -> float:
    """Return how long a poll waits for a change, at most MAX_WAIT_SECONDS.

    Raises: BadQuery.
    """
    text = last(parameters, "wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        raise BadQuery(f"wait is a number of seconds up to {MAX_WAIT_SECONDS:g}, not {text[:40]!r}")
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS)
