"""Security of pages in a real Chromium, whatever their rows contain and whatever other sites are open."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.windows import DEPARTURES, PATIENCE_MS, Window
from tests.support import servers
from tests.support.servers import ROOT, Server

# Each calls `hacked` if it is interpreted as markup or code.
PAYLOADS = [
    "<img src=x onerror=hacked()>",
    "</script><script>hacked()</script>",
    '"><svg onload=hacked()>',
    "'><svg onload=hacked()>",
    "javascript:hacked()",
    "'-hacked()-'",
    "{{7*7}}{% now 'Y' %}${hacked()}",
    "<!--</td></tr></table><script>hacked()</script>-->",
    '" data-key="1" data-order="" onfocus="hacked()" autofocus="',
    "</template></live-topic><iframe srcdoc='<script>parent.hacked()</script>'></iframe>",
    "a\u2028hacked()\u2029b&lt;script&gt;&#60;",
    "</title></textarea></style><a href=javascript:hacked()>x</a>",
]


class GuardedWindow(Window):
    """A window that also records violations of the policy, and every payload that ran."""

    def __init__(self, browser: Browser, server: Server, **options) -> None:
        super().__init__(browser, server, **options)
        self.hacks: list[str] = []
        self.violations: list[str] = []
        self.context.expose_binding("hacked", lambda source: self.hacks.append(source["page"].url))
        self.context.expose_binding("violated", lambda source, text: self.violations.append(text))
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI, sample }) =>"
            " violated(`${effectiveDirective} ${blockedURI} ${sample}`))"
        )


@pytest.fixture
def windows(browser, server) -> Iterator[Callable[..., GuardedWindow]]:
    """Opens a window; at the end no payload may have run, violated the policy or caused an error in any of them."""
    opened: list[GuardedWindow] = []

    def open_window(**options) -> GuardedWindow:
        opened.append(GuardedWindow(browser, server, **options))
        return opened[-1]

    yield open_window
    for each in opened:
        each.page.evaluate("() => 'all reports before this one have arrived'")
        assert (each.hacks, each.violations, each.errors) == ([], [], [])
        each.context.close()
    assert "Traceback" not in server.log.read_text()


def until(page: Page, condition: Callable[[], object]) -> None:
    """Run the page until the condition holds."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


# ---------------------------------------------------------------- payloads in rows


def write_payloads(server: Server) -> None:
    """Write each payload into every text of an entry on the first board, and of a board."""
    database = server.project.connect()
    for number, payload in enumerate(PAYLOADS, start=1):
        database.execute(
            "UPDATE boards_entry SET label = ?, value = ?, unit = ?, status = ?, note = ? WHERE id = ?",
            [payload] * 5 + [number],
        )
        database.execute(
            "INSERT INTO boards_board (slug, title, description, label_heading, value_heading, status_heading,"
            " note_heading, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [*[payload] * 7, 1000 + number],
        )


def texts(page: Page, selector: str) -> list[str]:
    """Return the exact texts of elements; ``expect`` treats U+2028 like any other space."""
    return page.eval_on_selector_all(selector, "found => found.map(({ textContent }) => textContent)")


def wait_for_payloads(page: Page) -> None:
    page.wait_for_function(
        "last => [...document.querySelectorAll('.entry-note')].some(({ textContent }) => textContent === last)",
        arg=PAYLOADS[-1],
        timeout=30_000,
    )


def assert_is_literal(page: Page) -> None:
    assert texts(page, ".entry-label") == PAYLOADS
    assert texts(page, ".entry-value") == [f"{payload} {payload}" for payload in PAYLOADS]
    assert texts(page, ".status") == PAYLOADS
    assert texts(page, ".entry-note") == PAYLOADS
    foreign = "main :is(script, img, svg, iframe, style, a:not(.tool > a), [onfocus], [autofocus])"
    assert page.locator(foreign).count() == 0


def test_payloads_in_a_rendered_page_stay_text(windows, server):
    """In cells, headings, titles and cards."""
    viewer = windows()
    write_payloads(server)

    viewer.open(DEPARTURES)
    assert_is_literal(viewer.page)

    viewer.open("/")
    assert set(PAYLOADS) <= {*texts(viewer.page, ".card-title")} & {*texts(viewer.page, ".card-description")}
    links = viewer.page.eval_on_selector_all(".card-title", "all => all.map(({ href }) => href)")
    assert all(link.startswith(f"{server.url}/boards/") for link in links)
    for link, payload in zip(links[-len(PAYLOADS) :], PAYLOADS, strict=True):
        viewer.page.goto(link)
        assert texts(viewer.page, "h1") == texts(viewer.page, ".heading-description") == [payload]
        assert texts(viewer.page, "th[scope=col]")[:4] == [payload] * 4
        assert texts(viewer.page, "title") == [f"{payload} · Tidemark"]


