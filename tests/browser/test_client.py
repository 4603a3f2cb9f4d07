"""The page's side of the protocol, in a real Chromium, with a scripted server and a clock that tests move."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

HERE = Path(__file__).parent
ROOTS = {"/static/realtime/": HERE.parents[1] / "realtime/static/realtime", "/fakes/": HERE / "fakes"}


class Files(SimpleHTTPRequestHandler):
    """The page's modules and the fakes."""

    def translate_path(self, path: str) -> str:
        for prefix, root in ROOTS.items():
            if path.startswith(prefix):
                return str(root / path.removeprefix(prefix))
        return "/nowhere"

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def errors() -> list[str]:
    """What the console complained of; a test that provokes complaints takes them out."""
    return []


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Shared by all pages, for its cache: they keep nothing else."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, site: str, errors: list[str]) -> Iterator[Page]:
    """A page with fakes/page.js: nothing is connected yet."""
    page = context.new_page()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{site}/fakes/page.html")
    page.wait_for_selector("html[data-ready]")
    yield page
    page.close()
    assert errors == []


SUBSCRIBE = {"type": "subscribe", "topic": "t", "format": "html"}

# ---------------------------------------------------------------- positions


@pytest.mark.parametrize(
    ("after", "to", "expected"),
    [
        pytest.param(10, 12, ["applied", "e.12", []], id="follows"),
        pytest.param(7, 12, ["applied", "e.12", []], id="overlaps"),
        pytest.param(8, 10, ["held", "e.10", []], id="known already"),
        pytest.param(3, 5, ["held", "e.10", []], id="long known"),
        pytest.param(11, 12, ["held", "e.10", ["e.10"]], id="gap"),
    ],
)
def test_changes_are_applied_dropped_or_asked_for_again_by_position(
    page: Page, after: int, to: int, expected: list[Any]
) -> None:
    """`position` ≤ mine: drop; `after` ≤ mine: apply; otherwise subscribe again with mine."""
    page.evaluate("() => { paint([tr('a', 'a', 'held')]); connect().take(); }")

    got = page.evaluate(
        """([after, to]) => {
            server().says(changes(after, to, [upsert(html("a", "a", "applied"))]));
            return [texts()[0], realtime.position("t"), server().take().map((sent) => sent.position)];
        }""",
        [after, to],
    )

    assert got == expected


def test_changes_of_another_epoch_are_asked_for_again(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a", "a", "held")]); connect().take();
        server().says({ type: "changes", topic: "t", after: 10, position: "f.11", changes: [remove("a")] });
        return [texts(), server().take()];
    }""")

    assert got == [["held"], [SUBSCRIBE | {"position": "e.10"}]]


def test_one_gap_is_asked_about_once(page: Page) -> None:
    """What the server sent before it read the question shows the same gap again."""
    got = page.evaluate("""() => {
        paint([tr("a")]); connect().take();
        server().says(changes(11, 12, [])).says(changes(12, 13, [])).says(changes(13, 14, []));
        const asked = server().take().length;
        server().says(changes(10, 14, [upsert(html("b"))])).says(changes(15, 16, []));
        return [asked, texts(), server().take().map((sent) => sent.position)];
    }""")

    assert got == [1, ["row a", "row b"], ["e.14"]]


def test_a_snapshot_in_parts_is_shown_with_its_last_part(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("old")]); connect();
        server().says(snapshot(20, [html("a"), html("b")], true));
        const before = [texts(), realtime.position("t")];
        server().says(snapshot(20, [html("c")]));
        return [before, [texts(), realtime.position("t")]];
    }""")

    assert got == [[["row old"], "e.10"], [["row a", "row b", "row c"], "e.20"]]


def test_parts_of_an_abandoned_snapshot_are_forgotten(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([], null); connect();
        server().says(snapshot(20, [html("a")], true)).says(snapshot(21, [html("b")], true));
        server().says(snapshot(21, [html("c")]));
        return texts();
    }""")

    assert got == ["row b", "row c"]


def test_parts_from_before_a_reconnect_are_forgotten(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([], null); connect().says(snapshot(20, [html("a")], true)).drops();
        clock.advance(20_000);
        server().opens().says(snapshot(20, [html("b")]));
        return texts();
    }""")

    assert got == ["row b"]


