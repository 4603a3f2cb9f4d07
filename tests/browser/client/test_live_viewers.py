"""``<live-viewers>``, ``realtime.presence`` and ``realtime.broadcast``: viewers that a page shows, and writes to."""

import pytest
from playwright.sync_api import Page, expect

VIEWERS = """(show) => {
    const element = Object.assign(document.createElement("live-viewers"), { id: "viewers" });
    element.setAttribute("topic", "a.1");
    if (show) element.setAttribute("show", show);
    element.append("7");
    document.body.append(element);
    connect();
}"""
TELL = """([viewers, names]) => server().sends({ type: "presence", topic: "a.1", viewers, names })"""


def test_the_element_shows_what_the_server_tells(page: Page) -> None:
    """Before that it shows what the page was rendered with; it requests no rows."""
    page.evaluate(VIEWERS, None)
    viewers = page.locator("#viewers")
    expect(viewers).to_have_text("7")

    page.evaluate(TELL, [3, ["ada"]])

    expect(viewers).to_have_text("3")
    sent = page.evaluate("server().takeSent()")
    assert [message for message in sent if message["type"] == "subscribe"] == [
        {"type": "subscribe", "topic": "a.1", "format": "signal"}
    ]


def test_names_are_text(page: Page) -> None:
    """Whatever name a user has chosen."""
    page.evaluate(VIEWERS, "names")

    page.evaluate(TELL, [3, ["<img src=x onerror=alert(1)>", "__proto__"]])

    expect(page.locator("#viewers")).to_have_text("<img src=x onerror=alert(1)>, __proto__")
    assert page.evaluate("document.querySelector('#viewers').childElementCount") == 0


def test_a_refused_topic_shows_no_viewers(page: Page) -> None:
    """Names are as secret as rows."""
    page.evaluate(VIEWERS, "names")
    page.evaluate(TELL, [1, ["ada"]])
    expect(page.locator("#viewers")).to_have_text("ada")

    page.evaluate("server().sends({ type: 'error', code: 4403, message: 'no', topic: 'a.1' })")

    expect(page.locator("#viewers")).to_have_text("")


def test_a_listener_may_show_it_itself(page: Page) -> None:
    """The event has what is new."""
    page.evaluate(VIEWERS, None)
    page.evaluate("""() => document.addEventListener("realtime:presence", (event) => {
        event.preventDefault();
        window.detail = event.detail;
    })""")

    page.evaluate(TELL, [2, ["ada", "grace"]])
    page.evaluate(TELL, [2, ["bob", "grace"]])

    assert page.evaluate("window.detail") == {
        "topic": "a.1", "viewers": 2, "names": ["bob", "grace"], "joined": ["bob"], "left": ["ada"],
    }  # fmt: skip
    expect(page.locator("#viewers")).to_have_text("7")


def test_presence_reports_each_name_that_comes_and_goes(page: Page) -> None:
    """A later listener begins with all that are there; what is not new is not reported."""
    got = page.evaluate("""async () => {
        const log = [];
        const handlers = (who) => ({
            onSync: ({ viewers }) => log.push(`${who} ${viewers}`),
            onJoin: (name) => log.push(`${who} +${name}`),
            onLeave: (name) => log.push(`${who} -${name}`),
        });
        const tell = (viewers, names) => server().sends({ type: "presence", topic: "a.1", viewers, names });
        const first = realtime.presence("a.1", handlers("first"));
        connect();
        const before = first.viewers;
        tell(2, ["ada"]);
        tell(2, ["ada"]);
        const second = realtime.presence("a.1", handlers("second"));
        await Promise.resolve();
        tell(1, []);
        second.unsubscribe();
        tell(4, undefined);
        return [before, log, first.viewers, first.names];
    }""")

    assert got == [
        None,
        [
            "first +ada", "first 2", "second +ada", "second 2", "first -ada", "first 1", "second -ada", "second 1",
            "first 4",
        ],
        4,
        [],
    ]  # fmt: skip