def test_payloads_in_live_rows_stay_text(windows, server):
    """In each row, in the heading and in the list of boards."""
    viewer, index = windows().open(DEPARTURES), windows().open("/")

    write_payloads(server)
    wait_for_payloads(viewer.page)

    assert_is_literal(viewer.page)
    expect(index.page.locator(".card")).to_have_count(2 + len(PAYLOADS))
    assert set(PAYLOADS) <= {*texts(index.page, ".card-title")} & {*texts(index.page, ".card-description")}
    for payload in PAYLOADS:
        server.project.connect().execute("UPDATE boards_board SET title = ? WHERE id = 1", [payload])
        viewer.page.wait_for_function(
            "text => document.querySelector('h1').textContent === text", arg=payload
        )


def test_payloads_in_a_snapshot_after_a_reconnect_stay_text(browser, server):
    """A restarted server does not have earlier changes: it sends all rows again."""
    viewer = GuardedWindow(browser, server).open(DEPARTURES)
    viewer.page.evaluate(
        "() => document.querySelector('live-topic[topic^=entries]')"
        ".addEventListener('realtime:snapshot', () => { window.wasSnapshot = true; })"
    )

    server.stop()
    write_payloads(server)
    server.start()
    wait_for_payloads(viewer.page)

    assert_is_literal(viewer.page)
    assert viewer.page.evaluate("window.wasSnapshot")
    assert (viewer.hacks, viewer.violations) == ([], [])
    viewer.context.close()


def test_payloads_in_the_inspector_stay_text(windows, server):
    """As rows, as HTML and in a notice."""
    write_payloads(server)
    page = windows().sign_in().page
    page.goto("/realtime/inspector/")
    page.get_by_role("button", name="Connect", exact=True).click()

    for format in ("rows", "html"):
        page.get_by_label("Name").fill("entries.1")
        page.get_by_label("Format").select_option(format)
        page.get_by_role("button", name="Subscribe", exact=True).click()
        page.locator("summary", has_text="snapshot").first.click()
        shown = json.loads(page.locator("[open] pre").first.text_content() or "")
        page.get_by_role("button", name="Clear").click()
        assert len(shown["rows"]) == len(PAYLOADS)
        if format == "rows":
            assert [row["row"]["label"] for row in shown["rows"]] == PAYLOADS
    server.project.manage("broadcast", PAYLOADS[0])
    expect(page.locator("live-notices p")).to_have_text(PAYLOADS[0])


def test_payloads_in_the_admin_stay_text(windows, server):
    """In its lists, filters, forms with inlines and messages."""
    write_payloads(server)
    page = windows().sign_in().page

    page.goto("/admin/boards/entry/?board__id__exact=1")
    assert texts(page, "th.field-label a") == PAYLOADS
    assert page.eval_on_selector_all("[name$=-value]", "all => all.map(({ value }) => value)") == PAYLOADS
    page.goto("/admin/boards/board/")
    assert set(PAYLOADS) <= {*texts(page, "th.field-title a")}
    page.goto("/admin/boards/board/1/change/")
    assert [text.strip().partition("\n")[0].strip() for text in texts(page, "td.original p")] == PAYLOADS

    for payload in PAYLOADS:
        page.goto("/admin/boards/entry/add/")
        page.select_option("#id_board", "1")
        page.fill("#id_label", payload)
        page.click("[name=_save]")
        expect(page.locator(".messagelist .success")).to_contain_text(payload)


# ---------------------------------------------------------------- the policy by itself

MARKUP = "<img src=x onerror=hacked()><svg onload=hacked()>"


def rendered_unescaped(page: Page) -> None:
    """Put a label into the page as markup, like a template that marks it safe."""

    def spoil(route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, body=answer.text().replace("Saltmere", f"{MARKUP}<script>hacked()</script>")
        )

    page.route(f"**{DEPARTURES}", spoil)


def pushed_unescaped(page: Page) -> None:
    """The same for a live row."""

    def spoil(socket) -> None:
        socket.connect_to_server().on_message(lambda text: socket.send(text.replace("now spoiled", MARKUP)))

    page.route_web_socket("**/realtime/ws/**", spoil)


@pytest.mark.parametrize("spoil", [rendered_unescaped, pushed_unescaped])
@pytest.mark.parametrize("has_policy", [True, False], ids=["policy", "no policy"])
def test_unescaped_markup_in_a_page_does_not_run(browser, server, spoil, has_policy):
    """The policy is the second line of defence; without it the same markup runs, which shows that the test works."""
    viewer = GuardedWindow(browser, server, bypass_csp=not has_policy)
    spoil(viewer.page)
    viewer.open(DEPARTURES)

    server.project.connect().execute("UPDATE boards_entry SET label = 'now spoiled' WHERE id = 2")
    server.project.connect().execute("UPDATE boards_entry SET label = 'after it' WHERE id = 3")
    expect(viewer.row("after it")).to_be_visible()
    expect(viewer.page.locator(".entry-label img").first).to_be_attached()
    until(viewer.page, lambda: viewer.violations if has_policy else viewer.hacks)

    assert (viewer.hacks == []) == has_policy
    assert (viewer.violations == []) != has_policy
    viewer.context.close()