def test_a_heartbeat_ahead_of_the_page_makes_it_ask_again(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); connect().take();
        server().says(heartbeat({ t: "e.10" }));
        const inStep = server().take();
        server().says(heartbeat({ t: "e.11" }));
        return [inStep, server().take()];
    }""")

    assert got == [[], [SUBSCRIBE | {"position": "e.10"}]]


def test_a_topic_missing_from_two_heartbeats_is_asked_for_again(page: Page) -> None:
    """Refused for a passing reason, it comes back by itself."""
    got = page.evaluate("""() => {
        const element = paint([tr("a")]); connect().says(changes(10, 10, []));
        server().says({ type: "error", code: 4529, message: "too many", topic: "t" }).take();
        const state = element.getAttribute("state");
        server().says(heartbeat());
        const early = server().take().length;
        server().says(heartbeat());
        return [state, early, server().take()];
    }""")

    assert got == ["stale", 0, [SUBSCRIBE | {"position": "e.10"}]]


def test_messages_of_the_other_format_are_not_taken(page: Page) -> None:
    """A subscription that was just given up may still be speaking."""
    got = page.evaluate("""() => {
        paint([tr("a", "a", "held")]); connect();
        server().says(changes(10, 11, [upsert(row("a"))])).says(snapshot(12, [row("a")]));
        return [texts(), realtime.position("t")];
    }""")

    assert got == [["held"], "e.10"]


# ---------------------------------------------------------------- rows


def test_rows_keep_the_order_of_the_topic(page: Page) -> None:
    """By `order`, code unit by code unit, ties by key, for new rows and for those that move."""
    got = page.evaluate("""() => {
        paint([tr("1", "10 "), tr("2", "20 "), tr("3", "30 ")]); connect();
        server().says(changes(10, 11, [upsert(html("4", "25 ")), upsert(html("5", "20 ")),
            upsert(html("6", "Z")), upsert(html("7", "")), upsert(html("1", "99 "))]));
        return texts();
    }""")

    assert got == [f"row {key}" for key in "7254316"]


def test_deleting_an_unknown_row_is_no_error(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); connect().says(changes(10, 11, [remove("nobody"), remove("a"), remove("a")]));
        return [texts(), realtime.position("t"), document.querySelector("[data-empty]").hidden];
    }""")

    assert got == [[], "e.11", False]


def test_the_words_for_an_empty_topic_hide_while_there_are_rows(page: Page) -> None:
    page.evaluate("() => { paint([]); connect().says(changes(10, 11, [upsert(html('a'))])); }")

    expect(page.locator("[data-empty]")).to_be_hidden()


def test_a_snapshot_keeps_the_elements_of_unchanged_rows(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a"), tr("b"), tr("c"), tr("d")]); connect();
        const rows = () => [...document.querySelectorAll("[data-key]")];
        const present = Object.fromEntries(rows().map((e) => [e.dataset.key, e]));
        server().says(snapshot(20, [html("new", "0"), html("b"), html("c", "c", "other"), html("d")]));
        return rows().map((e) => [e.dataset.key, e === present[e.dataset.key], e.className !== ""]);
    }""")

    assert got == [["new", False, True], ["b", True, False], ["c", False, True], ["d", True, False]]


def test_the_first_snapshot_lights_nothing_up(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([], null); connect().says(snapshot(20, [html("a"), html("b")]));
        return [...document.querySelectorAll("tbody tr")].map((element) => element.className);
    }""")

    assert got == ["", ""]


