"""Metrics of this process and of the log, in Prometheus' text format.

Counters are incremented where events happen; other figures are looked up when the metrics are read.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

_counted = CollectorRegistry()
published = Counter(
    "realtime_entries_published",
    "Log entries that this process sent to the channel layer.",
    registry=_counted,
)
layer_errors = Counter(
    "realtime_layer_errors", "Messages that the channel layer did not accept.", registry=_counted
)
caught_up = Counter(
    "realtime_topics_caught_up",
    "Times a topic was brought up to date from the log or its rows.",
    registry=_counted,
)
resets = Counter("realtime_resets", "Entries after which a topic's rows are read again.", registry=_counted)
rows_left_out = Counter(
    "realtime_rows_left_out",
    "Rows that could not be read or rendered and were left out, by feed.",
    ["feed"],
    registry=_counted,
)
skipped_rows = Counter(
    "realtime_outbox_rows_skipped", "Outbox rows that could not be used as they are.", registry=_counted
)
slow_rounds = Counter(
    "realtime_slow_rounds",
    "Rounds of sequencing, and later trials, in which a feed took longer than FEED_SECONDS, by feed.",
    ["feed"],
    registry=_counted,
)
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
sequenced = Histogram(
    "realtime_sequenced_seconds",
    "Time from the write of the oldest change of a round until its log entry was made.",
    registry=_counted,
    buckets=_BUCKETS,
)
sent = Histogram(
    "realtime_sent_seconds",
    "Time from the write of the oldest change of a round until the channel layer has accepted an entry of it.",
    registry=_counted,
    buckets=_BUCKETS,
)
delivered = Histogram(
    "realtime_delivered_seconds",
    "Time from the write of the oldest change of a round until this process has notified all connections of a topic.",
    registry=_counted,
    buckets=_BUCKETS,
)


def observe_since(histogram: Histogram, written_at: float) -> None:
    """Observe the time since a moment, given in seconds since 1970; nothing for 0, which is not known."""
    if written_at:
        histogram.observe(max(0.0, time.time() - written_at))


failed_rounds = Counter(
    "realtime_failed_rounds",
    "Rounds of a task of this process that failed and were tried again, by task: publisher, housekeeping, floor, …",
    ["task"],
    registry=_counted,
)
feed_errors = Counter(
    "realtime_feed_errors", "Reads of topics that failed, by feed.", ["feed"], registry=_counted
)
changes_handled = Counter(
    "realtime_changes_handled",
    "Calls of functions of on_change, by function.",
    ["function"],
    registry=_counted,
)
handler_failures = Counter(
    "realtime_handler_failures",
    "Calls of functions of on_change that failed and are repeated, by function.",
    ["function"],
    registry=_counted,
)
rights_checked = Histogram(
    "realtime_rights_checked_seconds",
    "Time that a check of the rights of all subscriptions of this process took.",
    registry=_counted,
    buckets=_BUCKETS,
)
scrubbed = Counter(
    "realtime_topics_scrubbed",
    "Topics read again although nothing was known to have changed.",
    registry=_counted,
)
scrub_differences = Counter(
    "realtime_scrub_differences",
    "Rows that scrubbing found different from what subscribers had, by feed.",
    ["feed"],
    registry=_counted,
)
broadcasts = Counter(
    "realtime_broadcasts",
    "Broadcasts of clients, by what became of them in this process: delivered, or dropped.",
    ["outcome"],
    registry=_counted,
)
refusals = Counter(
    "realtime_refusals",
    "Messages, requests and handshakes that were refused, by code.",
    ["code"],
    registry=_counted,
)
closes = Counter(
    "realtime_closes",
    "Connections that ended, by the code of this server; client: the client ended it.",
    ["code"],
    registry=_counted,
)


def totals(histogram: Histogram) -> tuple[float, float]:
    """Return the number of observations of a histogram without labels, and their sum."""
    found = {sample.name: sample.value for metric in histogram.collect() for sample in metric.samples}
    (name,) = (metric.name for metric in histogram.collect())
    return found[f"{name}_count"], found[f"{name}_sum"]


def by_label(counter: Counter) -> dict[str, int]:
    """Return the counts of a counter with one label by its values."""
    return {
        next(iter(sample.labels.values())): int(sample.value)
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that is looked up when the metrics are read."""

    name: str
    meaning: str
    value: float


class _LookedUp:
    """A collector of figures, with the interface that the library requires."""

    def __init__(self, look_up: Callable[[], list[Figure]]) -> None:
        self._look_up = look_up

    def collect(self) -> Iterator[Metric]:
        for figure in self._look_up():
            yield GaugeMetricFamily(f"realtime_{figure.name}", figure.meaning, figure.value)


def registry(look_up: Callable[[], list[Figure]]) -> CollectorRegistry:
    """Return a registry for the library's server: counters of this process, and figures looked up each time."""
    both = CollectorRegistry()
    both.register(_counted)
    both.register(_LookedUp(look_up))
    return both


def text(figures: list[Figure]) -> bytes:
    """Return the counters of this process and the given figures, in Prometheus' text format."""
    return generate_latest(registry(lambda: figures))
