"""The state of the page: the worst of its connection and its topics, and since when it is not current."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.client import SUBSCRIBE

LIVE = """
    const element = paint([tr("a")]); paint([tr("b")], "e.10", "u");
    const badge = document.body.appendChild(document.createElement("live-status"));
    connect().sends(changes(10, 10, [])).sends(changes(10, 10, [], "u")).takeSent();
    const both = { t: "e.10", u: "e.10" };
    const pass = (ms) => {
        for (let passed = 0; passed < ms; passed += 15_000) { clock.advance(15_000); server().sends(heartbeat(both)); }
    };
    const status = () => [realtime.status.state, realtime.status.since, badge.dataset.state, badge.textContent];
"""
START = 1_000_000
"""The fake clock's first time: 01:16:40 in the time zone of the tests' browser."""


def test_the_page_is_as_bad_as_its_worst_topic(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        const seen = [status()];
        pass(60_000);
        clock.advance(15_000);
        server().sends(refuse(4500, "the database does not answer"));
        seen.push(status(), element.getAttribute("state"), realtime.status.topics, realtime.status.reason);
        server().sends(refuse(4403, "Staff only", "u"));
        seen.push(status()[0], badge.textContent, badge.title.includes("u: Staff only"));
        server().sends(snapshot(11, [html("b")], false, "u")).sends(changes(10, 11, []));
        seen.push(status());
        return seen;
    }}""")

    assert got == [
        ["live", None, "live", "live"],
        ["stale", START + 60_000, "stale", "not current as of 01:17"],
        "stale",
        {
            "t": {"state": "stale", "since": START + 60_000, "reason": "the database does not answer"},
            "u": {"state": "live", "since": None, "reason": ""},
        },
        "the database does not answer",
        "refused",
        "no longer allowed",
        True,
        ["live", None, "live", "live"],
    ]


@pytest.mark.parametrize(
    "messages",
    [
        "heartbeat({ u: 'e.10' })",
        "heartbeat({})",
        "heartbeat({ u: 'e.10' }, { digests: { t: 0 } })",
        "changes(3, 9, [], 'u')",
        "{ type: 'notice', text: 'hello', topic: 't' }",
    ],
)
@pytest.mark.parametrize("code", [4500, 4529])
def test_only_the_server_naming_a_topic_makes_it_live_again(page: Page, code: int, messages: str) -> None:
    """A topic that the server cannot read stays stale, with the reason, until the server vouches for it."""
    got = page.evaluate(
        f"""(code) => {{
            {LIVE}
            server().sends(refuse(code, "cannot read it"));
            const states = [];
            for (let n = 0; n < 3; n++) {{ server().sends({messages}); states.push(element.getAttribute("state")); }}
            const words = element.querySelector(".realtime-refused").textContent;
            server().sends(heartbeat(both));
            return [states, words, element.getAttribute("state"), texts(), element.textContent.includes("cannot")];
        }}""",
        code,
    )

    assert got == [["stale"] * 3, "cannot read it", "live", ["row a", "row b"], False]


def test_a_topic_that_a_heartbeat_leaves_out_is_stale_at_once(page: Page) -> None:
    """The server does not vouch for it, even if the error that says why was never sent."""
    got = page.evaluate(f"""() => {{
        {LIVE}
        server().sends(heartbeat({{ u: "e.10" }}));
        const seen = [status()[0], element.getAttribute("state"), server().takeSent()];
        server().sends(heartbeat(both));
        return [...seen, status()[0]];
    }}""")

    assert got == ["stale", "stale", [], "live"]


def test_a_page_whose_server_is_behind_shows_how_old_it_is(page: Page) -> None:
    """`since` is when the oldest change that is not sequenced was committed."""
    got = page.evaluate(f"""() => {{
        {LIVE}
        pass(120_000);
        const seen = [];
        for (const behind_seconds of [undefined, 2, 61, 76, undefined]) {{
            server().sends(heartbeat(both, behind_seconds === undefined ? {{}} : {{ behind_seconds }}));
            seen.push([...status(), element.getAttribute("state")]);
            clock.advance(15_000);
        }}
        return seen;
    }}""")

    since = START + 135_000  # the last heartbeat without a delay to speak of; 2 s are subtracted
    live = ["live", None, "live", "live", "live"]
    behind = ["behind", since - 2_000, "behind", "behind as of 01:18", "behind"]
    assert got == [live, live, behind, behind, live]


