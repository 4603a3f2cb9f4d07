"""``realtime.call``: sent once, answered or rejected."""

import pytest
from playwright.sync_api import Page


def test_a_call_waits_for_the_connection_and_resolves_with_the_reply(page: Page) -> None:
    got = page.evaluate("""async () => {
        const first = realtime.call("echo", { text: "hi" }), second = realtime.call("now");
        const [a, b] = connect().takeSent();
        server().sends({ type: "reply", id: b.id, ok: "noon" });
        server().sends({ type: "reply", id: a.id, ok: { text: "hi" } });
        return [a, b.args, await first, await second];
    }""")

    sent = {"type": "call", "id": 1, "action": "echo", "args": {"text": "hi"}}
    assert got == [sent, {}, {"text": "hi"}, "noon"]


FAILED = """.catch((error) => [error instanceof Error, error.code, error.message, error.fields])"""


def test_a_refused_call_rejects_with_the_fields(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        connect();
        const call = realtime.call("echo"){FAILED};
        const error = {{ code: 4400, message: "no", fields: {{ text: ["required"] }} }};
        server().sends({{ type: "reply", id: 1, error }});
        return call;
    }}""")

    assert got == [True, 4400, "no", {"text": ["required"]}]


@pytest.mark.parametrize(
    ("happens", "code", "text"),
    [
        ("connect().drops(1006, 'cut')", 1006, "cut"),
        ("connect(); clock.advance(10_000)", None, "10 s"),
        ("realtime.start(); clock.advance(10_000)", None, "10 s"),
        ("realtime.start(); server().drops(4403, 'not you')", 4403, "not you"),
    ],
    ids=["closed", "no answer", "never open", "stopped"],
)
def test_a_call_without_an_answer_rejects(page: Page, happens: str, code: int | None, text: str) -> None:
    got = page.evaluate(f"() => {{ const call = realtime.call('echo'){FAILED}; {happens}; return call; }}")

    assert got[:2] == [True, code]
    assert text in got[2]


def test_an_unsent_call_survives_a_failed_attempt_and_is_sent_once(page: Page) -> None:
    got = page.evaluate("""() => {
        realtime.start(); realtime.call("echo");
        server().drops(); clock.advance(1000); server().accepts();
        return server().takeSent().length;
    }""")

    assert got == 1


def test_a_call_over_the_size_limit_is_not_sent(page: Page) -> None:
    got = page.evaluate(f"""async () => {{
        connect().takeSent();
        const failed = await realtime.call("echo", {{ text: "é".repeat(9000) }}){FAILED};
        return [failed[1], server().takeSent()];
    }}""")

    assert got == [4400, []]


def test_a_call_may_have_a_time_limit_of_its_own(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        connect();
        const call = realtime.call("echo", {{}}, {{ timeout: 500 }}){FAILED};
        clock.advance(500);
        return call;
    }}""")

    assert got[2] == '"echo" was not answered within 0.5 s.'


ANSWERS = {
    "succeeds": ("{ ok: 1 }", ["shown"]),
    "fails": ("{ error: { code: 4403, message: 'no' } }", ["shown", "undone"]),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_a_call_shows_at_once_is_taken_back_if_it_fails(
    page: Page, answer: str, expected: list[str]
) -> None:
    got = page.evaluate(f"""async () => {{
        const seen = [];
        connect().takeSent();
        const call = realtime.call("echo", {{}}, {{
            optimistic: () => {{ seen.push("shown"); return () => seen.push("undone"); }} }});
        const first = [...seen];
        server().sends({{ type: "reply", id: 1, ...{answer} }});
        await call.catch(() => {{}});
        return [first, seen];
    }}""")

    assert got == [["shown"], expected]


def test_a_call_that_cannot_be_shown_is_not_sent(page: Page) -> None:
    """Its error is the caller's."""
    got = page.evaluate("""async () => {
        connect().takeSent();
        try { await realtime.call("echo", {}, { optimistic: () => { throw new Error("mine"); } }); }
        catch (error) { return [error.message, server().takeSent()]; }
    }""")

    assert got == ["mine", []]
