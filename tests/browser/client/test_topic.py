"""The position of a topic: when changes are applied, and when the page subscribes again."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.client import SUBSCRIBE


@pytest.mark.parametrize(
    ("after", "to", "expected"),
    [
        pytest.param(10, 12, ["applied", "e.12", []], id="follows"),
        pytest.param(7, 12, ["applied", "e.12", []], id="overlaps"),
        pytest.param(8, 10, ["held", "e.10", []], id="known already"),
        pytest.param(3, 5, ["held", "e.10", []], id="known for long"),
        pytest.param(11, 12, ["held", "e.10", ["e.10"]], id="gap"),
    ],
)
def test_changes_are_applied_or_dropped_or_cause_a_new_subscription(
    page: Page, after: int, to: int, expected: list[Any]
) -> None:
    """`position` ≤ mine: drop; `after` ≤ mine: apply; otherwise subscribe again from mine."""
    page.evaluate("() => { paint([tr('a', 'a', 'held')]); connect().takeSent(); }")

    got = page.evaluate(
        """([after, to]) => {
            server().sends(changes(after, to, [upsert(html("a", "a", "applied"))]));
            return [texts()[0], position(), server().takeSent().map((sent) => sent.position)];
        }""",
        [after, to],
    )

    assert got == expected


def test_changes_of_another_epoch_cause_a_new_subscription(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a", "a", "held")]); connect().takeSent();
        server().sends({ type: "changes", topic: "t", after: 10, position: "f.11", changes: [remove("a")] });
        return [texts(), server().takeSent()];
    }""")

    assert got == [["held"], [SUBSCRIBE | {"position": "e.10"}]]


def test_one_gap_causes_one_subscription(page: Page) -> None:
    """Messages that the server sent before it read the subscription have the same gap."""
    got = page.evaluate("""() => {
        paint([tr("a")]); connect().takeSent();
        server().sends(changes(11, 12, [])).sends(changes(12, 13, [])).sends(changes(13, 14, []));
        const asked = server().takeSent().length;
        server().sends(changes(10, 14, [upsert(html("b"))])).sends(changes(15, 16, []));
        return [asked, texts(), server().takeSent().map((sent) => sent.position)];
    }""")

    assert got == [1, ["row a", "row b"], ["e.14"]]


def test_a_snapshot_in_parts_is_shown_with_its_last_part(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("old")]); connect();
        server().sends(snapshot(20, [html("a"), html("b")], true));
        const before = [texts(), position()];
        server().sends(snapshot(20, [html("c")]));
        return [before, [texts(), position()]];
    }""")

    assert got == [[["row old"], "e.10"], [["row a", "row b", "row c"], "e.20"]]


def test_parts_of_an_abandoned_snapshot_are_dropped(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([], null); connect();
        server().sends(snapshot(20, [html("a")], true)).sends(snapshot(21, [html("b")], true));
        server().sends(snapshot(21, [html("c")]));
        return texts();
    }""")

    assert got == ["row b", "row c"]


def test_parts_received_before_a_reconnect_are_dropped(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([], null); connect().sends(snapshot(20, [html("a")], true)).drops();
        clock.advance(20_000);
        server().accepts().sends(snapshot(20, [html("b")]));
        return texts();
    }""")

    assert got == ["row b"]


def test_a_heartbeat_ahead_of_the_page_causes_a_new_subscription(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]); connect().takeSent();
        server().sends(heartbeat({ t: "e.10" }));
        const inStep = server().takeSent();
        server().sends(heartbeat({ t: "e.11" }));
        return [inStep, server().takeSent()];
    }""")

    assert got == [[], [SUBSCRIBE | {"position": "e.10"}]]


def test_a_topic_missing_from_two_heartbeats_is_subscribed_to_again(page: Page) -> None:
    """A topic refused for a temporary reason becomes live again without a reload."""
    got = page.evaluate("""() => {
        const element = paint([tr("a")]); connect().sends(changes(10, 10, []));
        server().sends({ type: "error", code: 4529, message: "too many", topic: "t" }).takeSent();
        const state = element.getAttribute("state");
        server().sends(heartbeat());
        const early = server().takeSent().length;
        server().sends(heartbeat());
        return [state, early, server().takeSent()];
    }""")

    assert got == ["stale", 0, [SUBSCRIBE | {"position": "e.10"}]]


def test_messages_of_the_other_format_are_ignored(page: Page) -> None:
    """Messages of a subscription that has just ended may still arrive."""
    got = page.evaluate("""() => {
        paint([tr("a", "a", "held")]); connect();
        server().sends(changes(10, 11, [upsert(row("a"))])).sends(snapshot(12, [row("a")]));
        return [texts(), position()];
    }""")

    assert got == [["held"], "e.10"]
