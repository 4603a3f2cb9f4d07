"""The overview: the reports of all processes, and the database's figures; read whole for each page.

Only from the database, so that it is as complete where nothing is published as where everything works.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from ..conf import get_conf
from ..databases.registry import database
from ..delivery.health import publishing_problems
from ..engine.codes import Code
from ..publishing import lease, log, progress
from ..publishing.interest import VALID_SECONDS
from . import reports
from .charts import Chart, chart_of
from .figures import MOST, SAMPLES
from .reports import Reader, Report

_MEANINGS = {"client": "the client ended it"} | {str(int(code)): code.meaning for code in Code}
SHOWN_SECONDS = 120.0
"""How long a process is shown after it last wrote to the database."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process; without a report until it has noticed that an operator looks."""

    name: str
    heard_seconds: float
    """Since it last wrote to the database."""
    publishes: bool
    report: Report | None = None
    lag: Chart | None = None
    latency: Chart | None = None

    @property
    def is_silent(self) -> bool:
        return self.heard_seconds > VALID_SECONDS


class OfProcess(NamedTuple):
    """A connection, with the name of its process."""

    process: str
    reader: Reader


class OfCode(NamedTuple):
    """How often a code was given in the last minutes."""

    code: str
    meaning: str
    refusals: int
    closes: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the page shows. Sums are those of the processes that have reported."""

    processes: list[ProcessState]
    publisher: str | None
    """The process that has the lease; it may run ``manage.py publish`` and have no report."""
    sequenced_seconds: float | None
    waiting_seconds: float
    problems: list[str]

    @property
    def is_published(self) -> bool:
        """Whether changes are published, without which the page is not notified of new reports."""
        return self.publisher is not None and self.waiting_seconds <= get_conf().max_lag_seconds

    @property
    def connections(self) -> int:
        return sum(report.connections for report in self._reports)

    @property
    def transports(self) -> list[tuple[str, int]]:
        return _sum(report.transports for report in self._reports)

    @property
    def followers(self) -> list[tuple[str, int]]:
        return _sum(report.followers for report in self._reports)

    @property
    def followers_of_feeds(self) -> list[tuple[str, int]]:
        """The same by feed: the name of a topic may disclose which user follows it."""
        feeds: list[Counter[str]] = [Counter() for _ in self._reports]
        for total, report in zip(feeds, self._reports, strict=True):
            for topic, number in report.followers.items():
                total[topic.partition(".")[0]] += number
        return _sum(feeds)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return _sum(report.addresses for report in self._reports)

    @property
    def users(self) -> list[tuple[str, int]]:
        """The primary keys of users, with the number of their connections."""
        return _sum(report.users for report in self._reports)

    @property
    def readers(self) -> list[OfProcess]:
        """The slowest readers first."""
        found = [
            OfProcess(each.name, one) for each in self.processes if each.report for one in each.report.readers
        ]
        return sorted(found, key=lambda each: -each.reader.unread_bytes)[:MOST]

    @property
    def codes(self) -> list[OfCode]:
        refusals = Counter(dict(_sum((report.refusals for report in self._reports), most=None)))
        closes = Counter(dict(_sum((report.closes for report in self._reports), most=None)))
        return [
            OfCode(code, meaning_of(code), refusals[code], closes[code])
            for code in sorted(refusals.keys() | closes.keys())
        ]

    @property
    def _reports(self) -> list[Report]:
        return [each.report for each in self.processes if each.report is not None]


def read() -> Overview:
    """Return the overview as of now."""
    here = database()
    heard = {
        name: abs(age)
        for name, age in here.fetch(
            f"SELECT name, {here.NOW} - seen_at FROM realtime_process WHERE abs({here.NOW} - seen_at) < %s",
            [SHOWN_SECONDS],
        )
    }
    found = {each.process: each for each in reports.stored()}
    publisher = lease.holder()
    processes = []
    for name in sorted(heard.keys() | found.keys()):
        stored = found.get(name)
        ages = [heard.get(name), stored.age_seconds if stored else None]
        processes.append(
            ProcessState(
                name,
                min(age for age in ages if age is not None),
                publisher is not None and _place(name) == _place(publisher),
                *_shown(stored.report if stored else None),
            )
        )
    return Overview(
        processes, publisher, progress.seconds_since_success(), log.waiting_seconds(), publishing_problems()
    )


def meaning_of(code: str) -> str:
    """Return the meaning of a code of the metrics."""
    return _MEANINGS.get(code, "")


def names_of(users: Collection[str]) -> dict[str, str]:
    """Return the names of users, given by their primary keys as text; those that no longer exist are left out."""
    model = get_user_model()
    keys = {}
    for text in users:
        try:
            keys[text] = model._meta.pk.clean(text, None)  # also within the range of the database's column
        except ValidationError:
            continue
    found = model._default_manager.in_bulk(keys.values())
    return {text: str(found[key].get_username()) for text, key in keys.items() if key in found}


def _place(name: str) -> str:
    """Return the machine and the number of a process; its publisher has another name than its hub."""
    return name.rpartition(":")[0]


def _shown(report: Report | None) -> tuple[Report | None, Chart | None, Chart | None]:
    if report is None:
        return None, None, None
    lag = chart_of([sample.behind_seconds for sample in report.samples], SAMPLES)
    return report, lag, chart_of([sample.delivered_seconds for sample in report.samples], SAMPLES)


def _sum(numbers: Iterable[Mapping[str, int]], most: int | None = MOST) -> list[tuple[str, int]]:
    total: Counter[str] = Counter()
    for each in numbers:
        total.update(each)
    return total.most_common(most)
