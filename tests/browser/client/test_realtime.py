"""``window.realtime``: what scripts of a page use."""

from playwright.sync_api import Page


def test_a_script_follows_a_topic_as_a_map_of_rows(page: Page) -> None:
    got = page.evaluate("""() => {
        const seen = [];
        const board = realtime.subscribe("t", {
            onSnapshot: (rows, message) => seen.push(["snapshot", rows.length, message.position]),
            onChanges: (changes) => seen.push(["changes", changes.length, board.position]),
            onError: (message) => seen.push(["error", message.code]),
        });
        const asked = connect().takeSent();
        server().sends(snapshot(5, [row("a"), row("c")])).sends(changes(5, 6, [upsert(row("b")), remove("a")]));
        const rows = [...board.rows].map(([key, { row }]) => [key, row.text]);
        server().sends({ type: "error", code: 4403, message: "no", topic: "t" });
        board.unsubscribe();
        return [asked, seen, rows, server().takeSent()];
    }""")

    assert got == [
        [{"type": "subscribe", "topic": "t", "format": "rows"}],
        [["snapshot", 2, "e.5"], ["changes", 2, "e.6"], ["error", 4403]],
        [["b", "row b"], ["c", "row c"]],
        [{"type": "unsubscribe", "topic": "t"}],
    ]


def test_a_failing_handler_does_not_stop_the_others(page: Page, errors: list[str]) -> None:
    got = page.evaluate("""() => {
        const seen = [];
        const fail = () => { throw new Error("mine"); };
        realtime.on("message", fail);
        realtime.on("heartbeat", fail);
        realtime.on("heartbeat", (message) => seen.push(message.type));
        const off = () => seen.push("off");
        realtime.on("heartbeat", off);
        realtime.off("heartbeat", off);
        connect().sends(heartbeat());
        return seen;
    }""")

    assert got == ["heartbeat"]
    assert ["mine" in error for error in errors] == [True] * 3
    errors.clear()
