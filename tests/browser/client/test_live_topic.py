"""``<live-topic>``: its attributes, its events, and its life in the document."""

from playwright.sync_api import Page, expect

from tests.browser.client import SUBSCRIBE


def test_the_element_has_its_state_and_position_as_attributes(page: Page) -> None:
    got = page.evaluate("""() => {
        const element = paint([], null), seen = [];
        const record = () => seen.push([element.getAttribute("state"), element.getAttribute("position")]);
        record();
        connect(); record();
        server().sends(snapshot(20, [html("a")])); record();
        server().sends(changes(20, 21, [remove("a")])); record();
        server().drops(); record();
        clock.advance(20_000); server().accepts(); record();
        server().sends(changes(21, 21, [])); record();
        return seen;
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


def test_the_element_dispatches_an_event_for_each_message(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const seen = [];
        for (const type of ["snapshot", "changes", "applied", "error"]) {
            document.addEventListener(`realtime:${type}`, ({ detail }) =>
                seen.push([type, detail.position ?? detail.code, texts().length]));
        }
        connect().sends(snapshot(20, [])).sends(changes(20, 21, [upsert(html("b"))]));
        server().sends({ type: "error", code: 4403, message: "no", topic: "t" });
        return seen;
    }""")

    assert got == [
        ["snapshot", "e.20", 1],
        ["applied", "e.20", 0],
        ["changes", "e.21", 0],
        ["applied", "e.21", 1],
        ["error", 4403, 1],
    ]


def test_a_listener_can_prevent_the_default_and_show_changes_itself(page: Page) -> None:
    got = page.evaluate("""() => {
        const element = paint([tr("a")]); connect();
        element.addEventListener("realtime:changes", (event) => event.preventDefault());
        server().sends(changes(10, 11, [remove("a")]));
        return [texts(), element.getAttribute("position")];
    }""")

    assert got == [["row a"], "e.11"]


def test_a_refused_topic_shows_the_reason_in_place_of_its_rows(page: Page) -> None:
    """At once, and until the server serves it again: its rows may be secret by now."""
    got = page.evaluate("""() => {
        const element = paint([tr("a"), tr("b")]); connect().sends(changes(10, 10, [])).takeSent();
        server().sends(refuse(4403, "<b>Not yours</b>"));
        server().sends(heartbeat()).sends(heartbeat()).sends(heartbeat());
        const asked = server().takeSent();
        const shown = [texts(), element.getAttribute("position")];
        server().drops(); clock.advance(20_000); server().accepts();
        return [asked, shown, server().takeSent()];
    }""")

    assert got == [[], [[], None], [SUBSCRIBE]]
    expect(page.locator("live-topic")).to_have_attribute("state", "refused")
    expect(page.get_by_role("status")).to_have_text("<b>Not yours</b>")
    expect(page.locator("table")).to_be_hidden()
    expect(page.locator("[data-empty]")).to_be_hidden()
    page.evaluate("server().sends(snapshot(11, [html('a')]))")
    expect(page.locator("live-topic")).to_have_attribute("state", "live")
    expect(page.locator(".realtime-refused")).to_have_count(0)
    expect(page.locator("table")).to_be_visible()
    assert page.evaluate("texts()") == ["row a"]


def test_a_removed_element_unsubscribes(page: Page) -> None:
    page.evaluate("() => { const element = paint([tr('a')]); connect().takeSent(); element.remove(); }")

    page.wait_for_function("server().sent.length > 0")
    assert page.evaluate("server().takeSent()") == [{"type": "unsubscribe", "topic": "t"}]


def test_a_moved_element_stays_subscribed(page: Page) -> None:
    page.evaluate("""async () => {
        const element = paint([tr("a")]); connect().takeSent();
        element.remove();
        await Promise.resolve();
        document.body.append(element);
        await new Promise((resolve) => setTimeout(resolve));
        server().sends(changes(10, 11, [upsert(html("b"))]));
    }""")

    assert page.evaluate("[server().takeSent(), texts()]") == [[], ["row a", "row b"]]


def test_an_element_put_back_into_the_document_resumes_from_its_position(page: Page) -> None:
    got = page.evaluate("""async () => {
        const element = paint([tr("a")]); connect().sends(changes(10, 12, []));
        element.remove();
        await new Promise((resolve) => setTimeout(resolve));
        server().takeSent();
        document.body.append(element);
        return server().takeSent();
    }""")

    assert got == [SUBSCRIBE | {"position": "e.12"}]
