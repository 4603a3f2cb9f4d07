"""The WebSocket transport."""

from playwright.sync_api import Page


def test_received_messages_are_acknowledged(page: Page) -> None:
    """At each heartbeat and after `acknowledge_bytes`, by the number of messages received."""
    got = page.evaluate(
        """() => {
            realtime.start();
            const welcome = { type: "welcome", heartbeat_seconds: 15, max_message_bytes: 16384 };
            server().readyState = 1;
            server().sends({ ...welcome, acknowledge_bytes: 1000 }).takeSent();
            server().sends(heartbeat());
            const beat = server().takeSent();
            for (let n = 0; n < 3; n++) server().sends({ type: "notice", text: "x".repeat(400) });
            return [beat, server().takeSent()];
        }"""
    )
    assert got == [[{"type": "ack", "received": 2}], [{"type": "ack", "received": 5}]]