def test_an_upsert_without_a_difference_changes_nothing(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); connect();
        const shown = () => document.querySelector("[data-key]");
        const before = shown();
        server().says(changes(10, 11, [upsert(html("a"))]));
        const untouched = shown();
        server().says(changes(11, 12, [upsert(html("a", "a", "new"))]));
        const lit = shown();
        server().says(changes(12, 13, [upsert(html("a", "a", "new"))]));
        return [untouched === before, before.className, lit.className, shown() === lit];
    }""")

    assert got == [True, "", "realtime-changed", True]


CHANGE_A_ROW = "() => { paint([tr('a')]); connect().says(changes(10, 11, [upsert(html('a', 'a', 'new'))])); }"
ANIMATION = "getComputedStyle(document.querySelector('tr.realtime-changed')).animationName"


def test_a_changed_row_is_lit_up_for_a_while(page: Page) -> None:
    page.evaluate(CHANGE_A_ROW)

    assert page.evaluate(ANIMATION) == "realtime-changed"
    expect(page.locator("tr[data-key=a]")).not_to_have_attribute("class", "realtime-changed")


def test_nothing_moves_for_readers_who_prefer_less_motion(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")

    page.evaluate(CHANGE_A_ROW)

    assert page.evaluate(ANIMATION) == "none"
    expect(page.locator("tr[data-key=a]")).not_to_have_attribute("class", "realtime-changed")


def test_focus_stays_in_a_row_that_is_replaced(page: Page) -> None:
    got = page.evaluate("""() => {
        const link = (text) => `<a href="#x">${text}</a>`;
        paint([tr("a", "a", link("old"))]); connect();
        document.querySelector("tbody a").focus();
        server().says(changes(10, 11, [upsert(html("a", "a", link("new")))]));
        return document.activeElement.textContent;
    }""")

    assert got == "new"


@pytest.mark.parametrize(
    "text",
    [
        "&lt;img src=x onerror=&quot;window.hacked = 1&quot;&gt;",
        "&lt;/script&gt;&lt;script&gt;window.hacked = 1&lt;/script&gt;",
    ],
    ids=["image", "script"],
)
def test_escaped_text_stays_text(page: Page, text: str) -> None:
    page.evaluate(
        "(text) => { paint([]); connect().says(changes(10, 11, [upsert(html('a', 'a', text))])); }",
        text,
    )

    expect(page.locator("tbody td")).to_contain_text("window.hacked = 1")
    expect(page.locator("tbody td *")).to_have_count(0)
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("key", ['"', "'", '"><b>', "&amp;", "a b", "\\", "]"])
def test_keys_and_orders_may_hold_any_character(page: Page, key: str) -> None:
    """They never become part of a selector or of html."""
    got = page.evaluate(
        """(key) => {
            paint([]); connect();
            const html = (text) => ({ op: "upsert", key, order: key, html: `<tr><td>${text}</td></tr>` });
            server().says(changes(10, 11, [html("one")])).says(changes(11, 12, [html("two")]));
            const row = document.querySelector("tbody tr");
            const shown = [texts(), row.dataset.key, row.dataset.order];
            server().says(changes(12, 13, [remove(key)]));
            return [...shown, texts()];
        }""",
        key,
    )

    assert got == [["two"], key, key, []]


def test_a_row_that_cannot_be_shown_is_asked_for_again_and_stops_nobody(
    page: Page, errors: list[str]
) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); paint([tr("b")], "e.10", "u"); connect().take();
        server().says(changes(10, 11, [upsert({ key: "x", order: "x", html: "no element" })]));
        server().says(changes(10, 11, [remove("b")], "u")).says(heartbeat({ t: "e.11", u: "e.11" }));
        return [texts(), server().take()];
    }""")

    assert got == [["row a"], [SUBSCRIBE | {"position": "e.10"}]]
    assert "root element" in errors.pop()


# ---------------------------------------------------------------- the element


def test_the_element_says_its_state_and_position(page: Page) -> None:
    got = page.evaluate("""() => {
        const element = paint([], null), told = [];
        const note = () => told.push([element.getAttribute("state"), element.getAttribute("position")]);
        note();
        connect(); note();
        server().says(snapshot(20, [html("a")])); note();
        server().says(changes(20, 21, [remove("a")])); note();
        server().drops(); note();
        clock.advance(20_000); server().opens(); note();
        server().says(changes(21, 21, [])); note();
        return told;
    }""")

    assert got == [
        ["loading", None],
        ["loading", None],
        ["live", "e.20"],
        ["live", "e.21"],
        ["stale", "e.21"],
        ["stale", "e.21"],
        ["live", "e.21"],
    ]


def test_the_element_announces_what_happens_to_it(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const told = [];
        for (const type of ["snapshot", "changes", "applied", "error"]) {
            document.addEventListener(`realtime:${type}`, ({ detail }) =>
                told.push([type, detail.position ?? detail.code, texts().length]));
        }
        connect().says(snapshot(20, [])).says(changes(20, 21, [upsert(html("b"))]));
        server().says({ type: "error", code: 4403, message: "no", topic: "t" });
        return told;
    }""")

    assert got == [
        ["snapshot", "e.20", 1],
        ["applied", "e.20", 0],
        ["changes", "e.21", 0],
        ["applied", "e.21", 1],
        ["error", 4403, 1],
    ]


def test_a_listener_may_show_changes_itself(page: Page) -> None:
    got = page.evaluate("""() => {
        const element = paint([tr("a")]); connect();
        element.addEventListener("realtime:changes", (event) => event.preventDefault());
        server().says(changes(10, 11, [remove("a")]));
        return [texts(), element.getAttribute("position")];
    }""")

    assert got == [["row a"], "e.11"]


def test_a_refused_topic_says_so_and_is_asked_for_on_the_next_connection_only(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); connect().take();
        server().says({ type: "error", code: 4403, message: "<b>Not yours</b>", topic: "t" });
        server().says(heartbeat()).says(heartbeat()).says(heartbeat());
        const asked = server().take();
        server().drops(); clock.advance(20_000); server().opens();
        return [asked, server().take()];
    }""")

    assert got == [[], [SUBSCRIBE | {"position": "e.10"}]]
    expect(page.locator("live-topic")).to_have_attribute("state", "refused")
    expect(page.get_by_role("status")).to_have_text("<b>Not yours</b>")
    page.evaluate("server().says(changes(10, 10, []))")
    expect(page.locator("live-topic")).to_have_attribute("state", "live")
    expect(page.locator(".realtime-refused")).to_have_count(0)


