"""A part of a page that is fetched again with its page when one of its topics changes."""

import pytest
from playwright.sync_api import Page, expect

HELPERS = """() => {
    const block = (inner, at, name = "sum", topics = "t", tag = "div") =>
        `<${tag} data-realtime-block="${name}" data-realtime-topics="${topics}"` +
        `${at ? ` data-realtime-position="${at}"` : ""}>${inner}</${tag}>`;
    window.block = block;
    window.settle = () => new Promise((resolve) => setTimeout(resolve));
    window.show = async (html) => {
        document.body.insertAdjacentHTML("beforeend", html);
        connect();
        await settle();
    };
    window.serve = (html) => { world.served = `<!doctype html><title>x</title>${html}`; };
    window.signal = async (offset, fields = {}, topic = "t") => {
        server().sends({ ...changes(0, offset, [], topic), ...fields });
        await settle();
    };
    window.pass = async (ms) => { clock.advance(ms); await settle(); };
    window.at = () => document.querySelector("[data-realtime-block]");
    window.begin = (position, signal) =>
        server().sends({ ...snapshot(position, []), signal });
    window.hold = () => {
        let answer;
        world.served = new Promise((resolve) => { answer = resolve; });
        return async (html) => { answer(html); await settle(); };
    };
    window.turn = (state) => {
        target.visibilityState = target.document.visibilityState = state;
        fire("visibilitychange");
    };
    window.noted = (type) => {
        const events = [];
        addEventListener(`realtime:${type}`, ({ detail }) => events.push(detail));
        return events;
    };
}"""


@pytest.fixture
def blocks(page: Page) -> Page:
    page.evaluate(HELPERS)
    return page


def test_a_block_is_fetched_when_its_topic_changes(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("1 open", "e.10"));
        const asked = server().takeSent();
        begin(10, 10); await pass(0);
        const atFirst = [...world.fetches];
        serve(block("2 open", "e.11"));
        await signal(11); await pass(0);
        return [asked, atFirst, world.fetches, at().textContent, at().getAttribute("aria-busy")];
    }""")

    subscribe = {"type": "subscribe", "topic": "t", "format": "signal"}
    assert got == [[subscribe], [], ["sum"], "2 open", None]


@pytest.mark.parametrize(
    ("painted", "signal", "fetches"),
    [("e.10", 9, 0), ("e.10", 10, 0), ("e.10", 11, 1), ("other.99", 9, 1), ("", 9, 1)],
    ids=["older", "the same", "newer", "of another epoch", "unknown"],
)
def test_a_change_between_the_view_and_the_subscription_is_not_missed(
    blocks: Page, painted: str, signal: int, fetches: int
) -> None:
    """The first answer says since when the topic is what it is; the element, what its view has read at least."""
    got = blocks.evaluate(
        """async ([painted, signal]) => {
            await show(block("old", painted));
            serve(block("new", "e.12"));
            begin(12, signal); await pass(0); await pass(60000);
            return [world.fetches.length, at().textContent];
        }""",
        [painted, signal],
    )

    assert got == [fetches, "new" if fetches else "old"]


@pytest.mark.parametrize("has_position", [True, False], ids=["with middleware", "without"])
def test_a_change_during_a_fetch_is_fetched_again(blocks: Page, has_position: bool) -> None:
    """The answer names the position from before its view; without one, the position at the time of the request."""
    got = blocks.evaluate(
        """async (hasPosition) => {
            await show(block("1", "e.10"));
            begin(10, 10);
            const answer = hold();
            await signal(11); await pass(0);
            const isBusy = at().getAttribute("aria-busy");
            await signal(12); await pass(500);
            await answer(block("2", hasPosition && "e.11"));
            serve(block("3", hasPosition && "e.12"));
            const between = at().textContent;
            await pass(499);
            const early = world.fetches.length;
            await pass(1);
            return [isBusy, between, early, world.fetches.length, at().textContent, at().ariaBusy];
        }""",
        has_position,
    )

    assert got == ["true", "2", 1, 2, "3", None]


def test_fast_changes_are_fetched_at_once_and_then_once_a_second(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("0", "e.10"));
        begin(10, 10);
        const times = [];
        for (let step = 1; step <= 100; step++) {
            serve(block(step, `e.${10 + step}`));
            await signal(10 + step); await pass(50);
            if (times.length < world.fetches.length) times.push(step);
        }
        await pass(2000);
        return [times, at().textContent];
    }""")

    assert got == [[1, 20, 40, 60, 80, 100], "100"]


