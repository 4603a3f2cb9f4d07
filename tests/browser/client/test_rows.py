"""The rows in the document: order, identity, highlight, focus and escaping."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.client import SUBSCRIBE


def test_rows_keep_the_order_of_the_topic(page: Page) -> None:
    """By `order`, code unit by code unit, then by key, for new rows and for those that move."""
    got = page.evaluate("""() => {
        paint([tr("1", "10 "), tr("2", "20 "), tr("3", "30 ")]); connect();
        server().sends(changes(10, 11, [upsert(html("4", "25 ")), upsert(html("5", "20 ")),
            upsert(html("6", "Z")), upsert(html("7", "")), upsert(html("1", "99 "))]));
        return texts();
    }""")

    assert got == [f"row {key}" for key in "7254316"]


def test_deleting_an_unknown_row_does_nothing(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); connect().sends(changes(10, 11, [remove("unknown"), remove("a"), remove("a")]));
        return [texts(), position(), document.querySelector("[data-empty]").hidden];
    }""")

    assert got == [[], "e.11", False]


def test_the_text_for_an_empty_topic_is_hidden_while_there_are_rows(page: Page) -> None:
    page.evaluate("() => { paint([]); connect().sends(changes(10, 11, [upsert(html('a'))])); }")

    expect(page.locator("[data-empty]")).to_be_hidden()


def test_a_snapshot_keeps_the_elements_of_unchanged_rows(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a"), tr("b"), tr("c"), tr("d")]); connect();
        const rows = () => [...document.querySelectorAll("[data-key]")];
        const present = Object.fromEntries(rows().map((e) => [e.dataset.key, e]));
        server().sends(snapshot(20, [html("new", "0"), html("b"), html("c", "c", "other"), html("d")]));
        const isLit = (e) => e.className !== "" || e.firstElementChild.className !== "";
        return rows().map((e) => [e.dataset.key, e === present[e.dataset.key], isLit(e)]);
    }""")

    assert got == [["new", False, True], ["b", True, False], ["c", True, True], ["d", True, False]]


def test_the_first_snapshot_highlights_nothing(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([], null); connect().sends(snapshot(20, [html("a"), html("b")]));
        return [...document.querySelectorAll("tbody tr")].map((element) => element.className);
    }""")

    assert got == ["", ""]


