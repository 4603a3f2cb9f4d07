"""An error while rows are shown: a snapshot, then one reload of the page; never a row that is old and "live"."""

import pytest
from playwright.sync_api import Page

from tests.browser.client import SUBSCRIBE

LIVE = "const element = paint([tr('a')]); connect().sends(changes(10, 10, [])).takeSent();"
BROKEN = {
    "a row without an element": "server().sends(changes(10, 11, [upsert({ key: 'x', order: 'x', html: 'text' })]));",
    "a row without html": "server().sends(changes(10, 11, [upsert({ key: 'x', order: 'x', html: '' })]));",
    "a missing function": "Element.prototype.insertBefore = undefined; Node.prototype.insertBefore = undefined;"
    "server().sends(changes(10, 11, [upsert(html('b'))]));",
    "a function that throws": "Element.prototype.remove = () => { throw new Error('broken'); };"
    "server().sends(changes(10, 11, [remove('a')]));",
    "a change without a key of ours": "server().sends(changes(10, 11, [null]));",
}


@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN.keys())
def test_a_topic_that_cannot_be_shown_is_stale_and_takes_a_snapshot(
    page: Page, errors: list[str], break_it: str
) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        const saved = [Node.prototype.insertBefore, Element.prototype.remove];
        {break_it}
        const seen = [element.getAttribute("state"), realtime.status.state, server().takeSent()];
        [Node.prototype.insertBefore, Element.prototype.remove] = saved;
        delete Element.prototype.insertBefore;
        server().sends(heartbeat({{ t: "e.11" }}));
        const early = element.getAttribute("state");
        server().sends(snapshot(11, [html("c")]));
        return [...seen, early, element.getAttribute("state"), texts(), world.reloads];
    }}""")

    assert got == ["stale", "stale", [SUBSCRIBE], "stale", "live", ["row c"], 0]
    assert errors
    errors.clear()


BROKEN_SNAPSHOT = "server().sends(snapshot(11, [{ key: 'x', order: 'x', html: 'text' }]));"


def test_a_page_that_cannot_show_a_snapshot_either_is_reloaded_once(page: Page, errors: list[str]) -> None:
    """And not again within ten minutes, whatever the server sends: never in a loop."""
    got = page.evaluate(f"""() => {{
        {LIVE}
        {BROKEN_SNAPSHOT}
        clock.advance(10_000);
        const first = [world.reloads, server().takeSent()];
        {BROKEN_SNAPSHOT}
        clock.advance(10_000);
        const second = world.reloads;
        for (let n = 0; n < 38; n++) {{
            clock.advance(15_000); server().sends(heartbeat({{ t: "e.11" }})); {BROKEN_SNAPSHOT}
        }}
        const third = world.reloads;
        for (let n = 0; n < 4; n++) {{
            clock.advance(15_000); server().sends(heartbeat({{ t: "e.11" }})); {BROKEN_SNAPSHOT}
        }}
        return [first, second, third, world.reloads, element.getAttribute("state"), realtime.status.state];
    }}""")

    assert got == [[0, [SUBSCRIBE]], 1, 1, 2, "stale", "stale"]
    assert errors
    errors.clear()


def test_a_page_that_recovers_in_time_is_not_reloaded(page: Page, errors: list[str]) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        {BROKEN_SNAPSHOT}{BROKEN_SNAPSHOT}
        server().sends(snapshot(12, [html("a")]));
        clock.advance(10_000);
        return [world.reloads, element.getAttribute("state")];
    }}""")

    assert got == [0, "live"]
    errors.clear()


def test_a_page_that_recovers_in_time_is_not_reloaded_although_another_topic_is_refused(
    page: Page, errors: list[str]
) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        paint([tr("b")], "e.10", "u"); server().sends(refuse(4403, "no", "u"));
        {BROKEN_SNAPSHOT}{BROKEN_SNAPSHOT}
        server().sends(snapshot(12, [html("a")]));
        clock.advance(10_000);
        return [world.reloads, element.getAttribute("state"), realtime.status.state];
    }}""")

    assert got == [0, "live", "refused"]
    errors.clear()


@pytest.mark.parametrize(
    "storage",
    [
        "stored.get = () => { throw new Error('forbidden'); };",
        "stored.set = () => { throw new Error('full'); };",
    ],
    ids=["cannot be read", "cannot be written"],
)
def test_a_page_that_cannot_remember_a_reload_is_not_reloaded(
    page: Page, errors: list[str], storage: str
) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE.replace("connect()", f"const server0 = connect(); {storage} server0")}
        {BROKEN_SNAPSHOT}{BROKEN_SNAPSHOT}
        clock.advance(60_000);
        return world.reloads;
    }}""")

    assert got == 0
    errors.clear()


def test_failing_listeners_and_handlers_of_the_page_do_not_count(page: Page, errors: list[str]) -> None:
    got = page.evaluate(f"""() => {{
        const fail = () => {{ throw new Error("the page's own"); }};
        {LIVE}
        for (const type of ["changes", "snapshot", "applied"]) element.addEventListener(`realtime:${{type}}`, fail);
        realtime.on("changes", fail); realtime.on("snapshot", fail); realtime.on("status", fail);
        const script = realtime.subscribe("v", {{ onSnapshot: fail, onChanges: fail, onError: fail }});
        server().sends(snapshot(10, [row("a")], false, "v")).sends(changes(10, 11, [upsert(row("b"))], "v"));
        server().sends(changes(10, 11, [upsert(html("b"))])).sends(snapshot(12, [html("c")])).takeSent();
        server().sends(heartbeat({{ t: "e.12", v: "e.11" }}));
        return [element.getAttribute("state"), texts(), script.rows.size, server().takeSent(), realtime.status.state];
    }}""")

    assert got == ["live", ["row c"], 2, [], "live"]
    assert all("the page's own" in error for error in errors)
    errors.clear()


def test_a_message_that_our_code_cannot_handle_ends_the_connection(page: Page, errors: list[str]) -> None:
    """A new one begins with a known state."""
    got = page.evaluate(f"""() => {{
        {LIVE}
        const first = server();
        target.navigator = null;
        first.sends({{ type: "error", code: 4500, message: "x" }});
        const unharmed = first.closedWith;
        target.navigator = {{ onLine: true }};
        const now = TextEncoder;
        globalThis.TextEncoder = undefined;
        realtime.call("echo", {{}}).catch(() => {{}});
        first.sends({{ type: "welcome", heartbeat_seconds: 15 }});
        globalThis.TextEncoder = now;
        return [unharmed, first.closedWith, realtime.status.state, element.getAttribute("state")];
    }}""")

    assert got == [None, 1000, "reconnecting", "stale"]
    assert errors
    errors.clear()


@pytest.mark.parametrize(("reload", "reloads"), [("true", 1), ("false", 0), ("undefined", 0)])
def test_a_page_loads_itself_again_when_the_server_asks_for_it(page: Page, reload: str, reloads: int) -> None:
    """After the delay, which spreads the pages; any other bye ends the connection and no more."""
    got = page.evaluate(f"""() => {{
        {LIVE}
        server().sends({{ type: "bye", code: 4510, reason: "closed", retry_after_seconds: 2, reload: {reload} }});
        clock.advance(1_990);
        const before = world.reloads;
        clock.advance(20);
        return [before, world.reloads];
    }}""")

    assert got == [0, reloads]