def test_a_removed_element_unsubscribes(page: Page) -> None:
    page.evaluate("() => { const element = paint([tr('a')]); connect().take(); element.remove(); }")

    page.wait_for_function("server().sent.length > 0")
    assert page.evaluate("server().take()") == [{"type": "unsubscribe", "topic": "t"}]


def test_a_moved_element_stays_subscribed(page: Page) -> None:
    page.evaluate("""async () => {
        const element = paint([tr("a")]); connect().take();
        element.remove();
        await Promise.resolve();
        document.body.append(element);
        await new Promise((resolve) => setTimeout(resolve));
        server().says(changes(10, 11, [upsert(html("b"))]));
    }""")

    assert page.evaluate("[server().take(), texts()]") == [[], ["row a", "row b"]]


def test_an_element_that_comes_back_goes_on_from_where_it_was(page: Page) -> None:
    got = page.evaluate("""async () => {
        const element = paint([tr("a")]); connect().says(changes(10, 12, []));
        element.remove();
        await new Promise((resolve) => setTimeout(resolve));
        server().take();
        document.body.append(element);
        return server().take();
    }""")

    assert got == [SUBSCRIBE | {"position": "e.12"}]


def test_elements_of_one_topic_share_a_subscription(page: Page) -> None:
    """Painted together they are at one position: asked for once, told both."""
    got = page.evaluate("""() => {
        connect();
        paint([tr("a", "a", "at 10")], "e.10"); paint([tr("a", "a", "at 10")], "e.10");
        const asked = server().take().map((sent) => sent.position);
        server().says(changes(10, 12, [upsert(html("a", "a", "at 12"))]));
        return [asked, texts(), realtime.position("t")];
    }""")

    assert got == [["e.10"], ["at 12"] * 2, "e.12"]


def test_elements_of_one_topic_painted_at_two_positions_get_a_snapshot(page: Page) -> None:
    """From the older of them the newer could not be brought on exactly: it may show what came and went since."""
    got = page.evaluate("""() => {
        connect(); paint([tr("a")], "e.10"); paint([tr("a"), tr("ghost")], "e.12");
        const asked = server().take().map((sent) => sent.position ?? null);
        server().says(snapshot(13, [html("a", "a", "at 13")]));
        return [asked, texts(), realtime.position("t")];
    }""")

    assert got == [["e.10", None], ["at 13"] * 2, "e.13"]


def test_an_element_without_a_position_brings_a_snapshot_for_all(page: Page) -> None:
    got = page.evaluate("""() => {
        connect(); paint([tr("a")]); paint([], null);
        const asked = server().take();
        server().says(changes(10, 11, [upsert(html("b"))])).says(snapshot(12, [html("c")]));
        return [asked, texts()];
    }""")

    assert got == [[SUBSCRIBE | {"position": "e.10"}, SUBSCRIBE], ["row c", "row c"]]


def test_one_topic_in_two_formats_is_refused(page: Page, errors: list[str]) -> None:
    refusal = page.evaluate("""() => {
        paint([tr("a")]);
        try { realtime.subscribe("t"); } catch (error) { return error.message; }
    }""")
    state = page.evaluate("realtime.subscribe('u') && paint([], 'e.1', 'u').getAttribute('state')")

    assert "followed as html already" in refusal
    assert "followed as rows already" in errors.pop()
    assert state == "refused"


# ---------------------------------------------------------------- reconnecting


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 4500, 4508, 4512, 4999])
def test_the_page_comes_back_and_resumes(page: Page, code: int) -> None:
    got = page.evaluate(
        """(code) => {
            paint([tr("a")]); connect().says(changes(10, 12, [])).drops(code, "why");
            const { state, willRetry } = realtime.status, wait = clock.waits[0];
            clock.advance(wait);
            server().opens();
            return [state, willRetry, realtime.status.state, wait, FakeSocket.all.length, server().take()];
        }""",
        code,
    )

    # The first wait is even over [0, 500); the test's chance is always a half.
    assert got == ["reconnecting", True, "live", 250, 2, [SUBSCRIBE | {"position": "e.12"}]]


