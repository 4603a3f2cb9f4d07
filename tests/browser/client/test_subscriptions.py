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


def test_a_topic_cannot_be_followed_in_two_formats(page: Page, errors: list[str]) -> None:
    refusal = page.evaluate("""() => {
        paint([tr("a")]);
        try { realtime.subscribe("t"); } catch (error) { return error.message; }
    }""")
    state = page.evaluate("realtime.subscribe('u') && paint([], 'e.1', 'u').getAttribute('state')")

    assert "followed as html already" in refusal
    assert "followed as rows already" in errors.pop()
    assert state == "refused"
