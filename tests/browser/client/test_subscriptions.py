"""Several elements and scripts that follow one topic share a subscription."""

from playwright.sync_api import Page

from tests.browser.client import SUBSCRIBE


def test_elements_of_one_topic_share_a_subscription(page: Page) -> None:
    """Rendered together they are at one position: one subscription serves both."""
    got = page.evaluate("""() => {
        connect();
        paint([tr("a", "a", "at 10")], "e.10"); paint([tr("a", "a", "at 10")], "e.10");
        const asked = server().takeSent().map((sent) => sent.position);
        server().sends(changes(10, 12, [upsert(html("a", "a", "at 12"))]));
        return [asked, texts(), position()];
    }""")

    assert got == [["e.10"], ["at 12"] * 2, "e.12"]


def test_elements_of_one_topic_rendered_at_two_positions_get_a_snapshot(page: Page) -> None:
    """Changes since the older one do not remove a row that was added and deleted before the newer one."""
    got = page.evaluate("""() => {
        connect(); paint([tr("a")], "e.10"); paint([tr("a"), tr("ghost")], "e.12");
        const asked = server().takeSent().map((sent) => sent.position ?? null);
        server().sends(snapshot(13, [html("a", "a", "at 13")]));
        return [asked, texts(), position()];
    }""")

    assert got == [["e.10", None], ["at 13"] * 2, "e.13"]


def test_an_element_without_a_position_causes_a_snapshot_for_all(page: Page) -> None:
    got = page.evaluate("""() => {
        connect(); paint([tr("a")]); paint([], null);
        const asked = server().takeSent();
        server().sends(changes(10, 11, [upsert(html("b"))])).sends(snapshot(12, [html("c")]));
        return [asked, texts()];
    }""")

    assert got == [[SUBSCRIBE | {"position": "e.10"}, SUBSCRIBE], ["row c", "row c"]]


def test_a_topic_is_followed_by_an_element_and_by_scripts_in_one_subscription(page: Page) -> None:
    """Its messages then have both contents; the element's rows keep their elements."""
    got = page.evaluate("""() => {
        const both = (key, text) => ({ ...html(key, key, text), row: { text } });
        connect(); paint([tr("a", "a", "at 10")]);
        const before = document.querySelector("[data-key=a]");
        const rows = realtime.subscribe("t"), signals = [];
        realtime.follow("t", { format: "signal", position: null,
            onSnapshot: ({ signal }) => signals.push(signal), onChanges: ({ position }) => signals.push(position) });
        const asked = server().takeSent().map(({ format, position }) => [format, position ?? null]);
        server().sends(changes(10, 11, [upsert(html("a", "a", "of the first subscription"))]));
        server().sends({ ...snapshot(12, [both("a", "at 12")]), signal: 9 });
        server().sends(changes(12, 13, [upsert(both("a", "at 13"))]));
        return [asked, texts(), rows.rows.get("a").row.text, signals,
            document.querySelector("[data-key=a]") === before];
    }""")

    asked = [["html", "e.10"], ["rows+html", None], ["rows+html+signal", None]]
    assert got == [asked, ["at 13"], "at 13", [9, "e.13"], True]


def test_a_follower_of_signals_does_not_make_an_element_begin_again(page: Page) -> None:
    """It has no rows, so its position is of no interest; any answer has the signal."""
    got = page.evaluate("""() => {
        const signals = [];
        const note = ({ signal, position }) => signals.push(signal ?? position);
        connect(); paint([tr("a")]);
        realtime.follow("t", { format: "signal", position: null, onSnapshot: note, onChanges: note });
        const asked = server().takeSent().map(({ format, position }) => [format, position]);
        server().sends({ ...changes(10, 10, []), signal: 8 }).sends(changes(10, 12, []));
        return [asked, signals, position()];
    }""")

    assert got == [[["html", "e.10"], ["html+signal", "e.10"]], [8, "e.12"], "e.12"]
