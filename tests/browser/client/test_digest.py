"""Digests: a page at the server's position with other rows requests a snapshot."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.client import SUBSCRIBE

# Digests above 2 ** 31, because the operators of JavaScript work on signed 32-bit numbers.
A, B, OTHER = 0xDEADBEEF, 0x80000001, 0x7F00FF00
BOTH = A ^ B
LIVE_WITH_TWO_ROWS = f"""
    const element = paint([tr("a", "a", "row a", {A}), tr("b", "b", "row b", {B})]);
    connect().sends(changes(10, 10, [])).takeSent();
    const corrected = [];
    document.addEventListener("realtime:corrected", ({{ detail, target }}) =>
        corrected.push([detail.topic, detail.position, target === element]));
    const digested = (key, digest, text) => ({{ ...html(key, key, text), digest }});
"""
WRONG = {
    "a row too many": "document.querySelector('tbody').append(element.querySelector('[data-key]').cloneNode(true));",
    "a row missing": "element.querySelector('[data-key]').remove();",
    "a row of old": f"element.querySelector('[data-key]').outerHTML = tr('a', 'a', 'old', {OTHER});",
    "a row elsewhere": f"element.querySelector('[data-key]').outerHTML = tr('a', 'z', 'row a', {OTHER});",
    "another row": f"element.querySelector('tbody').innerHTML = tr('c', 'c', 'row c', {OTHER});",
    "no rows": "element.querySelector('tbody').replaceChildren();",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize(
    "message",
    [
        f'heartbeat({{ t: "e.10" }}, {{ digests: {{ t: {BOTH} }} }})',
        f'changes(10, 10, [], "t", {BOTH})',
    ],
    ids=["heartbeat", "answer to a subscribe"],
)
def test_a_page_with_other_rows_at_the_servers_position_is_corrected(
    page: Page, wrong: str, message: str
) -> None:
    """It is stale until the snapshot arrives; an event names the topic."""
    got = page.evaluate(f"""() => {{
        {LIVE_WITH_TWO_ROWS}
        {wrong}
        server().sends({message});
        const asked = server().takeSent(), state = element.getAttribute("state");
        server().sends(snapshot(10, [digested("a", {A}), digested("b", {B})]));
        server().sends({message});
        return [asked, state, texts(), element.getAttribute("state"), corrected, server().takeSent()];
    }}""")

    assert got == [[SUBSCRIBE], "stale", ["row a", "row b"], "live", [["t", "e.10", True]], []]


@pytest.mark.parametrize("digests", ["{}", f"{{ t: {BOTH} }}", "undefined", "{ u: 1 }"])
def test_a_page_with_the_servers_rows_asks_nothing(page: Page, digests: str) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE_WITH_TWO_ROWS}
        server().sends(heartbeat({{ t: "e.10" }}, {{ digests: {digests} }}));
        return [element.getAttribute("state"), server().takeSent(), corrected];
    }}""")

    assert got == ["live", [], []]


def test_digests_follow_every_change(page: Page) -> None:
    """Rows added, changed, moved and deleted, and all of them by a snapshot."""
    got = page.evaluate(f"""() => {{
        {LIVE_WITH_TWO_ROWS}
        const seen = [];
        const check = (to, digest) => {{
            server().sends(heartbeat({{ t: `e.${{to}}` }}, {{ digests: {{ t: digest }} }}));
            seen.push(server().takeSent().length);
        }};
        server().sends(changes(10, 11, [upsert(digested("c", {OTHER}))]));
        check(11, ({BOTH} ^ {OTHER}) >>> 0);
        server().sends(changes(11, 12, [upsert(digested("a", 7, "new")), remove("b")]));
        check(12, ({OTHER} ^ 7) >>> 0);
        server().sends(changes(12, 13, [upsert({{ ...digested("a", 8, "new"), order: "z" }})]));
        check(13, ({OTHER} ^ 8) >>> 0);
        server().sends(changes(13, 14, [remove("a"), remove("c")]));
        check(14, 0);
        server().sends(snapshot(15, [digested("x", {B})]));
        check(15, {B});
        return [seen, texts(), corrected];
    }}""")

    assert got == [[0, 0, 0, 0, 0], ["row x"], []]


def test_a_row_that_looks_the_same_gets_the_digest_of_the_message(page: Page) -> None:
    """A page rendered by an older release has none; its elements are kept."""
    got = page.evaluate(f"""() => {{
        const element = paint([tr("a")]); connect().sends(changes(10, 10, [])).takeSent();
        const before = element.querySelector("[data-key]");
        server().sends(changes(10, 11, [upsert({{ ...html("a"), digest: {A} }})]));
        server().sends(heartbeat({{ t: "e.11" }}, {{ digests: {{ t: {A} }} }}));
        const equal = server().takeSent();
        server().sends(heartbeat({{ t: "e.11" }}, {{ digests: {{ t: {B} }} }}));
        return [before === element.querySelector("[data-key]"), before.dataset.digest, equal, server().takeSent()];
    }}""")

    assert got == [True, str(A), [], [SUBSCRIBE]]