def test_only_one_module_can_turn_text_into_elements(browser, server):
    """This module is html.js; it has created the only policy that is allowed."""
    attempts = [
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "document.createElement('script').src = '/static/realtime/live.js'",
        "document.write('<b>x</b>')",
        "setTimeout('hacked()')",
        "trustedTypes.createPolicy('another', {})",
        "trustedTypes.createPolicy('realtime', {})",
    ]
    page = GuardedWindow(browser, server).open(DEPARTURES).page

    outcomes = {
        attempt: page.evaluate(f"() => {{ try {{ {attempt}; }} catch (error) {{ return error.name; }} }}")
        for attempt in attempts
    }

    assert outcomes == dict.fromkeys(attempts, "TypeError")
    page.context.close()


def test_a_browser_without_trusted_types_shows_the_same(browser, server):
    """Most browsers did not have them for years."""
    viewer = GuardedWindow(browser, server, bypass_csp=True)
    viewer.context.add_init_script("delete window.trustedTypes")
    viewer.open(DEPARTURES)
    assert viewer.page.evaluate("typeof trustedTypes") == "undefined"

    server.project.connect().execute("UPDATE boards_entry SET label = 'Plain' WHERE id = 1")

    expect(viewer.row("Plain")).to_be_visible()
    assert viewer.errors == []
    viewer.context.close()


SINKS = re.compile(
    r"innerHTML(?!\s*[],])|outerHTML\s*\+?=(?!=)|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|HTMLUnsafe|srcdoc"
    r"|\beval\b|new Function|\bWorker\("
)


def test_no_other_script_turns_text_into_elements_or_code():
    """This also covers code that no test runs. The bundle has what html.js has, and no more. To compare is allowed."""
    scripts = Path(ROOT, "realtime").rglob("static/**/*.js")

    sinks = {script.name: SINKS.findall(script.read_text()) for script in scripts}

    assert [name for name in sorted(sinks) if sinks[name]] == ["html.js", "live.min.js"]
    assert sorted(sinks["live.min.js"]) == sorted(sinks["html.js"])


# ---------------------------------------------------------------- every page


def test_every_page_works_under_the_policy(windows, server):
    """Sign-in, lists, forms with inlines, the pop-up for a related row; what is saved there appears on a live page."""
    editor = windows().sign_in()
    page = editor.page
    viewer = windows().open(DEPARTURES)

    page.goto("/admin/boards/board/1/change/")
    page.fill("#id_title", "Sailings")
    page.get_by_text("Add another Entry").click()
    added = page.locator(".dynamic-entries").last
    added.locator("[name$=-label]").fill("Added inline")
    page.click("[name=_save]")
    expect(page.locator(".messagelist .success")).to_be_visible()
    expect(viewer.row("Added inline")).to_be_visible()
    expect(viewer.page.locator("h1")).to_have_text("Sailings")

    page.goto("/admin/boards/entry/add/")
    with page.expect_popup() as popup:
        page.click("#add_id_board")
    popup.value.locator("#id_title").press_sequentially("Made beside it")
    assert popup.value.input_value("#id_slug") == "made-beside-it"
    with popup.value.expect_event("close"):
        popup.value.click("[name=_save]")
    expect(page.locator("#id_board option:checked")).to_have_text("Made beside it")

    for path in (
        "/",
        "/boards/roster/",
        "/realtime/inspector/",
        "/admin/boards/entry/",
        "/admin/boards/entry/1/history/",
    ):
        page.goto(path)
    page.get_by_role("button", name="Toggle theme").first.click()
    page.click("#logout-form button")
    page.wait_for_url("**/admin/logout/")


@pytest.mark.parametrize(
    "path, heading",
    [("/nothing/", "There is no such page"), ("/admin/auth/user/", "You may not see this page")],
)
def test_error_pages_look_as_they_should(browser, server, path, heading):
    """The policy allows their style sheet; the console reports only their status."""
    editor = GuardedWindow(browser, server).sign_in()

    editor.page.goto(path)

    expect(editor.page.locator("h1")).to_have_text(heading)
    assert editor.page.evaluate("document.styleSheets.length") == 1
    assert editor.violations == []
    assert all(error.startswith("Failed to load resource") for error in editor.errors)
    editor.context.close()


