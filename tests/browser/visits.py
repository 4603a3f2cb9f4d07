"""A first visit: a browser that has nothing of the site opens a page on a slow network."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

from tests.support.servers import Project, Server

MOBILE = {"offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""A round trip of 400 ms and 400 kbit/s, for the protocol of the browser's developer tools."""
WATCH = """
    window.visit = { liveAt: null, shift: 0 };
    new MutationObserver(() => {
        if (document.querySelector("live-status[data-state=live]")) visit.liveAt ??= performance.now();
    }).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-state"] });
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) visit.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
"""


@dataclass(slots=True)
class Visit:
    """The browser's requests, and the bytes received, until the page was live."""

    live_ms: float = 0
    shift: float = 0
    sockets: int = 0
    socket_ms: float = 0
    addresses: list[str] = field(default_factory=list)
    received: Counter[str] = field(default_factory=Counter)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """The WebSocket is one."""
        return len(self.addresses) + self.sockets

    @property
    def bytes(self) -> int:
        """As they were transferred, with headers; without the WebSocket's messages."""
        return self.received.total()


@contextmanager
def collected(project: Project) -> Iterator[Server]:
    """Run a server as docs/deploy.md does: its static files collected, compressed and hashed."""
    project.environment["STATIC_ROOT"] = str(project.folder / "static")
    project.manage("collectstatic", "--no-input", "--verbosity", "0")
    server = Server(project)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def visit(page: Page, path: str, network: dict[str, Any] | None = None) -> Visit:
    """Open a page and wait until it is live."""
    seen = Visit()
    paths: dict[str, str] = {}
    began: dict[str, float] = {}
    tools = page.context.new_cdp_session(page)
    tools.send("Network.enable")
    if network:
        tools.send("Network.emulateNetworkConditions", network)

    def requested(event: dict[str, Any]) -> None:
        paths[event["requestId"]] = event["request"]["url"]
        seen.addresses.append(event["request"]["url"])

    def answered(event: dict[str, Any]) -> None:
        seen.headers[event["response"]["url"]] = {
            name.lower(): value for name, value in event["response"]["headers"].items()
        }

    def finished(event: dict[str, Any]) -> None:
        if event["requestId"] in paths:  # not one of the page before
            seen.received[paths[event["requestId"]]] += int(event["encodedDataLength"])

    def socket_requested(event: dict[str, Any]) -> None:
        seen.sockets += 1
        began[event["requestId"]] = event["timestamp"]

    def socket_answered(event: dict[str, Any]) -> None:
        seen.socket_ms = 1000 * (event["timestamp"] - began[event["requestId"]])

    tools.on("Network.requestWillBeSent", requested)
    tools.on("Network.responseReceived", answered)
    tools.on("Network.loadingFinished", finished)
    tools.on("Network.webSocketWillSendHandshakeRequest", socket_requested)
    tools.on("Network.webSocketHandshakeResponseReceived", socket_answered)
    page.add_init_script(WATCH)
    page.goto(path)
    page.wait_for_function("() => visit.liveAt !== null")
    seen.live_ms, seen.shift = page.evaluate("() => [visit.liveAt, visit.shift]")
    tools.detach()
    return seen
