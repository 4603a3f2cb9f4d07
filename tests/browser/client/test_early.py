"""The connection that a page opens while the client is still being loaded (``transports/early.js``)."""

import json
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from realtime.runtime.early_script import early_script, early_script_hash

POLICY = (
    f"default-src 'self'; script-src 'self' {early_script_hash()}; connect-src 'self' ws:; img-src data:; "
    "require-trusted-types-for 'script'; trusted-types realtime"
)
ROWS = '<table><tbody data-rows><tr data-key="a" data-order="a"><td>painted</td></tr></tbody></table>'
WELCOME = {"type": "welcome", "heartbeat_seconds": 15, "max_message_bytes": 16384}
CHANGE = {
    "type": "changes", "topic": "t", "after": 1, "position": "e.2",
    "changes": [{"op": "upsert", "key": "a", "order": "a", "html": "<tr data-key=a data-order=a><td>live</td></tr>"}],
}  # fmt: skip


@dataclass(slots=True)
class Connection:
    """A WebSocket of the page, as the server sees it."""

    address: str
    route: WebSocketRoute
    sent: list[dict[str, object]] = field(default_factory=list)
    is_closed: bool = False

    def send(self, *messages: dict[str, object]) -> None:
        for message in messages:
            self.route.send(json.dumps(message))

    @property
    def subscribed(self) -> list[str]:
        return [str(message["topic"]) for message in self.sent if message["type"] == "subscribe"]


class Visit:
    """A page with one topic, whose client arrives when ``load_client`` is called."""

    def __init__(self, page: Page, site: str) -> None:
        self.page, self.site = page, site
        self.connections: list[Connection] = []
        page.route_web_socket("**", self._connected)

    def _connected(self, route: WebSocketRoute) -> None:
        connection = Connection(route.url, route)
        self.connections.append(connection)
        route.on_message(lambda text: connection.sent.append(json.loads(text)))

        def closed(code: int | None, reason: str | None) -> None:
            connection.is_closed = True

        route.on_close(closed)

    def open(self, head: str = "", body: str = "", position: str = "e.1") -> None:
        html = f"""<!doctype html><title>early</title><link rel="icon" href="data:,">{head}
            <script type="module" async>{early_script()}</script>
            <live-topic topic="t" position="{position}" rows="1">{ROWS}</live-topic>{body}"""
        headers = {"Content-Security-Policy": POLICY}
        self.page.route(
            "**/early", lambda route: route.fulfill(body=html, content_type="text/html", headers=headers)
        )
        self.page.goto(f"{self.site}/early")

    def until(self, condition: str) -> None:
        self.page.wait_for_function(f"() => {condition}")

    def load_client(self) -> None:
        self.page.evaluate("import('/static/realtime/live.min.js').then(() => 0)")

    def expect_row(self, text: str) -> None:
        expect(self.page.locator("tbody td")).to_have_text(text)


@pytest.fixture
def visit(page: Page, site: str) -> Visit:
    return Visit(page, site)


EARLY = "window.realtimeEarly"


def test_the_client_takes_the_connection_with_what_it_has_received(visit: Visit) -> None:
    """Without another connection, and without subscribing again."""
    visit.open()
    visit.until(f"{EARLY}?.socket.readyState === 1")
    (early,) = visit.connections
    early.send(WELCOME, CHANGE)
    visit.until(f"{EARLY}.received.length === 2")
    visit.expect_row("painted")

    visit.load_client()

    visit.expect_row("live")
    assert early.address == f"{visit.site.replace('http', 'ws')}/realtime/ws/?topic=t&format=html&since=e.1"
    assert visit.connections == [early]
    assert early.sent == []
    assert visit.page.evaluate(f"{EARLY} ?? null") is None
    assert visit.page.evaluate("realtime.status.state") == "live"


def test_the_client_takes_a_connection_that_has_no_greeting_yet(visit: Visit) -> None:
    """What arrives then is for the client."""
    visit.open()
    visit.until(f"{EARLY}?.socket.readyState === 1")
    visit.load_client()
    visit.until("window.realtime?.status")
    (early,) = visit.connections

    early.send(WELCOME, CHANGE)

    visit.expect_row("live")
    assert visit.connections == [early]
    assert early.sent == []


def test_the_page_follows_what_its_elements_follow_in_the_end(visit: Visit) -> None:
    """It leaves a topic whose element is gone, subscribes to one that has come, and again to one in another format."""
    other = f'<div data-realtime-topic="gone" data-realtime-position="e.1">{ROWS}</div>'
    visit.open(body=other)
    visit.until(f"{EARLY}?.socket.readyState === 1")
    (early,) = visit.connections
    visit.page.evaluate("""() => {
        document.querySelector("[data-realtime-topic]").remove();
        const added = document.createElement("live-topic");
        added.setAttribute("topic", "new");
        const signals = document.createElement("div");
        signals.setAttribute("data-realtime-block", "b");
        signals.setAttribute("data-realtime-topics", "t");
        document.body.append(added, signals);
    }""")
    early.send(WELCOME)

    visit.load_client()

    visit.until("window.realtime?.status.topics.new")
    assert "topic=gone" in early.address
    assert sorted(early.subscribed) == ["new", "t"]
    assert [message for message in early.sent if message["type"] == "unsubscribe"] == [
        {"type": "unsubscribe", "topic": "gone"}
    ]
    assert visit.connections == [early]


def test_a_connection_that_has_ended_is_not_taken(visit: Visit) -> None:
    """The client connects as without it."""
    visit.open()
    visit.until(f"{EARLY}?.socket.readyState === 1")
    visit.connections[0].route.close(code=4500)
    visit.until(f"{EARLY}.socket.readyState === 3")

    visit.load_client()

    visit.until("window.realtime?.status")
    assert [each.address.partition("?")[2] for each in visit.connections][1:] == [""]
    visit.connections[1].send(WELCOME)
    visit.until("realtime.status.topics.t")
    assert visit.connections[1].subscribed == ["t"]


def test_a_connection_that_nobody_takes_is_closed(visit: Visit) -> None:
    """The client could not be loaded, for example."""
    visit.page.clock.install()
    visit.open()
    visit.until(f"{EARLY}?.socket.readyState === 1")

    visit.page.clock.run_for(15_000)

    visit.until(f"!{EARLY}")
    assert visit.connections[0].is_closed


@pytest.mark.parametrize(
    "prepare",
    [
        "sessionStorage['realtime-transport'] = 'sse'",
        "navigator.locks.request(`realtime ws://${location.host}/realtime/ws/ s`, () => new Promise(() => {}))",
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('forbidden'); } })",
    ],
    ids=["another transport works", "another tab has the connection", "storage is forbidden"],
)
def test_no_connection_is_opened_where_the_client_may_need_none(visit: Visit, prepare: str) -> None:
    """And no error is in the console."""
    visit.page.add_init_script(
        f"{{ {prepare} }}; window.WebSocket = class {{ constructor() {{ window.hasOpened = true; }} }}"
    )

    visit.open(head='<meta name="realtime-session" content="s">')

    # The script has ended when a later query for locks has been answered.
    visit.page.evaluate("navigator.locks.query().then(() => 0)")
    assert visit.page.evaluate(f"[window.hasOpened ?? null, {EARLY} ?? null]") == [None, None]