def test_broadcasts_reach_the_topics_handlers(page: Page) -> None:
    """With their payload or bytes; one that fails does not keep others from it."""
    page.on("console", lambda message: None)
    got = page.evaluate("""() => {
        const got = [];
        const onBroadcast = ({ event, payload, name, sender }) =>
            got.push([event, payload instanceof Uint8Array ? [...payload] : payload, name, sender]);
        realtime.subscribe("a.1", { onBroadcast });
        realtime.subscribe("b.1", { onBroadcast });
        connect();
        const send = (fields) => server().sends({ type: "broadcast", topic: "a.1", ...fields });
        send({ event: "typing", payload: JSON.parse('{"__proto__": {"isAdmin": true}}'), sender: "s", name: "ada" });
        send({ event: "ink", data: "AIA=", sender: "s" });
        return [got[0][1].isAdmin ?? null, Object.keys(got[0][1]), got[0][2], got[1], ({}).isAdmin ?? null, got.length];
    }""")

    assert got == [None, ["__proto__"], "ada", ["ink", [0, 128], "", "s"], None, 2]


def test_only_the_last_of_quick_broadcasts_is_sent(page: Page) -> None:
    """The last one of each topic and event is sent, so a handler of pointermove may call it each time."""
    sent = page.evaluate("""() => {
        connect().takeSent();
        for (let n = 0; n < 50; n++) realtime.broadcast("a.1", "cursor", { n });
        realtime.broadcast("a.1", "ink", new Uint8Array([0, 128]));
        clock.advance(100);
        clock.advance(100);
        clock.advance(100);
        realtime.broadcast("a.1", "cursor");
        return server().takeSent();
    }""")

    assert sent == [
        {"type": "broadcast", "topic": "a.1", "event": "cursor", "payload": {"n": 0}},
        {"type": "broadcast", "topic": "a.1", "event": "ink", "data": "AIA="},
        {"type": "broadcast", "topic": "a.1", "event": "cursor", "payload": {"n": 49}},
        {"type": "broadcast", "topic": "a.1", "event": "cursor", "payload": None},
    ]


def test_a_broadcast_that_would_close_the_connection_is_not_sent(page: Page) -> None:
    """The server ends a connection for a message that is too long."""
    got = page.evaluate("""() => {
        connect();
        server().takeSent();
        server().sends({ type: "welcome", heartbeat_seconds: 15, max_message_bytes: 1000 });
        server().takeSent();
        try {
            realtime.broadcast("a.1", "text", "x".repeat(1000));
        } catch (error) {
            return [error.name, server().takeSent()];
        }
    }""")

    assert got == ["RangeError", []]


PAYLOADS = {
    "text": "(bytes) => 'x'.repeat(bytes - 2)",
    "two bytes a character": "(bytes) => 'é'.repeat(bytes / 2 - 1)",
    "an object": "(bytes) => ({ a: 'x'.repeat(bytes - 8) })",
    "escapes": "(bytes) => '\\n'.repeat(bytes / 2 - 1)",
    "half a surrogate": "(bytes) => '\\ud800' + 'x'.repeat(bytes - 8)",
    "a buffer": "(bytes) => new ArrayBuffer(bytes)",
    "a view": "(bytes) => new Uint16Array(bytes / 2)",
}


@pytest.mark.parametrize("limit", [4096, 100, 20_000])
@pytest.mark.parametrize("make", PAYLOADS.values(), ids=PAYLOADS)
def test_a_payload_that_the_server_would_refuse_is_not_sent(page: Page, make: str, limit: int) -> None:
    """The welcome says how long it may be; as long as that it is sent."""
    got = page.evaluate(
        """([make, limit]) => {
        connect();
        const welcome = { type: "welcome", heartbeat_seconds: 15, max_message_bytes: 100_000 };
        server().sends({ ...welcome, max_broadcast_bytes: limit }).takeSent();
        const attempt = (bytes, event) => {
            try {
                realtime.broadcast("a.1", event, eval(make)(bytes));
            } catch (error) {
                return [error.name, error.message.includes(`${limit}`)];
            }
        };
        const got = [attempt(limit, "fits"), attempt(limit + 2, "does not")];
        return [got, server().takeSent().map(({ event }) => event)];
    }""",
        [make, limit],
    )

    assert got == [[None, ["RangeError", True]], ["fits"]]


@pytest.mark.parametrize("is_connected", [True, False])
def test_nothing_is_kept_for_a_later_connection(page: Page, is_connected: bool) -> None:
    """A broadcast of a minute ago is of no use."""
    sent = page.evaluate(
        """(isConnected) => {
        if (isConnected) connect().drops(1006, "cut");
        realtime.broadcast("a.1", "typing");
        return connect().takeSent().filter(({ type }) => type === "broadcast");
    }""",
        is_connected,
    )

    assert sent == []