def test_a_server_that_catches_up_slowly_moves_the_time_forward(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        for (let behind_seconds = 15; behind_seconds <= 300; behind_seconds += 15) {{
            clock.advance(15_000); server().sends(heartbeat(both, {{ behind_seconds }}));
        }}
        const seen = [realtime.status.since];
        for (const behind_seconds of [200, 150, 100]) {{
            server().sends(heartbeat(both, {{ behind_seconds }}));
            seen.push(realtime.status.since);
        }}
        return seen;
    }}""")

    assert got == [START, START + 100_000, START + 150_000, START + 200_000]


@pytest.mark.parametrize(
    "server",
    ["realtime.start();", "connect();", "connect().drops();"],
    ids=["no answer", "silent after its welcome", "gone after its welcome"],
)
def test_a_page_that_was_never_live_says_how_old_it_is(page: Page, server: str) -> None:
    """After a few seconds, by the time at which the page was loaded, and its rows do not look current."""
    got = page.evaluate(f"""() => {{
        const element = paint([tr("a")]);
        const badge = document.body.appendChild(document.createElement("live-status"));
        {server}
        clock.advance(4_900);
        const early = element.getAttribute("state");
        clock.advance(200);
        return [early, element.getAttribute("state"), realtime.status.since, badge.textContent.slice(-11)];
    }}""")

    assert got == ["loading", "stale", START, "as of 01:16"]


def test_the_first_seconds_of_a_page_do_not_show_a_time(page: Page) -> None:
    page.evaluate("() => { document.body.append(document.createElement('live-status')); paint([tr('a')]); }")
    badge = page.locator("live-status")

    page.evaluate("realtime.start()")
    expect(badge).to_have_text("connecting")
    page.evaluate("clock.advance(5_000)")
    expect(badge).to_have_text("connecting as of 01:16")
    page.evaluate("server().accepts().sends(changes(10, 10, []))")
    expect(badge).to_have_text("live")


def test_the_time_is_one_that_programs_can_read_and_has_the_day_if_it_is_another(page: Page) -> None:
    page.evaluate(f"() => {{ {LIVE} server().drops(); }}")
    time = page.locator("live-status time")

    expect(time).to_have_attribute("datetime", "1970-01-01T00:16:40.000Z")
    expect(time).to_have_text("01:16")
    page.evaluate("() => { clock.advance(86_400_000); fire('offline'); }")
    expect(time).to_have_text("1 Jan, 01:16")


def test_the_time_is_that_of_the_last_message_and_not_when_its_absence_was_noticed(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        clock.advance(15_000); server().sends(heartbeat(both));
        clock.advance(33_000);
        return [realtime.status.state, realtime.status.since];
    }}""")

    assert got == ["reconnecting", START + 15_000]


def test_scripts_are_told_of_each_state_once(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        const seen = [];
        realtime.on("status", ({{ state }}) => seen.push(state));
        server().sends(heartbeat(both)).sends(heartbeat(both));
        server().sends(refuse(4500)).sends(refuse(4500)).sends(heartbeat(both)).sends(heartbeat(both));
        return seen;
    }}""")

    assert got == ["stale", "live"]


def test_a_topic_of_a_script_counts(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        const followed = realtime.subscribe("v");
        const seen = [realtime.status.state];
        server().sends(snapshot(10, [row("a")], false, "v"));
        seen.push(realtime.status.state);
        server().sends(refuse(4403, "no", "v"));
        seen.push(realtime.status.state, followed.rows.size);
        followed.unsubscribe();
        return [...seen, realtime.status.state];
    }}""")

    assert got == ["connecting", "live", "refused", 0, "live"]


def test_rows_that_come_back_after_a_refusal_begin_with_a_snapshot(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        server().sends(refuse());
        server().sends(changes(10, 12, [upsert(html("secret"))]));
        const early = texts();
        clock.advance(5_000);
        return [early, server().takeSent()];
    }}""")

    assert got == [["row b"], [SUBSCRIBE]]
