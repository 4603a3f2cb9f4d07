"""The result of a scenario: tables, budgets and curves, as they are written to JSON and read by ``report``."""

import contextlib
import math
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from statistics import StatisticsError, linear_regression, median
from typing import Any

Figures = dict[str, float | str]
"""One row of a table, by column."""
Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Budget:
    """A measured value beside its limit; ``baseline`` names what else was measured in the same run."""

    what: str
    measured: float
    limit: float
    unit: str
    baseline: str = ""
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """The measured value divided by its limit: the budget is met up to 1, with ``at_least`` from 1 on."""
        if self.limit:
            return self.measured / self.limit
        return 1.0 if not self.measured else math.inf

    @property
    def is_met(self) -> bool:
        return self.ratio >= 1 if self.at_least else self.ratio <= 1

    def __str__(self) -> str:
        return (
            f"{self.what}: {number(self.measured)} {self.unit}, budget {'≥' if self.at_least else '≤'} "
            f"{number(self.limit)}, {'met' if self.is_met else 'NOT MET'} ({number(self.ratio)} times)"
            + (f"; {self.baseline}" if self.baseline else "")
        )


@dataclass(frozen=True, slots=True)
class Curve:
    """How a cost grows: lines of points over one quantity, drawn by ``picture``."""

    name: str
    title: str
    x: str
    y: str
    lines: dict[str, Points]
    is_logarithmic: bool = False

    def slopes(self) -> dict[str, tuple[float, float]]:
        """Return the slope and the intercept of each line's least-squares fit, if it has two points."""
        found = {}
        for name, points in self.lines.items():
            with contextlib.suppress(StatisticsError):
                fit = linear_regression([x for x, _ in points], [y for _, y in points])
                found[name] = (fit.slope, fit.intercept)
        return found


@dataclass(slots=True)
class Outcome:
    """The result of one scenario, also of one that has failed half-way."""

    tables: dict[str, list[Figures]] = field(default_factory=dict)
    budgets: list[Budget] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    say: Any = print

    def add(self, table: str, row: Figures) -> None:
        """Add a row to a table, and print it as progress."""
        self.tables.setdefault(table, []).append(row)
        self.say(f"  {table}: " + ", ".join(f"{name or 'row'} {cell(value)}" for name, value in row.items()))

    def judge(self, budget: Budget) -> None:
        """Add a budget, and print whether it is met."""
        self.budgets.append(budget)
        self.say(f"  {budget}")

    @contextlib.contextmanager
    def tolerating(self, what: str) -> Iterator[None]:
        """Run a block whose failure is reported, and does not end the scenario."""
        try:
            yield
        except Exception as error:
            self.errors.append(f"{what}: {type(error).__name__}: {error}")
            self.say(f"  FAILED {self.errors[-1]}\n{traceback.format_exc()}")

    def as_json(self) -> dict[str, Any]:
        return {
            "tables": self.tables,
            "budgets": [asdict(budget) for budget in self.budgets],
            "curves": [asdict(curve) for curve in self.curves],
            "errors": self.errors,
        }


def latency(milliseconds: list[float]) -> Figures:
    """Return the columns for a list of latencies."""
    ordered = sorted(milliseconds) or [math.nan]
    return {
        "p50 ms": median(ordered),
        "p99 ms": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        "max ms": ordered[-1],
    }


def number(value: float) -> str:
    """Return a value with three digits, or with all digits before the point."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def cell(value: float | str) -> str:
    return value if isinstance(value, str) else number(value)


def table(rows: list[Figures]) -> str:
    """Return rows as a Markdown table; a cell is empty if its row lacks the column."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(cell(row.get(column, '')) for column in columns)} |" for row in rows]
    return "\n".join(lines)
