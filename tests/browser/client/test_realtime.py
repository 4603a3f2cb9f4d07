"""``window.realtime``: what scripts of a page use."""

import pytest
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


def test_each_row_that_is_inserted_updated_or_deleted_has_its_handler(page: Page) -> None:
    """Rows of the first snapshot are inserted; a later snapshot reports the differences only."""
    got = page.evaluate("""() => {
        const seen = [];
        const text = ({ row }) => row.text;
        realtime.subscribe("t", {
            onInsert: (row) => seen.push(["insert", text(row)]),
            onUpdate: (row, old) => seen.push(["update", text(old), text(row)]),
            onDelete: (old) => seen.push(["delete", text(old)]),
            onChange: (rows) => seen.push([...rows.values()].map(text)),
        });
        connect();
        server().sends(snapshot(5, [row("a"), row("b")]));
        server().sends(changes(5, 6, [upsert(row("b", "0", "new b")), remove("a"), remove("unknown")]));
        server().sends(changes(6, 7, []));
        server().sends(snapshot(8, [row("b", "0", "new b"), row("c")]));
        return seen;
    }""")

    assert got == [
        ["insert", "row a"], ["insert", "row b"], ["row a", "row b"],
        ["delete", "row a"], ["update", "row b", "new b"], ["new b"],
        ["insert", "row c"], ["new b", "row c"],
    ]  # fmt: skip


def test_a_subscription_has_a_status_of_its_own(page: Page) -> None:
    got = page.evaluate("""() => {
        const seen = [];
        const topic = realtime.subscribe("t", { onStatus: ({ state, reason }) => seen.push([state, reason]) });
        realtime.subscribe("u");
        connect();
        server().sends(snapshot(5, [])).sends(refuse(4403, "no", "u"));
        server().drops();
        clock.advance(5000); server().accepts().sends(refuse(4403, "not yours"));
        const before = topic.status;
        topic.unsubscribe();
        return [seen, before.state, before.since !== null, topic.status.state];
    }""")

    states = [["loading", ""], ["live", ""], ["stale", ""], ["refused", "not yours"]]
    assert got == [states, "refused", True, "unsubscribed"]


def test_rows_are_another_map_after_each_change(page: Page) -> None:
    """So that frameworks notice; the map that was handed out before stays what it was."""
    got = page.evaluate("""() => {
        const topic = realtime.subscribe("t");
        connect(); server().sends(snapshot(5, [row("b")]));
        const before = topic.rows, same = topic.rows === before;
        server().sends(changes(5, 6, [upsert(row("a"))]));
        return [same, topic.rows === before, [...before.keys()], [...topic.rows.keys()]];
    }""")

    assert got == [True, False, ["b"], ["a", "b"]]


def test_a_subscription_begins_with_the_rows_that_it_is_given(page: Page) -> None:
    """From the server's rendering: it resumes from their position, and reports them."""
    got = page.evaluate("""async () => {
        const inserted = [];
        const topic = realtime.subscribe("t", { position: "e.5", rows: [{ ...row("a"), digest: 7 }],
            onInsert: ({ key }) => inserted.push([key, topic.position]) });
        const first = [...topic.rows.keys()];
        await null;
        const asked = connect().takeSent()[0].position;
        server().sends(changes(5, 6, [upsert({ ...row("b"), digest: 1 })], "t", 6));
        return [first, asked, inserted, [...topic.rows.keys()], server().takeSent()];
    }""")

    assert got == [["a"], "e.5", [["a", "e.5"], ["b", "e.6"]], ["a", "b"], []]


UNDONE = {
    "by the server's change": ("server().sends(changes(5, 6, [upsert(row('a', 'a', 'theirs'))]))", "theirs"),
    "by a snapshot": ("server().sends(snapshot(6, [row('a', 'a', 'theirs'), row('b')]))", "theirs"),
    "by the caller": ("undo()", "row a"),
    "after ten seconds": ("clock.advance(10_000)", "row a"),
}


@pytest.mark.parametrize(("happens", "then"), UNDONE.values(), ids=UNDONE.keys())
def test_what_a_script_assumes_is_shown_until_it_is_undone(page: Page, happens: str, then: str) -> None:
    got = page.evaluate(f"""() => {{
        const shown = [];
        const topic = realtime.subscribe("t", {{ onChange: (rows) => shown.push(rows.get("a").row.text) }});
        connect(); server().sends(snapshot(5, [row("a"), row("b")]));
        const undo = topic.assume("a", {{ text: "mine" }});
        const order = [...topic.rows.keys()];
        server().sends(changes(5, 5, []));
        const between = topic.rows.get("a").row.text;
        {happens};
        undo();
        return [order, between, shown];
    }}""")

    assert got == [["a", "b"], "mine", ["row a", "mine", then]]


def test_a_removal_and_a_new_row_can_be_assumed(page: Page) -> None:
    got = page.evaluate("""() => {
        const topic = realtime.subscribe("t");
        connect(); server().sends(snapshot(5, [row("a"), row("b")]));
        const undo = topic.assume("a", null);
        topic.assume("new", { text: "n" });
        const assumed = [...topic.rows.keys()];
        undo();
        return [assumed, [...topic.rows.keys()]];
    }""")

    assert got == [["b", "new"], ["a", "b", "new"]]