@pytest.mark.parametrize("code", [4400, 4403, 4404, 4499])
def test_a_final_code_stops_the_page(page: Page, code: int) -> None:
    got = page.evaluate(
        """(code) => {
            connect().drops(code, "because");
            fire("online"); fire("visibilitychange"); clock.advance(100_000);
            return [realtime.status, FakeSocket.all.length];
        }""",
        code,
    )

    status = {
        "state": "stopped",
        "code": code,
        "reason": "because",
        "willRetry": False,
        "attempt": 0,
        "transport": None,
    }
    assert got == [status, 1]


def test_a_bye_names_the_delay_and_the_code(page: Page) -> None:
    """Its code stands, even if the connection is then simply lost."""
    got = page.evaluate("""() => {
        connect().says({ type: "bye", code: 4512, reason: "draining", retry_after_seconds: 3 }).drops(1006);
        const told = [realtime.status.code, realtime.status.reason, clock.waits[0]];
        fire("online");
        return [...told, clock.waits[0] >= 3000, FakeSocket.all.length];
    }""")

    assert got == [4512, "draining", 3250, True, 1]


def test_a_server_that_says_bye_and_stays_is_left(page: Page) -> None:
    got = page.evaluate("""() => {
        const first = connect().says({ type: "bye", code: 4512, reason: "draining" });
        clock.advance(5000);
        return [first.closedWith, FakeSocket.all.length];
    }""")

    assert got == [1000, 2]


def test_the_backoff_is_bounded_and_even_from_zero(page: Page) -> None:
    got = page.evaluate("() => [0, 1, 2, 5, 6, 50, 5000].map((n) => [delay(n, () => 0), delay(n, () => 1)])")

    assert got == [[0, 500], [0, 1000], [0, 2000], [0, 16000], [0, 20000], [0, 20000], [0, 20000]]


def test_only_a_heartbeat_ends_the_backoff(page: Page) -> None:
    """A server that accepts and dies must not be asked again at once, forever."""
    got = page.evaluate("""() => {
        const waits = [];
        connect().drops();
        for (const live of [false, false, true, false]) {
            waits.push(clock.waits[0]);
            clock.advance(clock.waits[0]);
            server().opens();
            if (live) server().says(heartbeat());
            server().drops();
        }
        return [...waits, clock.waits[0]];
    }""")

    assert got == [250, 500, 1000, 250, 500]


def test_silence_for_two_heartbeats_means_reconnect(page: Page) -> None:
    got = page.evaluate("""() => {
        const first = connect();
        clock.advance(20_000); first.says(heartbeat());
        clock.advance(31_900);
        const patient = [first.closedWith, FakeSocket.all.length];
        clock.advance(200);
        const given = [first.closedWith, realtime.status.state];
        clock.advance(1000);
        return [patient, given, FakeSocket.all.length];
    }""")

    assert got == [[None, 1], [1000, "reconnecting"], 2]


def test_a_server_that_never_greets_is_left(page: Page) -> None:
    page.evaluate("() => { realtime.start(); clock.advance(16_000); }")

    assert page.evaluate("FakeSocket.all.length") == 2


def test_a_page_that_slept_asks_before_it_gives_up(page: Page) -> None:
    got = page.evaluate("""() => {
        connect().take();
        clock.sleep(3_600_000);
        const asked = server().take();
        server().says(heartbeat());
        clock.advance(10_000);
        return [asked, FakeSocket.all.length, realtime.status.state];
    }""")

    assert got == [[{"type": "ping"}], 1, "live"]


def test_what_an_old_socket_still_says_is_not_heard(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const old = connect();
        clock.advance(33_000); server().opens();
        old.readyState = 1;
        old.says(changes(10, 11, [remove("a")])).drops(4403);
        return [texts(), realtime.status.state, FakeSocket.all.length];
    }""")

    assert got == [["row a"], "live", 2]


def test_an_unreadable_message_means_reconnect_and_resume(page: Page, errors: list[str]) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const first = connect();
        first.says('{"type": "chan').says("null");
        clock.advance(500);
        return [first.closedWith, server().opens().take()];
    }""")

    assert got == [1000, [SUBSCRIBE | {"position": "e.10"}]]
    assert len(errors) == 1
    assert "cannot read" in errors.pop()


