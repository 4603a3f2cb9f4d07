"""The benchmark as a command: its smallest scenario, with small numbers. The measured values are not judged here."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.servers import ROOT


def test_the_benchmark_prints_and_writes_its_figures(tmp_path: Path) -> None:
    """It prints a Markdown table, and writes the same as JSON with a description of the machine."""
    file = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks",
        "--scenario",
        "one-client",
        "--scale",
        "0.03",
    ]

    done = subprocess.run(
        [*command, "--results", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    assert "| another process |" in done.stdout
    written = json.loads(file.read_text())["one-client"]
    assert {"python", "daphne"} <= set(written["about"]["machine"])
    assert {"p50 ms", "p99 ms", "max ms"} <= set(written["tables"]["one-client"][0])