def test_the_blocks_of_a_page_are_one_fetch(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("a", "e.10", "a", "t") + block("b", "e.10", "b", "t u") + block("c", "e.10", "c", "v"));
        for (const topic of ["t", "u", "v"]) server().sends({ ...snapshot(10, [], false, topic), signal: 10 });
        serve(["a", "b", "c"].map((name) => block(`${name} new`, "e.11", name)).join(""));
        await signal(11, {}, "t"); await signal(11, {}, "u"); await pass(0);
        return [world.fetches, [...document.querySelectorAll("[data-realtime-block]")].map((e) => e.textContent)];
    }""")

    assert got == [["a,b"], ["a new", "b new", "c"]]


def test_many_viewers_spread_their_fetches(blocks: Page) -> None:
    """The server says over how many seconds; no page fetches more often."""
    got = blocks.evaluate("""async () => {
        await show(block("0", "e.10"));
        begin(10, 10);
        const times = [];
        for (let step = 1; step <= 160; step++) {
            serve(block(step, `e.${10 + step}`));
            await signal(10 + step, { spread_seconds: 4 }); await pass(50);
            if (times.length < world.fetches.length) times.push(step * 50);
        }
        await pass(4000);
        return [times, at().textContent];
    }""")

    assert got == [[2000, 6000], "160"]


def test_what_was_typed_and_opened_in_a_block_stays(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        const form = (count) => `<form><input name=q value=""><details><summary>s</summary>${count}</details>` +
            `<b>${count}</b></form>`;
        await show(block(form(1), "e.10"));
        begin(10, 10);
        const input = document.querySelector("input");
        input.focus(); input.value = "typed"; input.setSelectionRange(1, 3);
        document.querySelector("details").open = true;
        serve(block(form(2), "e.11"));
        await signal(11); await pass(0);
        return [document.activeElement === input, input.value, input.selectionStart, input.selectionEnd,
            document.querySelector("details").open, document.querySelector("b").textContent];
    }""")

    assert got == [True, "typed", 1, 3, True, "2"]


FAILURES = {
    "an error": "null",
    "no such block": "'<p>sign in</p>'",
    "two of the name": "block('x', 'e.11') + block('x', 'e.11')",
    "an older page from a cache": "block('cached', 'e.10')",
}


@pytest.mark.parametrize("served", FAILURES.values(), ids=FAILURES.keys())
def test_a_page_that_fails_leaves_the_old_block_marked_and_tries_again(blocks: Page, served: str) -> None:
    """After longer and longer times, at most twenty seconds; the badge says since when the page is old."""
    got = blocks.evaluate(
        f"""async () => {{
            await show(block("old", "e.10"));
            begin(10, 10);
            const errors = noted("error");
            world.served = {served};
            await signal(11); await pass(0);
            const marked = [at().hasAttribute("data-realtime-stale"), realtime.status.state, errors.length];
            const old = at().textContent;
            for (let each = 0; each < 120; each++) {{
                await pass(500); server().sends(heartbeat({{ t: "e.11" }}));
            }}
            const attempts = world.fetches.length;
            serve(block("new", "e.11"));
            await pass(21000); server().sends(heartbeat({{ t: "e.11" }}));
            return [marked, old, attempts, at().textContent, at().hasAttribute("data-realtime-stale"),
                realtime.status.state];
        }}"""
    )

    marked, old, attempts, *then = got
    assert marked == [True, "stale", 1]
    assert old in {"old", "cached"}
    assert 5 <= attempts <= 12
    assert then == ["new", False, "live"]


def test_a_block_whose_topic_is_refused_is_emptied(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("<b>secret</b>", "e.10"));
        server().sends(refuse(4403, "no longer yours"));
        const refused = [at().textContent, realtime.status.state];
        serve(block("<b>again</b>", "e.12"));
        begin(12, 9); await pass(0);
        return [refused, at().textContent];
    }""")

    assert got == [["no longer yours", "refused"], "again"]


def test_a_hidden_page_is_fetched_when_it_is_shown(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10"));
        begin(10, 10);
        serve(block("new", "e.13"));
        turn("hidden");
        for (const offset of [11, 12, 13]) { await signal(offset); await pass(5000); }
        const hidden = world.fetches.length;
        turn("visible");
        await pass(0);
        return [hidden, world.fetches.length, at().textContent];
    }""")

    assert got == [0, 1, "new"]