@pytest.mark.parametrize("event", ["online", "visibilitychange"])
def test_waking_up_reconnects_at_once(page: Page, event: str) -> None:
    got = page.evaluate(
        """(event) => {
            connect();
            for (let n = 0; n < 8; n++) { server().drops(); if (n < 7) clock.advance(clock.waits[0]); }
            const before = clock.waits[0];
            fire(event);
            return [before, clock.waits];
        }""",
        event,
    )

    assert got == [10_000, [150]]


@pytest.mark.parametrize(("answers", "sockets"), [(True, 1), (False, 2)])
def test_waking_up_asks_whether_the_connection_lives(page: Page, answers: bool, sockets: int) -> None:
    got = page.evaluate(
        """(answers) => {
            connect().take(); fire("visibilitychange");
            const asked = server().take();
            if (answers) server().says(heartbeat());
            clock.advance(5000);
            return [asked, FakeSocket.all.length];
        }""",
        answers,
    )

    assert got == [[{"type": "ping"}], sockets]


def test_a_page_that_is_hidden_does_not_wake(page: Page) -> None:
    got = page.evaluate("""() => {
        connect().take(); target.document.visibilityState = "hidden"; fire("visibilitychange");
        return server().take();
    }""")

    assert got == []


def test_a_page_from_the_back_forward_cache_resumes(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const first = connect().says(changes(10, 12, []));
        fire("pagehide", { persisted: true });
        clock.advance(100_000);
        const left = [first.closedWith, FakeSocket.all.length];
        fire("pageshow", { persisted: true }); clock.advance(300);
        return [left, server().opens().take()];
    }""")

    assert got == [[1000, 1], [SUBSCRIBE | {"position": "e.12"}]]


def test_a_stopped_page_tries_again_when_it_comes_back(page: Page) -> None:
    """The reader may have signed in meanwhile; coming back is as good as loading the page."""
    got = page.evaluate("""() => {
        connect().drops(4403);
        fire("pagehide", { persisted: true }); fire("pageshow", { persisted: true }); clock.advance(300);
        return FakeSocket.all.length;
    }""")

    assert got == 2


@pytest.mark.parametrize(
    ("answer", "state"),
    [("true", "reconnecting"), ("false", "stopped"), ("Promise.reject(new Error())", "reconnecting")],
    ids=["page still there", "login asked", "no answer"],
)
def test_signed_out_is_checked_over_http(page: Page, answer: str, state: str) -> None:
    page.evaluate(f"() => {{ world.pageAnswers = async () => {answer}; connect().drops(4401); }}")

    page.wait_for_function("realtime.status.state === 'stopped' || clock.waits.length > 0")
    assert page.evaluate("realtime.status.state") == state
    assert page.evaluate("[world.pageChecks, realtime.status.code]") == [1, 4401]


def test_an_answer_over_http_that_comes_late_decides_nothing(page: Page) -> None:
    """The reader came back meanwhile, and the connection with them."""
    page.evaluate("""async () => {
        let answer;
        world.pageAnswers = () => new Promise((resolve) => (answer = resolve));
        connect().drops(4401);
        fire("visibilitychange"); clock.advance(300); server().opens();
        answer(false);
        await new Promise((resolve) => setTimeout(resolve));
    }""")

    assert page.evaluate("[realtime.status.state, FakeSocket.all.length]") == ["live", 2]


def test_signed_out_is_checked_once(page: Page) -> None:
    page.evaluate("() => { connect().drops(4401); }")
    page.wait_for_function("clock.waits.length > 0")

    page.evaluate("() => { clock.advance(1000); server().opens().drops(4401); }")

    assert page.evaluate("[realtime.status.state, world.pageChecks]") == ["stopped", 1]


# ---------------------------------------------------------------- calls


def test_a_call_waits_for_the_connection_and_resolves_with_the_reply(page: Page) -> None:
    got = page.evaluate("""async () => {
        const first = realtime.call("echo", { text: "hi" }), second = realtime.call("now");
        const [a, b] = connect().take();
        server().says({ type: "reply", id: b.id, ok: "noon" });
        server().says({ type: "reply", id: a.id, ok: { text: "hi" } });
        return [a, b.args, await first, await second];
    }""")

    sent = {"type": "call", "id": 1, "action": "echo", "args": {"text": "hi"}}
    assert got == [sent, {}, {"text": "hi"}, "noon"]


FAILED = """.catch((error) => [error instanceof Error, error.code, error.message, error.fields])"""


def test_a_refused_call_rejects_with_the_fields(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        connect();
        const call = realtime.call("echo"){FAILED};
        const error = {{ code: 4400, message: "no", fields: {{ text: ["required"] }} }};
        server().says({{ type: "reply", id: 1, error }});
        return call;
    }}""")

    assert got == [True, 4400, "no", {"text": ["required"]}]