def test_a_form_of_an_ended_session_is_refused_with_a_page(browser, server):
    """The page has the same design as the others."""
    editor = GuardedWindow(browser, server).sign_in()
    editor.page.goto("/admin/boards/entry/add/")
    editor.context.clear_cookies()

    editor.page.fill("#id_label", "Lost")
    editor.page.click("[name=_save]")

    expect(editor.page.locator("h1")).to_have_text("This form was not accepted")
    assert editor.violations == []
    editor.context.close()


# ---------------------------------------------------------------- pages of others


class Elsewhere(BaseHTTPRequestHandler):
    """A page of another site."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title><link rel=icon href=data:,>")

    def log_message(self, format: str, *args: object) -> None:
        pass


# Another port is another origin of the same site: browsers send cookies to it. Another name is another site.
@pytest.fixture(params=["127.0.0.1", "localhost"], ids=["another port", "another name"])
def elsewhere(request) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield f"http://{request.param}:{site.server_port}/"
        site.shutdown()
        thread.join()


@pytest.fixture(params=["daphne", "uvicorn"])
def each(request, project) -> Iterator[Server]:
    with servers.running(project, request.param) as server:
        yield server


# The duty roster is for staff: it can only be read with the editor's cookies.
ATTEMPTS = {
    "socket": """(url) => new Promise((resolve) => {
        const socket = new WebSocket(url.replace("http", "ws") + "/realtime/ws/");
        socket.onopen = () => socket.send('{"type": "subscribe", "topic": "entries.3"}');
        socket.onmessage = ({ data }) => data.includes("entries.3") && resolve(data);
        socket.onclose = () => resolve("refused");
    })""",
    "stream": """(url) => new Promise((resolve) => {
        const source = new EventSource(url + "/realtime/sse/?topic=entries.3", { withCredentials: true });
        source.onmessage = ({ data }) => data.includes("entries.3") && resolve(data);
        source.onerror = () => (source.close(), resolve("refused"));
    })""",
    "poll": """(url) => fetch(url + "/realtime/topics/entries.3/", { credentials: "include" })
        .then((answer) => answer.text()).catch(() => "refused")""",
    "call": """(url) => fetch(url + "/realtime/calls/", { method: "POST", credentials: "include",
        headers: { "Content-Type": "application/json" }, body: '{"action": "echo", "args": {"text": "called"}}' })
        .then((answer) => answer.text()).catch(() => "refused")""",
    "call as text": """(url) => fetch(url + "/realtime/calls/", { method: "POST", credentials: "include",
        mode: "no-cors", body: '{"action": "echo", "args": {"text": "called"}}' })
        .then((answer) => answer.text()).catch(() => "refused")""",
    "call by beacon": """(url) => {
        navigator.sendBeacon(url + "/realtime/calls/", '{"action": "echo", "args": {"text": "called"}}');
        return "refused";
    }""",
}


def test_a_page_of_another_origin_cannot_use_the_cookies_of_an_editor(browser, each, elsewhere):
    """It gets neither rows nor replies, by any kind of request; the editor's own page gets both."""
    editor = GuardedWindow(browser, each).sign_in()
    own, foreign = editor.page, editor.context.new_page()
    own.goto("/realtime/inspector/")
    foreign.goto(elsewhere)

    had = {name: own.evaluate(attempt, each.url) for name, attempt in ATTEMPTS.items()}
    got = {name: foreign.evaluate(attempt, each.url) for name, attempt in ATTEMPTS.items()}
    until(foreign, lambda: each.log.read_text().count("is not ours") == len(ATTEMPTS))

    assert all("Harbour master" in had[name] for name in ("socket", "stream", "poll"))
    assert '"called"' in had["call"]
    assert got == dict.fromkeys(ATTEMPTS, "refused")
    assert each.log.read_text().count("message call") == 1
    editor.context.close()


def test_a_page_of_another_origin_cannot_frame_our_pages(browser, server, elsewhere):
    """Nor responses with rows: a framed page could be used for clickjacking."""
    viewer = GuardedWindow(browser, server)
    viewer.page.goto(elsewhere)

    guarded = [
        f"{server.url}{path}" for path in (DEPARTURES, "/admin/login/", "/realtime/topics/boards/", "/x/")
    ]
    shown = []
    for address in [elsewhere, *guarded]:
        viewer.page.evaluate(
            """(address) => new Promise((resolve) => {
                const frame = document.createElement("iframe");
                frame.onload = resolve;
                frame.src = address;
                document.body.replaceChildren(frame);
            })""",
            address,
        )
        shown += [frame.url for frame in viewer.page.main_frame.child_frames if frame.url == address]

    refusal = "frame-ancestors 'none'"
    until(viewer.page, lambda: sum(refusal in error for error in viewer.errors) == len(guarded))
    assert shown == [elsewhere]
    viewer.context.close()
