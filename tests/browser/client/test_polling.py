"""Polling: its answers vouch for topics as heartbeats do."""

import pytest
from playwright.sync_api import Page

POLL = """async (answers) => {
    const { Polling } = await import("/static/realtime/transports/polling.js");
    const received = [], asked = [];
    let done;
    const finished = new Promise((resolve) => { done = resolve; });
    const env = {
        ...clock, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, now: clock.now, random: () => 0.5,
        paths: { topics: "/topics/" },
        fetch: async (url, { signal }) => {
            const topic = url.split("/")[2];
            asked.push(topic);
            const answer = answers[topic].shift();
            if (answer) return { ok: !answer.errors, json: async () => answer };
            if (Object.values(answers).every((rest) => rest.length === 0)) setTimeout(done);
            return new Promise((_, reject) => signal.addEventListener("abort", reject));
        },
    };
    const transport = new Polling(env, {
        subscriptions: () => Object.keys(answers).map((topic) => ({ topic, format: "html", position: "e.10" })),
        onMessage: (message) => received.push(message),
        onEnd: (ending) => received.push(ending),
    }, 15_000);
    await finished;
    transport.close();
    return received.filter(({ type }) => type === "heartbeat").map(({ type, ...fields }) => fields);
}"""


def test_answers_become_heartbeats_with_their_digests_and_the_largest_delay(page: Page) -> None:
    got = page.evaluate(
        POLL,
        {
            "t": [{"position": "e.10", "messages": [], "digest": 7, "behind_seconds": 2.5}],
            "u": [{"position": "e.11", "messages": [], "digest": 8}],
        },
    )

    assert got[-1] == {
        "positions": {"t": "e.10", "u": "e.11"},
        "digests": {"t": 7, "u": 8},
        "behind_seconds": 2.5,
    }


def test_answers_of_an_older_server_have_no_digests(page: Page) -> None:
    got = page.evaluate(POLL, {"t": [{"position": "e.10", "messages": []}]})

    assert got == [{"positions": {"t": "e.10"}, "digests": {}, "behind_seconds": 0}]


def test_a_topic_that_could_not_be_read_is_in_no_heartbeat(page: Page) -> None:
    """Its last position is not vouched for any longer, although other topics are answered."""
    error = {"type": "error", "code": 4500, "message": "cannot read it", "topic": "t"}
    got = page.evaluate(
        POLL,
        {
            "t": [{"position": "e.10", "messages": [], "digest": 7}, {"errors": [error]}],
            "u": [{"position": f"e.{10 + n}", "messages": [], "digest": n} for n in range(4)],
        },
    )

    assert got[-1] == {"positions": {"u": "e.13"}, "digests": {"u": 3}, "behind_seconds": 0}


@pytest.mark.parametrize(
    ("status", "text", "said"), [(404, "<h1>Not Found</h1>", 1), (502, "<h1>Bad</h1>", 0), (404, "{}", 0)]
)
def test_a_server_without_the_engine_is_named_in_the_console(page: Page, errors, status, text, said) -> None:
    """Once, with the line that the project needs; a proxy's error is none."""
    page.evaluate(
        """async ([status, text]) => {
            const { Polling } = await import("/static/realtime/transports/polling.js");
            for (const attempt of [1, 2]) {
                await new Promise((ended) => new Polling({
                    ...clock, random: () => 0.5, paths: { topics: "/topics/" },
                    setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, now: clock.now,
                    fetch: async () => new Response(text, { status }),
                }, {
                    subscriptions: () => [{ topic: "t", format: "html", position: null }],
                    onMessage: () => {}, onEnd: ended,
                }, 15_000));
            }
        }""",
        [status, text],
    )

    assert ["realtime.asgi.application(get_asgi_application())" in line for line in errors] == [True] * said
    errors.clear()