def test_rows_inside_of_a_block_follow_their_topic_by_themselves(blocks: Page) -> None:
    """They may be newer than the page that was fetched; a block that shows another topic gets its rows."""
    got = blocks.evaluate("""async () => {
        const live = (text, at, topic = "t") => `<live-topic topic="${topic}" position="${at}"><p data-key="a" ` +
            `data-order="a">${text}</p></live-topic>`;
        await show(block(`<b>1</b>${live("at 10", "e.10")}`, "e.10"));
        server().sends({ ...changes(10, 10, []), signal: 10 });
        const before = document.querySelector("live-topic");
        serve(block(`<b>2</b>${live("at 11", "e.11")}`, "e.11"));
        const row = (text) => ({ key: "a", order: "a", html: `<p data-key="a" data-order="a">${text}</p>` });
        server().sends(changes(10, 12, [upsert(row("at 12"))])); await pass(0);
        const shown = [at().querySelector("b").textContent, at().querySelector("p").textContent,
            before.isConnected, before.getAttribute("position")];
        serve(block(`<b>3</b>${live("other", "e.13", "u")}`, "e.13"));
        await pass(5000);
        return [shown, at().querySelector("p").textContent, before.isConnected];
    }""")

    assert got == [["2", "at 12", True, "e.12"], "other", False]


def test_a_listener_may_do_it_itself(blocks: Page) -> None:
    """An element without a name is for htmx: its event is a trigger."""
    got = blocks.evaluate("""async () => {
        const changed = noted("changed");
        await show(`<div data-realtime-block data-realtime-topics="t" data-realtime-position="e.10"></div>`);
        begin(10, 10); await signal(11); await pass(0);
        await signal(12); await signal(13); await pass(999);
        const early = changed.length;
        await pass(1); await pass(5000);
        return [changed, early, world.fetches];
    }""")

    assert got == [[{"name": "", "topics": ["t"]}] * 2, 1, []]


def test_a_listener_may_keep_what_a_block_shows(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10"));
        begin(10, 10);
        addEventListener("realtime:before-morph", (event) => {
            if (event.detail.element.textContent === "new") event.preventDefault();
        });
        const shown = [];
        for (const [offset, text] of [[11, "new"], [12, "newer"]]) {
            serve(block(text, `e.${offset}`)); await signal(offset); await pass(1000);
            shown.push(at().textContent);
        }
        return shown;
    }""")

    assert got == ["old", "newer"]


def test_a_block_that_names_other_topics_follows_those(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("t", "e.10"));
        begin(10, 10); server().takeSent();
        serve(block("u", "e.11", "sum", "u"));
        await signal(11); await pass(0);
        return [server().takeSent().map(({ type, topic }) => [type, topic]), realtime.status.topics.t ?? null];
    }""")

    assert got == [[["unsubscribe", "t"], ["subscribe", "u"]], None]


@pytest.mark.parametrize("tag", ["tbody", "ul", "select", "optgroup"])
def test_a_block_may_be_any_element(blocks: Page, tag: str) -> None:
    child = {"tbody": "tr", "ul": "li"}.get(tag, "option")
    cell = "<td>" if tag == "tbody" else ""
    around = {"tbody": "table", "optgroup": "select"}.get(tag, "div")
    blocks.evaluate(
        """async ([tag, child, around, cell]) => {
            const inner = (text) => block(`<${child}>${cell}${text}</${child}>`, "e.10", "s", "t", tag);
            const shown = (text) => `<${around}>${inner(text)}</${around}>`;
            await show(shown("old"));
            begin(10, 10);
            serve(shown("new").replace("e.10", "e.11"));
            await signal(11); await pass(0);
        }""",
        [tag, child, around, cell],
    )

    expect(blocks.locator(f"{tag} > {child}")).to_have_text("new")


