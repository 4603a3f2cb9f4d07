"""Results become tables, pictures and judgements; documents change only between their markers."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import __main__, parts, report, results, scaling
from tests.benchmarks.outcome import Budget, Curve, Outcome, latency, number
from tests.benchmarks.picture import draw
from tests.support.servers import ROOT


@pytest.mark.parametrize(
    "measured, limit, at_least, is_met",
    [(1.5, 1.5, False, True), (1.6, 1.5, False, False), (20.0, 20, True, True), (19.0, 20, True, False),
     (0.0, 0, False, True), (1.0, 0, False, False), (float("nan"), 1, False, False)],
)  # fmt: skip
def test_a_budget_is_met_up_to_its_limit(measured, limit, at_least, is_met):
    """A rate is met from its limit on; what was not measured meets nothing."""
    budget = Budget("x", measured, limit, "ms", at_least=at_least)

    assert budget.is_met is is_met
    assert ("NOT MET" in str(budget)) is not is_met


def test_the_slope_is_that_of_the_least_squares_line():
    """A line without two points has none, and does not fail."""
    curve = Curve("c", "title", "x", "y", {"a": [(0, 1), (1, 3), (2, 5)], "b": [(1, 1)], "c": []})

    assert curve.slopes() == {"a": pytest.approx((2, 1))}


@pytest.mark.parametrize(
    "value, text",
    [(12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (0.1234, "0.12"), (0.0123, "0.012"), (5.0, "5"),
     (float("nan"), "-"), (float("inf"), "∞")],
)  # fmt: skip
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_latencies_of_nothing_are_unknown():
    """A scenario in which nothing arrived still has its columns."""
    assert latency([3.0, 1.0, 2.0])["p50 ms"] == 2.0
    assert number(float(latency([])["p99 ms"])) == "-"


CURVES = {
    "linear": Curve("c", "Cost & more", "rows", "ms", {"a": [(0, 0), (10_000, 3)], "b < a": [(5, 1)]}),
    "logarithmic": Curve("c", "t", "rows", "ms", {"a": [(1, 2), (1_000_000, 3)]}, is_logarithmic=True),
    "all zero": Curve("c", "t", "rows", "ms", {"a": [(0, 0), (0, 0)]}),
    "one point": Curve("c", "t", "rows", "ms", {"a": [(7, -1)]}, is_logarithmic=True),
}


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES.keys())
def test_a_picture_is_small_and_follows_the_reader_s_colours(curve):
    """Whatever was measured; a picture is read on light and on dark pages."""
    picture = draw(curve)

    ElementTree.fromstring(picture)
    assert "prefers-color-scheme:dark" in picture
    assert "nan" not in picture
    assert len(picture) < 10_000


def found(rows: list, **more: list) -> dict:
    """Return the result of one scenario as it is written."""
    about = {"commit": "abc", "scale": 1.0, "load": 0.3, "at": "2026-01-01 00:00", "machine": {}}
    return {"about": about, "tables": {"fan-out": rows}, "budgets": [], "curves": [], "errors": [], **more}


def test_only_what_was_measured_is_written_into_a_document():
    """Other tables, and all text outside of the markers, stay as they are."""
    text = "A\n\n<!-- bench fan-out -->\n\nold\n\n<!-- end -->\n\nB <!-- bench groups -->\n\nkept\n<!-- end -->\n"

    texts = report.blocks({"fan-out": found([{"": "ws", "p50 ms": 1.25}])})
    filled = report.filled(text, texts)

    assert "old" not in filled
    assert "| ws | 1.25 |" in filled
    assert "commit abc, load average before it 0.3." in filled
    assert filled.startswith("A\n\n<!-- bench fan-out -->")
    assert filled.endswith("B <!-- bench groups -->\n\nkept\n<!-- end -->\n")
    assert report.filled(filled, texts) == filled


def test_a_curve_without_points_is_not_drawn_and_lines_of_several_scenarios_are_in_one():
    empty = {"name": "a", "title": "t", "x": "x", "y": "y", "lines": {"l": []}, "is_logarithmic": False}
    parts = [{**empty, "name": "b", "lines": {line: [[0, 1], [2, 3]]}} for line in ("l", "m")]

    curves = report.curves({"1": found([], curves=[empty, parts[0]]), "2": found([], curves=[parts[1]])})

    assert [curve.name for curve in curves] == ["b"]
    assert curves[0].lines == {"l": [(0, 1), (2, 3)], "m": [(0, 1), (2, 3)]}


def test_budgets_name_what_is_not_met():
    budgets = [
        {"what": "a", "measured": 3.0, "limit": 2.0, "unit": "ms", "baseline": "b 1 ms", "at_least": False},
        {"what": "r", "measured": 3.0, "limit": 2.0, "unit": "rows/s", "baseline": "", "at_least": True},
    ]

    written = report.blocks({"fan-out": found([], budgets=budgets)})["budgets"]

    assert "| a | 3 ms | ≤ 2 ms | 1.50 | **not met** | b 1 ms |" in written
    assert "| r | 3 rows/s | ≥ 2 rows/s | 1.50 | met |  |" in written


def test_the_documents_have_a_place_for_each_table_and_curve_of_the_benchmark():
    """Otherwise a figure would be measured and never be read; names are those in the scenarios' source."""
    documents = "".join((ROOT / "docs" / name).read_text() for name in report.DOCUMENTS)
    source = "".join(path.read_text() for path in (ROOT / "tests" / "benchmarks").glob("[!t_]*.py"))
    markers = set(report.MARKER.findall(documents))

    assert "budgets" in markers
    for name in markers - {"budgets"}:
        assert f'"{name.removeprefix("curve-")}"' in source, f"nothing measures {name}"


