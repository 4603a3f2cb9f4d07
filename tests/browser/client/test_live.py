"""``live.js``, the entry point of a page."""

import json

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect


@pytest.mark.parametrize(
    ("head", "path"),
    [("", "/realtime/ws/"), ('<meta name="realtime-path" content="/app/realtime/ws/">', "/app/realtime/ws/")],
    ids=["default", "named by the page"],
)
def test_a_page_that_loads_live_js_is_connected(
    page: Page, site: str, head: str, path: str, errors: list[str]
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

    policy = (
        "default-src 'self'; connect-src 'self' ws:; img-src data:; "
        "require-trusted-types-for 'script'; trusted-types realtime"
    )
    headers = {"Content-Security-Policy": policy}
    body = f"""<!doctype html><title>entry</title><link rel="icon" href="data:,">{head}
        <live-topic topic="t"><table><tbody data-rows></tbody></table></live-topic>
        <script type="module" src="/static/realtime/live.js"></script>"""
    page.route_web_socket("**", serve)
    page.route("**/entry", lambda route: route.fulfill(body=body, content_type="text/html", headers=headers))

    page.goto(f"{site}/entry")

    expect(page.locator("tbody td")).to_have_text("live")
    assert addresses == [site.replace("http", "ws") + path]
    assert page.evaluate("import('/static/realtime/live.js').then((live) => live.default === realtime)")
    assert '"subscribe"' in sent[0]