def test_a_block_that_is_removed_is_followed_no_longer(blocks: Page) -> None:
    """And one that a script inserts is; one that is moved keeps what it follows."""
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10"));
        const element = at(), types = () => server().takeSent().map(({ type }) => type);
        begin(10, 10);
        const first = types();
        document.body.prepend(element); await settle();
        const moved = types();
        element.remove(); await settle();
        const removed = types();
        document.body.append(element); await settle();
        return [first, moved, removed, types()];
    }""")

    assert got == [["subscribe"], [], ["unsubscribe"], ["subscribe"]]


UNEXPLAINED = {
    "found by reading": "server().sends({ ...changes(12, 14, []), signal: null })",
    "at the same position": "begin(12, 9)",
}


@pytest.mark.parametrize("happens", UNEXPLAINED.values(), ids=UNEXPLAINED.keys())
def test_changes_that_the_log_lacks_are_fetched_whatever_the_page_has_read(
    blocks: Page, happens: str
) -> None:
    """Such as those of the time: the page names a later position, and may have been rendered before them."""
    got = blocks.evaluate(
        f"""async () => {{
            await show(block("old", "e.50"));
            begin(12, 10); await pass(5000);
            const before = world.fetches.length;
            serve(block("new", "e.50"));
            {happens};
            await pass(0); await pass(60000);
            return [before, world.fetches.length, at().textContent];
        }}"""
    )

    assert got == [0, 1, "new"]


def test_a_busy_server_is_asked_again_when_it_asks_for_that(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10"));
        begin(10, 10);
        world.served = null; world.retryMs = 9000;
        await signal(11); await pass(0);
        serve(block("new", "e.11"));
        await pass(8999);
        const early = world.fetches.length;
        await pass(1);
        return [early, world.fetches.length, at().textContent];
    }""")

    assert got == [1, 2, "new"]


ANSWERS = {
    "the block": "block('new', 'e.11')",
    "the block without a position": "block('new')",
    "another topic's block": "block('new', 'e.11', 'sum', 'u')",
    "no such block": "'<p>sign in</p>'",
    "an older page": "block('cached', 'e.9')",
    "an error": "null",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_for_a_block_that_was_removed_changes_nothing(blocks: Page, answer: str) -> None:
    got = blocks.evaluate(
        f"""async () => {{
            await show(block("old", "e.10"));
            begin(10, 10);
            const element = at(), errors = noted("error"), answer = hold();
            await signal(11); await pass(0);
            element.remove(); await settle();
            server().takeSent();
            await answer({answer});
            for (let each = 0; each < 60; each++) {{ await pass(500); server().sends(heartbeat()); }}
            return [server().takeSent().map(({{ type }}) => type).includes("subscribe"), errors.length,
                Object.keys(realtime.status.topics), realtime.status.state, element.textContent, world.fetches.length];
        }}"""
    )

    assert got == [False, 0, [], "live", "old", 1]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_block_that_comes_back_during_a_fetch_is_fetched_anew(blocks: Page, answer: str) -> None:
    got = blocks.evaluate(
        f"""async () => {{
            await show(block("old", "e.10"));
            begin(10, 10);
            const element = at(), answer = hold();
            await signal(11); await pass(0);
            element.remove(); await settle();
            const isBusy = element.hasAttribute("aria-busy");
            document.body.append(element); await settle();
            begin(11, 11);
            await answer({answer});
            const between = [element.textContent, realtime.status.state];
            serve(block("newer", "e.12"));
            await pass(30000);
            const then = element.textContent;
            serve(block("newest", "e.13"));
            await signal(13); await pass(0);
            return [isBusy, between, then, element.textContent, element.hasAttribute("aria-busy")];
        }}"""
    )

    assert got == [False, ["old", "live"], "newer", "newest", False]


@pytest.mark.parametrize("happens", UNEXPLAINED.values(), ids=UNEXPLAINED.keys())
def test_what_a_removed_block_had_to_fetch_is_fetched_when_it_comes_back(blocks: Page, happens: str) -> None:
    """Although the position that it names is later than the topic's last change in the log."""
    got = blocks.evaluate(
        f"""async () => {{
            await show(block("old", "e.50"));
            begin(12, 10);
            const element = at(), answer = hold();
            {happens};
            await pass(0);
            element.remove(); await settle();
            await answer(block("new", "e.50"));
            document.body.append(element); await settle();
            serve(block("newer", "e.50"));
            begin(14, 10); await pass(60000);
            return element.textContent;
        }}"""
    )

    assert got == "newer"


@pytest.mark.parametrize("tag", ["div", "ul"])
def test_a_refused_block_that_comes_back_is_shown_when_the_right_returns(blocks: Page, tag: str) -> None:
    """The words of the refusal, which are inside of a `<div>` and after a list, are gone."""
    got = blocks.evaluate(
        """async (tag) => {
            await show(`<main>${block("<li>secret</li>", "e.10", "sum", "t", tag)}</main>`);
            begin(10, 10);
            const element = at(), main = element.parentElement;
            server().sends(refuse(4403, "no longer yours"));
            const refused = main.textContent;
            element.remove(); await settle();
            const removed = main.textContent;
            main.append(element); await settle();
            serve(block("<li>again</li>", "e.10", "sum", "t", tag));
            begin(10, 9); await pass(60000);
            return [refused, removed, main.textContent];
        }""",
        tag,
    )

    assert got == ["no longer yours", "", "again"]


@pytest.mark.parametrize(
    ("answer", "topics"),
    [*((answer, "t") for answer in ANSWERS.values()), (ANSWERS["the block"], "t u")],
    ids=[*ANSWERS.keys(), "the block of two topics"],
)
def test_a_page_rendered_before_a_refusal_is_not_shown(blocks: Page, answer: str, topics: str) -> None:
    got = blocks.evaluate(
        f"""async (topics) => {{
            await show(block("old", "e.10", "sum", topics));
            for (const topic of topics.split(" ")) server().sends({{ ...snapshot(10, [], false, topic), signal: 10 }});
            const errors = noted("error"), answer = hold();
            await signal(11); await pass(0);
            server().sends(refuse(4403, "no longer yours"));
            const told = errors.length;
            await answer({answer});
            const then = [at().textContent, at().getAttribute("data-realtime-stale"), realtime.status.state];
            await pass(60000);
            const fetches = world.fetches.length;
            serve(block("again", "e.12"));
            begin(12, 9); await pass(0);
            return [then, told, errors.length, fetches, at().textContent, at().hasAttribute("data-realtime-stale")];
        }}""",
        topics,
    )

    assert got == [["no longer yours", "no longer yours", "refused"], 1, 1, 1, "again", False]


def test_a_right_that_returns_during_a_fetch_is_asked_for_anew(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10"));
        begin(10, 10);
        const answer = hold();
        await signal(11); await pass(0);
        server().sends(refuse(4403, "no longer yours"));
        begin(12, 9);
        await answer(block("from before", "e.12"));
        const between = at().textContent;
        serve(block("again", "e.12"));
        await pass(1000);
        return [between, at().textContent, world.fetches.length];
    }""")

    assert got == ["no longer yours", "again", 2]


def test_what_is_known_of_other_topics_outlasts_a_refusal(blocks: Page) -> None:
    """A second snapshot of one may have changes that the log lacks, whatever position the page names."""
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10", "sum", "t u"));
        for (const topic of ["t", "u"]) server().sends({ ...snapshot(10, [], false, topic), signal: 10 });
        server().sends(refuse(4403, "no longer yours"));
        serve(block("again", "e.12", "sum", "t u"));
        begin(12, 9); await pass(0);
        const again = at().textContent;
        serve(block("newer", "e.12", "sum", "t u"));
        server().sends({ ...snapshot(10, [], false, "u"), signal: 10 });
        await pass(60000);
        return [again, at().textContent];
    }""")

    assert got == ["again", "newer"]