@pytest.mark.parametrize(
    "rows",
    ["[tr('a'), tr('b')]", f"[tr('a', 'a', 'row a', {A}), tr('b')]"],
    ids=["no row has one", "one row has one"],
)
def test_rows_of_an_older_server_are_not_compared(page: Page, rows: str) -> None:
    got = page.evaluate(f"""() => {{
        const element = paint({rows}); connect().sends(changes(10, 10, [], "t", {OTHER})).takeSent();
        server().sends(heartbeat({{ t: "e.10" }}, {{ digests: {{ t: {OTHER} }} }}));
        return [element.getAttribute("state"), server().takeSent()];
    }}""")

    assert got == ["live", []]


@pytest.mark.parametrize(
    ("position", "expected"),
    [("e.9", []), ("e.11", [SUBSCRIBE | {"position": "e.10"}]), ("f.10", [SUBSCRIBE | {"position": "e.10"}])],
    ids=["behind the page", "ahead of the page", "another epoch"],
)
def test_digests_of_another_position_are_not_compared(page: Page, position: str, expected: list[Any]) -> None:
    got = page.evaluate(
        f"""(position) => {{
            {LIVE_WITH_TWO_ROWS}
            server().sends(heartbeat({{ t: position }}, {{ digests: {{ t: {OTHER} }} }}));
            return server().takeSent();
        }}""",
        position,
    )

    assert got == expected


def test_a_snapshot_that_does_not_help_is_requested_ever_more_rarely(page: Page) -> None:
    """At most once per heartbeat, whatever the rhythm of heartbeats; the page does not look live meanwhile."""
    got = page.evaluate(f"""() => {{
        {LIVE_WITH_TWO_ROWS}
        const wrong = heartbeat({{ t: "e.10" }}, {{ digests: {{ t: {OTHER} }} }});
        const asked = [];
        const states = new Set();
        for (let second = 0; second < 120; second++) {{
            server().sends(wrong);
            states.add(element.getAttribute("state"));
            if (server().takeSent().some(({{ type }}) => type === "subscribe")) {{
                asked.push(second);
                server().sends(snapshot(10, [digested("a", {A}), digested("b", {B})]));
            }}
            clock.advance(1000);
        }}
        return [asked, [...states], corrected];
    }}""")

    assert got == [[0, 10, 30, 70], ["stale"], []]


def test_rows_that_a_listener_shows_itself_are_not_compared(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE_WITH_TWO_ROWS}
        element.addEventListener("realtime:changes", (event) => event.preventDefault());
        server().sends(changes(10, 11, [remove("a")]));
        server().sends(heartbeat({{ t: "e.11" }}, {{ digests: {{ t: {B} }} }}));
        return [element.getAttribute("state"), server().takeSent()];
    }}""")

    assert got == ["live", []]


@pytest.mark.parametrize("from_position", [False, True], ids=["all rows", "rows since a position"])
def test_rows_of_a_script_are_compared_if_it_has_all_of_them(page: Page, from_position: bool) -> None:
    got = page.evaluate(
        f"""(fromPosition) => {{
            const corrected = [];
            const digested = (key, digest) => ({{ ...row(key), digest }});
            const followed = realtime.subscribe("t", {{
                ...(fromPosition ? {{ position: "e.5" }} : {{}}),
                onCorrected: () => corrected.push([...followed.rows.keys()]),
            }});
            connect();
            server().sends(fromPosition ? changes(5, 5, []) : snapshot(5, [digested("a", {A})])).takeSent();
            server().sends(changes(5, 6, [upsert(digested("b", {B}))]));
            server().sends(heartbeat({{ t: "e.6" }}, {{ digests: {{ t: {BOTH} }} }}));
            const equal = server().takeSent().length;
            server().sends(heartbeat({{ t: "e.6" }}, {{ digests: {{ t: {OTHER} }} }}));
            const asked = server().takeSent();
            server().sends(snapshot(6, [digested("c", {OTHER})]));
            return [equal, asked, corrected];
        }}""",
        from_position,
    )

    asked = [{"type": "subscribe", "topic": "t", "format": "rows"}]
    assert got == ([0, [], []] if from_position else [0, asked, [["c"]]])


def test_a_page_that_needs_a_snapshot_asks_for_it_on_the_next_connection_too(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE_WITH_TWO_ROWS}
        server().sends(heartbeat({{ t: "e.10" }}, {{ digests: {{ t: {OTHER} }} }})).drops();
        clock.advance(20_000);
        return server().accepts().takeSent();
    }}""")

    assert got == [SUBSCRIBE]