@pytest.mark.parametrize(
    ("happens", "code", "words"),
    [
        ("connect().drops(1006, 'cut')", 1006, "cut"),
        ("connect(); clock.advance(10_000)", None, "10 s"),
        ("realtime.start(); clock.advance(10_000)", None, "10 s"),
        ("realtime.start(); server().drops(4403, 'not you')", 4403, "not you"),
    ],
    ids=["closed", "no answer", "never open", "stopped"],
)
def test_a_call_without_an_answer_rejects(page: Page, happens: str, code: int | None, words: str) -> None:
    got = page.evaluate(f"() => {{ const call = realtime.call('echo'){FAILED}; {happens}; return call; }}")

    assert got[:2] == [True, code]
    assert words in got[2]


def test_an_unsent_call_outlives_a_failed_attempt_and_goes_out_once(page: Page) -> None:
    got = page.evaluate("""() => {
        realtime.start(); realtime.call("echo");
        server().drops(); clock.advance(1000); server().opens();
        return server().take().length;
    }""")

    assert got == 1


def test_a_call_that_is_too_long_never_goes_out(page: Page) -> None:
    got = page.evaluate(f"""async () => {{
        connect().take();
        const failed = await realtime.call("echo", {{ text: "é".repeat(9000) }}){FAILED};
        return [failed[1], server().take()];
    }}""")

    assert got == [4400, []]


# ---------------------------------------------------------------- scripts


def test_a_script_follows_a_topic_as_a_map_of_rows(page: Page) -> None:
    got = page.evaluate("""() => {
        const told = [];
        const board = realtime.subscribe("t", {
            onSnapshot: (rows, message) => told.push(["snapshot", rows.length, message.position]),
            onChanges: (changes) => told.push(["changes", changes.length, board.position]),
            onError: (message) => told.push(["error", message.code]),
        });
        const asked = connect().take();
        server().says(snapshot(5, [row("a"), row("c")])).says(changes(5, 6, [upsert(row("b")), remove("a")]));
        const rows = [...board.rows].map(([key, { row }]) => [key, row.text]);
        server().says({ type: "error", code: 4403, message: "no", topic: "t" });
        board.unsubscribe();
        return [asked, told, rows, server().take()];
    }""")

    assert got == [
        [{"type": "subscribe", "topic": "t", "format": "rows"}],
        [["snapshot", 2, "e.5"], ["changes", 2, "e.6"], ["error", 4403]],
        [["b", "row b"], ["c", "row c"]],
        [{"type": "unsubscribe", "topic": "t"}],
    ]


def test_a_failing_handler_stops_nobody(page: Page, errors: list[str]) -> None:
    got = page.evaluate("""() => {
        const told = [];
        const fail = () => { throw new Error("mine"); };
        realtime.on("message", fail);
        realtime.on("heartbeat", fail);
        realtime.on("heartbeat", (message) => told.push(message.type));
        const off = () => told.push("off");
        realtime.on("heartbeat", off);
        realtime.off("heartbeat", off);
        connect().says(heartbeat());
        return told;
    }""")

    assert got == ["heartbeat"]
    assert ["mine" in error for error in errors] == [True] * 3
    errors.clear()


def test_notices_appear_newest_first_and_can_be_dismissed(page: Page) -> None:
    page.evaluate("""() => {
        document.body.append(document.createElement("live-notices"));
        connect();
        for (let n = 1; n <= 7; n++) server().says({ type: "notice", text: `<i>${n}</i>` });
    }""")

    notices = page.get_by_role("status").locator("p")
    expect(notices).to_have_text([f"<i>{n}</i>" for n in (7, 6, 5, 4, 3)])
    page.get_by_role("button", name="Dismiss").first.click()
    expect(notices.first).to_have_text("<i>6</i>")


def test_the_badge_says_how_the_connection_is(page: Page) -> None:
    page.evaluate("document.body.append(document.createElement('live-status'))")
    badge = page.locator("live-status")

    def shows(state: str, words: str) -> None:
        expect(badge).to_have_attribute("data-state", state)
        expect(badge.get_by_role("status")).to_have_text(words)

    shows("connecting", "connecting")
    page.evaluate("connect()")
    shows("live", "live")
    page.evaluate("server().drops()")
    shows("reconnecting", "reconnecting")
    page.evaluate("() => { clock.advance(1000); server().opens(); }")
    page.evaluate("() => { target.navigator.onLine = false; fire('offline'); }")
    shows("offline", "offline")
    page.evaluate("server().says(heartbeat())")  # a server on this machine answers all the same
    shows("live", "live")
    page.evaluate("server().drops()")
    shows("offline", "offline")
    page.evaluate("() => { target.navigator.onLine = true; fire('online'); }")
    shows("reconnecting", "reconnecting")
    page.evaluate("() => { clock.advance(300); server().opens().drops(4403, 'forbidden'); }")
    shows("stopped", "stopped: forbidden")
    page.evaluate("() => { clock.advance(7000); paint([tr('a')]); }")
    badge.hover()
    assert "last heard 7 s ago" in badge.get_attribute("title")
    assert "t at e.10" in badge.get_attribute("title")


