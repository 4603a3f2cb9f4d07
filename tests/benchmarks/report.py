"""Writes what was measured into the documents: ``python -m tests.benchmarks.report``.

Tables stand between ``<!-- bench NAME -->`` and ``<!-- end -->`` of docs/performance.md and docs/scaling.md.
What has not been measured stays as it is. Pictures are written to docs/performance/.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.support.servers import ROOT

from . import results, scaling
from .outcome import Budget, Curve, Figures, number, table
from .parts import SCENARIOS
from .picture import draw

DOCUMENTS = ("performance.md", "scaling.md")
MARKER = re.compile(r"<!-- bench ([\w-]+) -->")


def measured(file: Path = results.FILE) -> dict[str, dict[str, Any]]:
    """Return the results of all scenarios by name; those of which nothing was measured are left out."""
    found = results.read(file)
    return {
        name: found[name]
        for name in SCENARIOS
        if name in found and any(found[name][kind] for kind in ("tables", "budgets", "curves"))
    }


def blocks(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return the text for each marker: a table with a line that says how it was measured."""
    rows: dict[str, list[Figures]] = defaultdict(list)
    ways: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in found.values():
        for name, some in result["tables"].items():
            rows[name] += some
            ways[name].append(result["about"])
    if "hostile" in rows:
        rows["hostile"] = _by_attack(rows["hostile"])
    written = {name: f"{table(some)}\n\n{_way(ways[name])}" for name, some in rows.items()}
    budgets = [Budget(**budget) for result in found.values() for budget in result["budgets"]]
    if budgets:
        judged = [result["about"] for result in found.values() if result["budgets"]]
        written["budgets"] = f"{table(list(map(_judged, budgets)))}\n\n{_way(judged)}"
    for curve in curves(found):
        fits: list[Figures] = [
            {"": name, f"slope, {curve.y} per {curve.x}": f"{slope:.3g}", f"at 0, {curve.y}": intercept}
            for name, (slope, intercept) in curve.slopes().items()
        ]
        picture = f"![{curve.title}](performance/{curve.name}.svg)"
        written[f"curve-{curve.name}"] = f"{picture}\n\n{table(fits)}" if fits else picture
    return written | scaling.blocks(found)


def curves(found: dict[str, dict[str, Any]]) -> list[Curve]:
    """Return all curves; lines of the same name from several scenarios are in one."""
    merged: dict[str, Curve] = {}
    for result in found.values():
        for fields in result["curves"]:
            lines = {name: [(x, y) for x, y in points] for name, points in fields["lines"].items()}
            curve = Curve(**{**fields, "lines": lines})
            if curve.name in merged:
                merged[curve.name].lines.update(curve.lines)
            else:
                merged[curve.name] = curve
    return [curve for curve in merged.values() if any(curve.lines.values())]


def filled(text: str, texts: dict[str, str]) -> str:
    """Return a document with the texts between its markers."""

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- bench {name} -->\n\n{texts[name]}\n\n<!-- end -->" if name in texts else match[0]

    return re.sub(r"<!-- bench ([\w-]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def _by_attack(rows: list[Figures]) -> list[Figures]:
    """Return one row for each attack, with the latencies of the servers beside each other."""
    attacks: dict[str, Figures] = {}
    for row in rows:
        attack = attacks.setdefault(str(row["attack"]), {"": row["attack"]})
        attack |= {f"{row['']}, {column}": row[column] for column in ("p50 ms", "p99 ms", "MiB more after")}
    return list(attacks.values())


def _judged(budget: Budget) -> Figures:
    sign = "≥" if budget.at_least else "≤"
    return {
        "what": budget.what,
        "measured": f"{number(budget.measured)} {budget.unit}",
        "budget": f"{sign} {number(budget.limit)} {budget.unit}",
        "ratio": budget.ratio,
        "": "met" if budget.is_met else "**not met**",
        "in the same run": budget.baseline,
    }


def _way(ways: list[dict[str, Any]]) -> str:
    """Return a line that says when, of which commit and beside how much other work something was measured."""
    loads = sorted(way["load"] for way in ways)
    scales = sorted({way["scale"] for way in ways})
    load = f"{loads[0]}" if loads[0] == loads[-1] else f"{loads[0]} to {loads[-1]}"
    scale = "" if scales == [1] else f", scale {' and '.join(f'{scale:g}' for scale in scales)}"
    commits = ", ".join(dict.fromkeys(way["commit"] for way in ways if way["commit"]))
    return (
        f"Measured {max(way['at'] for way in ways)}, commit {commits}, load average before it {load}{scale}."
    )


def main(file: Path = results.FILE, docs: Path = ROOT / "docs") -> int:
    found = measured(file)
    if not found:
        print(f"nothing was measured yet in {file}; run make bench PART=…")
        return 1
    texts = blocks(found)
    for name in DOCUMENTS:
        document = docs / name
        document.write_text(filled(document.read_text(), texts))
    for curve in curves(found):
        (docs / "performance").mkdir(exist_ok=True)
        (docs / "performance" / f"{curve.name}.svg").write_text(draw(curve))
    markers = set(MARKER.findall("".join((docs / name).read_text() for name in DOCUMENTS)))
    for name in sorted(texts.keys() - markers):
        print(f"no document has the marker {name}")
    for name in sorted(markers - texts.keys()):
        print(f"{name} was not measured and stays as it is")
    return 0


if __name__ == "__main__":
    sys.exit(main())
