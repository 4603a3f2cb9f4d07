"""``live.js``, the entry point of a page, and ``live.min.js``, the same in one file."""

import json

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

POLICY = (
    "default-src 'self'; connect-src 'self' ws:; img-src data:; "
    "require-trusted-types-for 'script'; trusted-types realtime"
)
"""No inline script, and HTML only through the policy "realtime"."""


def serve_entry(page: Page, head: str, scripts: list[str], body: str = "") -> None:
    """Let the address ``/entry`` have a page with these module scripts, in this order."""
    tags = "".join(f'<script type="module" src="/static/realtime/{script}"></script>' for script in scripts)
    html = f"""<!doctype html><title>entry</title><link rel="icon" href="data:,">{head}{body}
        <live-topic topic="t"><table><tbody data-rows></tbody></table></live-topic>{tags}"""
    headers = {"Content-Security-Policy": POLICY}
    page.route("**/entry", lambda route: route.fulfill(body=html, content_type="text/html", headers=headers))


@pytest.mark.parametrize("script", ["live.js", "live.min.js"])
@pytest.mark.parametrize(
    ("head", "path"),
    [("", "/realtime/ws/"), ('<meta name="realtime-path" content="/app/realtime/ws/">', "/app/realtime/ws/")],
    ids=["default", "named by the page"],
)
def test_a_page_that_loads_live_js_is_connected(
    page: Page, site: str, script: str, head: str, path: str, errors: list[str]
) -> None:
    """Under a strict content security policy: no inline script, HTML only through the policy "realtime"."""
    addresses: list[str] = []
    sent: list[str] = []

    def serve(socket: WebSocketRoute) -> None:
        addresses.append(socket.url)
        socket.on_message(lambda text: sent.append(str(text)))
        row = {"key": "a", "order": "a", "html": "<tr data-key=a data-order=a><td>live</td></tr>"}
        socket.send(json.dumps({"type": "welcome", "heartbeat_seconds": 15, "max_message_bytes": 16384}))
        socket.send(
            json.dumps({"type": "snapshot", "topic": "t", "position": "e.1", "rows": [row], "more": False})
        )

    page.route_web_socket("**", serve)
    serve_entry(page, head, [script])

    page.goto(f"{site}/entry")

    expect(page.locator("tbody td")).to_have_text("live")
    assert addresses == [site.replace("http", "ws") + path]
    assert page.evaluate(f"import('/static/realtime/{script}').then((live) => live.default === realtime)")
    assert '"subscribe"' in sent[0]


TWICE = {
    "bundle, then modules": ["live.min.js", "live.js"],
    "modules, then bundle": ["live.js", "live.min.js"],
    "bundle at two addresses": ["live.min.js", "live.min.js?of=another-release"],
    "modules at two addresses": ["live.js", "live.js?of=another-release"],
    "one module of it": ["live.min.js", "elements/live-topic.js", "elements/html.js", "realtime.js"],
}


@pytest.mark.parametrize("scripts", TWICE.values(), ids=TWICE)
@pytest.mark.parametrize("body", ["", '<div id="realtime"></div>'], ids=["", "an element named realtime"])
def test_a_page_that_loads_the_client_twice_has_one_connection(
    page: Page, site: str, scripts: list[str], body: str
) -> None:
    """Elements are defined once, the policy is created once, a row is shown once; all copies export one object."""
    sockets: list[WebSocketRoute] = []
    subscribed: list[str] = []

    def serve(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.on_message(lambda text: subscribed.append(json.loads(text)["type"]))
        socket.send(json.dumps({"type": "welcome", "heartbeat_seconds": 15, "max_message_bytes": 16384}))
        row = {"key": "a", "order": "a", "html": "<tr><td>first</td></tr>"}
        socket.send(
            json.dumps({"type": "snapshot", "topic": "t", "position": "e.1", "rows": [row], "more": False})
        )

    page.route_web_socket("**", serve)
    serve_entry(page, "", scripts, body)

    page.goto(f"{site}/entry", wait_until="load")
    same = page.evaluate(
        """async (scripts) => {
            const copies = await Promise.all(scripts.map((script) => import(`/static/realtime/${script}`)));
            return copies.every((copy) => !copy.default || copy.default === window.realtime);
        }""",
        scripts,
    )
    expect(page.locator("tbody td")).to_have_text("first")
    row = {"op": "upsert", "key": "b", "order": "b", "html": "<tr><td>second</td></tr>"}
    change = {"type": "changes", "topic": "t", "after": 1, "position": "e.2", "changes": [row]}
    sockets[0].send(json.dumps(change))

    expect(page.locator("tbody td")).to_have_text(["first", "second"])
    assert (same, len(sockets), subscribed.count("subscribe")) == (True, 1, 1)