# ---------------------------------------------------------------- the entry


@pytest.mark.parametrize(
    ("head", "path"),
    [("", "/realtime/ws/"), ('<meta name="realtime-path" content="/app/realtime/ws/">', "/app/realtime/ws/")],
    ids=["default", "named by the page"],
)
def test_a_page_that_loads_live_js_is_connected(
    page: Page, site: str, head: str, path: str, errors: list[str]
) -> None:
    """Under a strict content security policy: no inline script, html only through the policy "realtime"."""
    said: list[str] = []

    def serve(socket: WebSocketRoute) -> None:
        socket.on_message(lambda text: said.append(str(text)))
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
    assert page.evaluate("realtime.url") == site.replace("http", "ws") + path
    assert page.evaluate("import('/static/realtime/live.js').then((live) => live.default === realtime)")
    assert '"subscribe"' in said[0]


# ---------------------------------------------------------------- acknowledging, sharing


def test_what_has_come_is_acknowledged(page: Page) -> None:
    """At each heartbeat, and after so many bytes: by the number of messages; not where the server does not ask."""
    got = page.evaluate(
        """() => {
            realtime.start();
            const welcome = { type: "welcome", heartbeat_seconds: 15, max_message_bytes: 16384 };
            server().readyState = 1;
            server().says({ ...welcome, acknowledge_bytes: 1000 }).take();
            server().says(heartbeat());
            const beat = server().take();
            for (let n = 0; n < 3; n++) server().says({ type: "notice", text: "x".repeat(400) });
            return [beat, server().take()];
        }"""
    )
    assert got == [[{"type": "ack", "received": 2}], [{"type": "ack", "received": 5}]]


RELAY = "const { Relay } = await import('/static/realtime/transports/relay.js'); const relay = new Relay();"


def test_a_tab_that_is_ahead_takes_nothing_from_the_others(page: Page) -> None:
    """The server goes on from where all tabs have come to; one that is behind, or alone, says so itself."""
    positions = page.evaluate(
        """async () => {"""
        + RELAY
        + """
            const ask = (tab, position) =>
                relay.from(tab, { type: "subscribe", topic: "t", ...(position && { position }) }).position;
            const first = ask("a", "e.10");
            relay.to({ type: "changes", topic: "t", after: 10, position: "e.20", changes: [] });
            return [first, ask("b", "e.30"), ask("b", "e.15"), ask("b", "other.99"), ask("b") ?? null,
                relay.left("b"), ask("a", "e.40")];
        }"""
    )
    assert positions == ["e.10", "e.20", "e.15", "other.99", None, [], "e.40"]


def test_a_reply_goes_to_the_tab_that_called(page: Page) -> None:
    """Two tabs count their calls alike."""
    got = page.evaluate(
        """async () => {"""
        + RELAY
        + """
            const ids = ["a", "b"].map((tab) => relay.from(tab, { type: "call", id: 1, action: "echo", args: {} }).id);
            const back = ids.map((id) => relay.to({ type: "reply", id, ok: id }));
            return [ids, back.map(({ tab, message }) => [tab, message.id])];
        }"""
    )
    assert got == [[1, 2], [["a", 1], ["b", 1]]]


def test_a_topic_is_left_with_its_last_tab(page: Page) -> None:
    """And a tab that wants it in another format is told to go its own way."""
    got = page.evaluate(
        """async () => {"""
        + RELAY
        + """
            const ask = (tab, format) => relay.from(tab, { type: "subscribe", topic: "t", format });
            const leave = (tab) => relay.from(tab, { type: "unsubscribe", topic: "t" });
            ask("a", "html"); ask("b", "html");
            let refused = null;
            try { ask("c", "rows"); } catch (error) { refused = error.name; }
            return [refused, leave("a"), leave("a"), relay.left("b"), ask("c", "rows").format];
        }"""
    )
    assert got == ["RangeError", None, None, [{"type": "unsubscribe", "topic": "t"}], "rows"]
