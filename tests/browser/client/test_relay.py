"""The relay of the tab that owns a shared connection."""

from playwright.sync_api import Page

RELAY = "const { Relay } = await import('/static/realtime/transports/relay.js'); const relay = new Relay();"


def test_a_tab_at_a_later_position_does_not_skip_changes_of_the_others(page: Page) -> None:
    """The server resumes from the position that all tabs have reached; a tab that is behind, or alone, uses its own."""
    positions = page.evaluate(
        """async () => {"""
        + RELAY
        + """
            const subscribe = (tab, position) =>
                relay.outgoing(tab, { type: "subscribe", topic: "t", ...(position && { position }) }).position;
            const first = subscribe("a", "e.10");
            relay.incoming({ type: "changes", topic: "t", after: 10, position: "e.20", changes: [] });
            const others = ["e.30", "e.15", "other.99", undefined].map((position) => subscribe("b", position) ?? null);
            return [first, ...others, relay.removeTab("b"), subscribe("a", "e.40")];
        }"""
    )
    assert positions == ["e.10", "e.20", "e.15", "other.99", None, [], "e.40"]


def test_a_reply_is_passed_to_the_tab_that_called(page: Page) -> None:
    """Two tabs use the same ids for their calls."""
    got = page.evaluate(
        """async () => {"""
        + RELAY
        + """
            const call = { type: "call", id: 1, action: "echo", args: {} };
            const ids = ["a", "b"].map((tab) => relay.outgoing(tab, call).id);
            const back = ids.map((id) => relay.incoming({ type: "reply", id, ok: id }));
            return [ids, back.map(({ tab, message }) => [tab, message.id])];
        }"""
    )
    assert got == [[1, 2], [["a", 1], ["b", 1]]]


def test_a_topic_is_unsubscribed_with_its_last_tab(page: Page) -> None:
    """A tab that subscribes to it in another format is refused, and needs a connection of its own."""
    got = page.evaluate(
        """async () => {"""
        + RELAY
        + """
            const subscribe = (tab, format) => relay.outgoing(tab, { type: "subscribe", topic: "t", format });
            const unsubscribe = (tab) => relay.outgoing(tab, { type: "unsubscribe", topic: "t" });
            subscribe("a", "html"); subscribe("b", "html");
            let refused = null;
            try { subscribe("c", "rows"); } catch (error) { refused = error.name; }
            return [refused, unsubscribe("a"), unsubscribe("a"), relay.removeTab("b"), subscribe("c", "rows").format];
        }"""
    )
    assert got == ["RangeError", None, None, [{"type": "unsubscribe", "topic": "t"}], "rows"]


def test_tabs_may_differ_in_signals(page: Page) -> None:
    """All of them get what one of them needs; a tab that needs signals alone resumes where the others are."""
    got = page.evaluate(
        """async () => {"""
        + RELAY
        + """
            const subscribe = (tab, format, position) => {
                const sent = relay.outgoing(tab, { type: "subscribe", topic: "t", format, position });
                return [sent.format, sent.position ?? null];
            };
            const asked = [subscribe("a", "html", "e.10"), subscribe("b", "signal"), subscribe("a", "html", "e.10")];
            relay.incoming({ type: "changes", topic: "t", after: 10, position: "e.20", changes: [] });
            return [...asked, subscribe("c", "signal"), subscribe("d", "html", "e.15")];
        }"""
    )
    assert got == [["html", "e.10"], ["html+signal", None], ["html+signal", "e.10"],
                   ["html+signal", "e.20"], ["html+signal", "e.15"]]  # fmt: skip