def test_a_block_refused_before_its_fetch_is_not_fetched(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10"));
        begin(10, 10);
        serve(block("new", "e.11"));
        await signal(11, { spread_seconds: 4 });
        server().sends(refuse(4403, "no longer yours"));
        await pass(60000);
        return [world.fetches, at().textContent];
    }""")

    assert got == [[], "no longer yours"]


WAITS = {
    "for its share of many viewers": "await signal(11, { spread_seconds: 4 });",
    "for a second after a fetch": "await signal(11); await pass(0); await signal(12); await pass(500);",
    "after a fetch that failed": "world.served = null; await signal(11); await pass(0); await pass(500);",
}


@pytest.mark.parametrize("waits", WAITS.values(), ids=WAITS.keys())
def test_a_page_that_is_hidden_while_it_waits_is_fetched_when_it_is_shown(blocks: Page, waits: str) -> None:
    got = blocks.evaluate(
        f"""async () => {{
            await show(block("old", "e.10"));
            begin(10, 10);
            serve(block("newer", "e.11"));
            {waits}
            const before = world.fetches.length;
            turn("hidden");
            await pass(60000); server().sends(heartbeat({{ t: "e.12" }})); await pass(60000);
            const hidden = world.fetches.length - before;
            serve(block("new", "e.13"));
            turn("visible");
            await pass(4000);
            return [hidden, world.fetches.length - before, at().textContent];
        }}"""
    )

    assert got == [0, 1, "new"]


def test_a_page_that_is_hidden_and_shown_while_it_waits_is_fetched_in_time(blocks: Page) -> None:
    got = blocks.evaluate("""async () => {
        await show(block("old", "e.10"));
        begin(10, 10);
        serve(block("new", "e.11"));
        await signal(11, { spread_seconds: 4 });
        turn("hidden"); await pass(500); turn("visible");
        await pass(1500);
        return [world.fetches.length, at().textContent];
    }""")

    assert got == [1, "new"]
