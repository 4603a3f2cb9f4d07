"""How long a first visit takes until the page is live, on a network with a round trip of 400 ms and 400 kbit/s.

``python -m tests.benchmarks.first_visit`` prints a table; it needs Chromium.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.visits import MOBILE, collected, visit
from tests.browser.windows import DEPARTURES
from tests.support import servers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=7)
    parser.add_argument("--list", action="store_true", help="also print each request")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        collected(servers.prepare(Path(folder))) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.ARGUMENTS)
        visits = []
        for _ in range(options.visits):
            context = browser.new_context(base_url=server.url)
            visits.append(visit(context.new_page(), DEPARTURES, MOBILE))
            context.close()
        browser.close()
    first = visits[0]
    print(
        "| requests | bytes | live after, s: median | max | of these the socket's handshake | layout shift |"
    )
    print("|---|---|---|---|---|---|")
    seconds = [each.live_ms / 1000 for each in visits]
    handshake = statistics.median(each.socket_ms for each in visits) / 1000
    print(
        f"| {first.requests} | {first.bytes} | {statistics.median(seconds):.2f} | {max(seconds):.2f} "
        f"| {handshake:.2f} | {max(each.shift for each in visits):.4f} |"
    )
    if options.list:
        for address in dict.fromkeys(first.addresses):
            print(f"{first.received[address]:>7} {address}")


if __name__ == "__main__":
    main()