def test_a_run_s_results_are_kept_by_scenario(tmp_path: Path):
    """A part may be measured in several runs; a repeated scenario replaces itself alone."""
    file = tmp_path / "bench.json"
    results.write("fan-out", found([{"": "a"}]), file)
    results.write("fan-out-wide", found([{"": "b"}]), file)
    results.write("fan-out", found([{"": "c"}]), file)

    measured = report.measured(file)

    assert measured["fan-out"]["tables"]["fan-out"] == [{"": "c"}]
    assert measured["fan-out-wide"]["tables"]["fan-out"] == [{"": "b"}]
    assert not list(tmp_path.glob("*.new"))


def test_the_report_needs_results(tmp_path: Path, capsys):
    assert report.main(tmp_path / "bench.json", tmp_path) == 1
    assert "make bench PART=" in capsys.readouterr().out


# ---------------------------------------------------------------- running


@pytest.fixture
def scenarios(monkeypatch):
    """One scenario that works and one that fails after its first row."""
    runs: list[str] = []

    async def works(bench, out: Outcome) -> None:
        """It works."""
        runs.append("works")
        out.add("t", {"": "row"})

    async def fails(bench, out: Outcome) -> None:
        """It fails."""
        runs.append("fails")
        out.add("t", {"": "first"})
        raise RuntimeError("it is broken")

    monkeypatch.setattr(__main__, "PARTS", {"p": ["fails", "works"]})
    monkeypatch.setattr(__main__, "SCENARIOS", {"fails": ("p", fails), "works": ("p", works)})
    return runs


def test_a_scenario_that_fails_is_reported_and_the_next_one_runs(tmp_path: Path, scenarios, capsys):
    status = __main__.main(["--part", "all", "--results", str(tmp_path / "bench.json")])

    assert status == 1
    assert scenarios == ["fails", "works"]
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["fails"]["errors"] == ["fails: RuntimeError: it is broken"]
    assert written["fails"]["tables"] == {"t": [{"": "first"}]}
    assert written["works"]["errors"] == []
    assert "FAILED fails: RuntimeError: it is broken" in capsys.readouterr().out


def test_a_run_is_resumed_where_it_ended(tmp_path: Path, scenarios):
    """What failed, or was measured with another load, is measured again."""
    for _ in range(2):
        __main__.main(["--part", "p", "--resume", "--results", str(tmp_path / "bench.json")])
    __main__.main(
        ["--scenario", "works", "--scale", "0.5", "--resume", "--results", str(tmp_path / "bench.json")]
    )

    assert scenarios == ["fails", "works", "fails", "works"]


def test_without_a_part_the_benchmark_lists_them(capsys):
    assert __main__.main([]) == 0
    assert set(parts.PARTS) <= {line.split()[0] for line in capsys.readouterr().out.splitlines() if line}


# ---------------------------------------------------------------- what is computed


def test_a_topic_of_one_subscriber_is_held_by_one_process_and_one_of_many_by_all():
    lone, crowd = scaling.Load("", 1_000_000), scaling.Load("", 1)

    assert lone.holders == pytest.approx(1)
    assert crowd.holders == pytest.approx(100)
    assert lone.deliveries == pytest.approx(10_000)
    assert crowd.deliveries == pytest.approx(20_000_000)


def test_what_is_needed_grows_with_what_it_costs():
    """Twice the cost of a delivery is twice the delivering, and nothing else."""
    load = scaling.LOADS[1]
    costs = scaling.Inputs()
    once = scaling.needs(load, costs)
    twice = scaling.needs(load, replace(costs, delivery_us=2 * costs.delivery_us))
    column = "a process: delivering, cores"

    assert float(twice[column]) == pytest.approx(2 * float(once[column]))
    assert {name for name in once if once[name] != twice[name]} == {column, "together, cores"}


def test_measured_costs_replace_the_defaults():
    rows = [{"": "uvicorn", "CPU per delivery, µs": 9.0, "KiB each": 20.0, "bytes": 300.0}]

    costs = scaling.inputs({"fan-out": found(rows)})

    assert (costs.delivery_us, costs.connection_kib) == (9.0, 20.0)
    assert costs.sequence_us == scaling.Inputs().sequence_us
