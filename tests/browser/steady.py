"""Measure a board that is open while five of its values change in a second: its heap, its nodes and its main thread.

``python -m tests.browser.steady --seconds 600`` (``make steady``) prints a line for each tenth of the time, and fails
if the heap grows or if the main thread works more than 4 % of the time. What counts is the thread's own time, not that
of other programs.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import CDPSession, expect, sync_playwright

from tests.browser import chromium
from tests.browser.windows import DEPARTURES, Window
from tests.support import servers
from tests.support.servers import Server

CHANGES_PER_SECOND = 5
MOST_BUSY = 0.04
MOST_GROWTH = 1.05
"""The growth of the heap in the second half of the time: in the first, code is compiled and caches are filled."""
PARTS = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """The objects and bytes that the page holds after garbage was collected."""

    heap_bytes: float
    nodes: float


def metrics(tools: CDPSession) -> dict[str, float]:
    return {each["name"]: each["value"] for each in tools.send("Performance.getMetrics")["metrics"]}


def sample(tools: CDPSession) -> Sample:
    tools.send("HeapProfiler.collectGarbage")
    found = metrics(tools)
    return Sample(found["JSHeapUsedSize"], found["Nodes"])


def change(server: Server, seconds: float) -> int:
    """Change values and the order of rows for a time, as a program would; return how often."""
    database = server.project.connect()
    keys = [key for (key,) in database.execute("SELECT id FROM boards_entry WHERE board_id = 1 ORDER BY id")]
    began, count = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        if count > (now - began) * CHANGES_PER_SECOND:
            time.sleep(0.02)
            continue
        key = keys[count % len(keys)]
        if count % 25 == 0:
            database.execute("UPDATE boards_entry SET position = ? WHERE id = ?", [count % 200, key])
        else:
            database.execute("UPDATE boards_entry SET note = ? WHERE id = ?", [f"Pier {count}", key])
        count += 1
    return count


def measure(server: Server, seconds: float) -> list[str]:
    """Print what is measured; return what is wrong."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
        window = Window(browser, server)
        tools = window.context.new_cdp_session(window.page)
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        window.open(DEPARTURES)
        samples: list[Sample] = []
        changes, busy = 0, 0.0
        for part in range(1, PARTS + 1):
            # Collecting garbage is work of this measurement: it lies between the two.
            before = metrics(tools)["TaskDuration"]
            changes += change(server, seconds / PARTS)
            worked = metrics(tools)["TaskDuration"] - before
            busy += worked / seconds
            samples.append(sample(tools))
            print(
                f"{part * seconds / PARTS:5.0f} s: {changes} changes, heap {samples[-1].heap_bytes / 2**20:.2f} MiB, "
                f"{samples[-1].nodes:.0f} nodes, main thread {worked / (seconds / PARTS):.1%}",
                flush=True,
            )
        expect(window.page.locator("live-status")).to_have_attribute("data-state", "live")
        errors = window.errors
        browser.close()
    growth = samples[-1].heap_bytes / samples[PARTS // 2].heap_bytes
    print(f"main thread {busy:.1%} of the time, heap {growth - 1:+.1%} in the second half")
    faults = [f"the console has errors: {errors}"] if errors else []
    faults += [f"the heap grows: {growth - 1:+.1%}"] if growth > MOST_GROWTH else []
    faults += [f"the main thread works {busy:.1%} of the time"] if busy > MOST_BUSY else []
    return faults


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=600)
    seconds = options.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, servers.running(servers.prepare(Path(folder))) as server:
        faults = measure(server, seconds)
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