def test_an_upsert_of_an_equal_row_changes_nothing(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); connect();
        const shown = () => document.querySelector("[data-key]");
        const cell = () => shown().firstElementChild;
        const before = shown();
        server().sends(changes(10, 11, [upsert(html("a"))]));
        const untouched = [shown() === before, cell().className];
        server().sends(changes(11, 12, [upsert(html("a", "a", "new"))]));
        const highlighted = [shown() === before, cell().className];
        cell().className = "";
        server().sends(changes(12, 13, [upsert(html("a", "a", "new"))]));
        return [...untouched, ...highlighted, cell().className];
    }""")

    assert got == [True, "", True, "realtime-changed", ""]


CHANGE_A_ROW = (
    "() => { paint([tr('a')]); connect().sends(changes(10, 11, [upsert(html('a', 'a', 'new'))])); }"
)
ANIMATION = "getComputedStyle(document.querySelector('td.realtime-changed'), '::after').animationName"


def test_what_has_changed_in_a_row_is_highlighted_for_a_while(page: Page) -> None:
    page.evaluate(CHANGE_A_ROW)

    assert page.evaluate(ANIMATION) == "realtime-changed"
    expect(page.locator("tr[data-key=a] td")).not_to_have_attribute("class", "realtime-changed")


CHANGES = """(wants) => {
    window.at ??= 10;
    for (const key of wants) {
        server().sends(changes(at, at + 1, [upsert(html(key, key, `at ${at}`))]));
        window.at += 1;
    }
    document.body.offsetHeight;
    return [...document.querySelectorAll(".realtime-changed")].map((cell) => cell.parentElement.dataset.key);
}"""
"""Changes rows, lays the page out, and returns the keys of those with a lit cell."""


def test_the_end_of_a_highlight_costs_no_layout_of_its_own(page: Page) -> None:
    """A browser lays out a whole table for it, which takes it long with many rows: it is done with the next change."""
    page.clock.install()
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")

    def layouts() -> float:
        metrics = tools.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "LayoutCount")

    page.evaluate(
        "() => { paint([...'abcde'].map((key) => tr(key))); connect(); document.body.offsetHeight; }"
    )
    before = layouts()

    lit = []
    for key in "abcde":
        lit.append(page.evaluate(CHANGES, [key]))
        page.clock.fast_forward(3_000)

    assert lit == [["a"], ["b"], ["c"], ["d"], ["e"]]
    assert layouts() - before == len(lit)


def test_the_last_highlight_ends_without_a_change(page: Page) -> None:
    page.clock.install()
    page.evaluate("() => { paint([tr('a'), tr('b')]); connect(); }")
    page.evaluate(CHANGES, ["a", "b"])

    page.clock.fast_forward(10_000)

    assert page.evaluate("() => [...document.querySelectorAll('td')].map((cell) => cell.className)") == [
        "",
        "",
    ]


@pytest.mark.parametrize(("pause_ms", "running"), [(500, 0), (3_000, 1)], ids=["during", "after"])
@pytest.mark.parametrize("order", ["a", "c"], ids=["cell", "row"])
def test_what_changes_again_is_lit_again_when_its_highlight_is_over(
    page: Page, order: str, pause_ms: int, running: int
) -> None:
    """Not before: what changes all the time does not flicker. A row that moves is lit as a whole."""
    change = """([order, other, number]) => {
        const after = 10 + number;
        server().sends(changes(after, after + 1, [upsert(html("a", number ? order : other, `change ${number}`))]));
        return document.getAnimations().length;
    }"""
    page.clock.install()
    page.evaluate("() => { paint([tr('a'), tr('b')]); connect(); }")
    other = {"a": "a", "c": "d"}[order]
    begun = page.evaluate(change, [order, other, 0])
    page.evaluate("() => document.getAnimations().forEach((animation) => animation.finish())")
    page.clock.fast_forward(pause_ms)

    begun_again = page.evaluate(change, [order, other, 1])

    assert (begun, begun_again) == (1, running)


def test_nothing_is_animated_for_readers_who_prefer_reduced_motion(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")

    page.evaluate(CHANGE_A_ROW)

    assert page.evaluate(ANIMATION) == "none"
    expect(page.locator("tr[data-key=a] td")).not_to_have_attribute("class", "realtime-changed")


def test_a_flood_highlights_some_rows_only(page: Page) -> None:
    """Each is a layer of the page for a while."""
    got = page.evaluate("""() => {
        const keys = Array.from({ length: 40 }, (_, index) => String(index).padStart(2, "0"));
        paint(keys.map((key) => tr(key))); connect();
        server().sends(changes(10, 11, keys.map((key) => upsert(html(key, key, "new")))));
        return document.querySelectorAll(".realtime-changed").length;
    }""")

    assert got == 10


def test_a_row_whose_element_has_another_name_is_replaced_and_keeps_the_focus(page: Page) -> None:
    got = page.evaluate("""() => {
        const row = (tag, text) => `<${tag} data-key="a" data-order="a"><a href="#x">${text}</a></${tag}>`;
        document.body.insertAdjacentHTML("beforeend",
            `<live-topic topic="t" position="e.10">${row("p", "old")}</live-topic>`);
        connect();
        document.querySelector("live-topic a").focus();
        server().sends(changes(10, 11, [upsert({ key: "a", order: "a", html: row("div", "new") })]));
        return [document.activeElement.textContent, document.querySelectorAll("[data-key]").length];
    }""")

    assert got == ["new", 1]


@pytest.mark.parametrize(
    "meddle",
    [
        "rows()[2].remove()",
        "rows()[0].after(rows()[1].cloneNode(true))",
        "rows()[0].before(rows()[3])",
        "rows()[1].dataset.digest = 7; rows()[1].firstElementChild.textContent = 'wrong'",
        "rows().forEach((row) => row.remove())",
    ],
    ids=["removed", "copied", "moved", "changed", "all removed"],
)
def test_a_snapshot_corrects_rows_that_a_script_has_changed(page: Page, meddle: str) -> None:
    got = page.evaluate(
        """(meddle) => {
            const keys = [..."abcd"];
            const painted = keys.map((key) => tr(key, key, `row ${key}`, 5));
            paint(painted); connect();
            const rows = () => [...document.querySelectorAll("[data-key]")];
            new Function("rows", meddle)(rows);
            const fresh = keys.map((key) => ({ ...html(key), digest: 5 }));
            server().sends(snapshot(20, fresh));
            return texts();
        }""",
        meddle,
    )

    assert got == ["row a", "row b", "row c", "row d"]


def test_a_change_after_a_script_has_moved_rows_finds_its_row(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a"), tr("b"), tr("c")]); connect();
        const tbody = document.querySelector("tbody");
        tbody.append(tbody.firstElementChild);
        server().sends(changes(10, 11, [remove("b"), upsert(html("a", "a", "new"))]));
        return [texts(), tbody.childElementCount];
    }""")

    assert got == [["row c", "new"], 2]


def test_a_replaced_row_keeps_the_focus(page: Page) -> None:
    got = page.evaluate("""() => {
        const link = (text) => `<a href="#x">${text}</a>`;
        paint([tr("a", "a", link("old"))]); connect();
        document.querySelector("tbody a").focus();
        server().sends(changes(10, 11, [upsert(html("a", "a", link("new")))]));
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
        "(text) => { paint([]); connect().sends(changes(10, 11, [upsert(html('a', 'a', text))])); }",
        text,
    )

    expect(page.locator("tbody td")).to_contain_text("window.hacked = 1")
    expect(page.locator("tbody td *")).to_have_count(0)
    assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("key", ['"', "'", '"><b>', "&amp;", "a b", "\\", "]"])
def test_keys_and_orders_may_contain_any_character(page: Page, key: str) -> None:
    """They never become part of a selector or of HTML."""
    got = page.evaluate(
        """(key) => {
            paint([]); connect();
            const html = (text) => ({ op: "upsert", key, order: key, html: `<tr><td>${text}</td></tr>` });
            server().sends(changes(10, 11, [html("one")])).sends(changes(11, 12, [html("two")]));
            const row = document.querySelector("tbody tr");
            const shown = [texts(), row.dataset.key, row.dataset.order];
            server().sends(changes(12, 13, [remove(key)]));
            return [...shown, texts()];
        }""",
        key,
    )

    assert got == [["two"], key, key, []]


def test_a_row_that_cannot_be_shown_is_requested_again_and_does_not_stop_other_topics(
    page: Page, errors: list[str]
) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); paint([tr("b")], "e.10", "u"); connect().takeSent();
        server().sends(changes(10, 11, [upsert({ key: "x", order: "x", html: "no element" })]));
        server().sends(changes(10, 11, [remove("b")], "u")).sends(heartbeat({ t: "e.11", u: "e.11" }));
        return [texts(), server().takeSent()];
    }""")

    assert got == [["row a"], [SUBSCRIBE]]
    assert "root element" in errors.pop()
