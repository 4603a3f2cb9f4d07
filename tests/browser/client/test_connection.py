"""When the page reconnects, and when it stops."""

import pytest
from playwright.sync_api import Page

from tests.browser.client import SUBSCRIBE


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 4500, 4508, 4512, 4999])
def test_the_page_reconnects_and_resumes(page: Page, code: int) -> None:
    got = page.evaluate(
        """(code) => {
            paint([tr("a")]); connect().sends(changes(10, 12, [])).drops(code, "why");
            const { state, willRetry } = realtime.status, wait = clock.waits[0];
            clock.advance(wait);
            server().accepts();
            const sent = server().takeSent(), asked = realtime.status.state;
            server().sends(changes(12, 12, []));
            return [state, willRetry, asked, realtime.status.state, wait, FakeSocket.all.length, sent];
        }""",
        code,
    )

    # The first wait is even over [0, 500); the tests' random number is always a half.
    assert got == ["reconnecting", True, "stale", "live", 250, 2, [SUBSCRIBE | {"position": "e.12"}]]


@pytest.mark.parametrize("code", [4400, 4403, 4404, 4499])
def test_a_final_code_stops_the_page(page: Page, code: int) -> None:
    got = page.evaluate(
        """(code) => {
            connect().drops(code, "because");
            fire("online"); fire("visibilitychange"); clock.advance(100_000);
            return [realtime.status, FakeSocket.all.length];
        }""",
        code,
    )

    status = {
        "state": "stopped",
        "code": code,
        "reason": "because",
        "willRetry": False,
        "attempt": 0,
        "transport": None,
        "since": 1_000_000,
        "topics": {},
    }
    assert got == [status, 1]


def test_the_delay_and_the_code_of_a_bye_take_precedence(page: Page) -> None:
    """Even if the connection is then lost without its close code."""
    got = page.evaluate("""() => {
        connect().sends({ type: "bye", code: 4512, reason: "draining", retry_after_seconds: 3 }).drops(1006);
        const seen = [realtime.status.code, realtime.status.reason, clock.waits[0]];
        fire("online");
        return [...seen, clock.waits[0] >= 3000, FakeSocket.all.length];
    }""")

    assert got == [4512, "draining", 3250, True, 1]


def test_the_page_closes_a_connection_that_stays_open_after_a_bye(page: Page) -> None:
    got = page.evaluate("""() => {
        const first = connect().sends({ type: "bye", code: 4512, reason: "draining" });
        clock.advance(5000);
        return [first.closedWith, FakeSocket.all.length];
    }""")

    assert got == [1000, 2]


def test_the_backoff_is_bounded_and_starts_at_zero(page: Page) -> None:
    got = page.evaluate("() => [0, 1, 2, 5, 6, 50, 5000].map((n) => [delay(n, () => 0), delay(n, () => 1)])")

    assert got == [[0, 500], [0, 1000], [0, 2000], [0, 16000], [0, 20000], [0, 20000], [0, 20000]]


def test_only_a_heartbeat_resets_the_backoff(page: Page) -> None:
    """Otherwise a page would reconnect at once, forever, to a server that accepts and then fails."""
    got = page.evaluate("""() => {
        const waits = [];
        connect().drops();
        for (const live of [false, false, true, false]) {
            waits.push(clock.waits[0]);
            clock.advance(clock.waits[0]);
            server().accepts();
            if (live) server().sends(heartbeat());
            server().drops();
        }
        return [...waits, clock.waits[0]];
    }""")

    assert got == [250, 500, 1000, 250, 500]


def test_the_page_reconnects_after_two_heartbeats_without_a_message(page: Page) -> None:
    got = page.evaluate("""() => {
        const first = connect();
        clock.advance(20_000); first.sends(heartbeat());
        clock.advance(31_900);
        const before = [first.closedWith, FakeSocket.all.length];
        clock.advance(200);
        const after = [first.closedWith, realtime.status.state];
        clock.advance(1000);
        return [before, after, FakeSocket.all.length];
    }""")

    assert got == [[None, 1], [1000, "reconnecting"], 2]


def test_the_page_closes_a_connection_without_a_greeting(page: Page) -> None:
    page.evaluate("() => { realtime.start(); clock.advance(16_000); }")

    assert page.evaluate("FakeSocket.all.length") == 2


def test_a_page_that_slept_pings_before_it_reconnects(page: Page) -> None:
    got = page.evaluate("""() => {
        connect().takeSent();
        clock.sleep(3_600_000);
        const asked = server().takeSent();
        server().sends(heartbeat());
        clock.advance(10_000);
        return [asked, FakeSocket.all.length, realtime.status.state];
    }""")

    assert got == [[{"type": "ping"}], 1, "live"]


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1012])
def test_a_page_whose_connection_is_ended_after_a_day_resumes(page: Page, code: int) -> None:
    """Servers and proxies end old connections: daphne after 24 hours, as a normal end."""
    got = page.evaluate(
        """(code) => {
            paint([tr("a")]);
            const first = connect().sends(changes(10, 12, []));
            for (let passed = 0; passed < 24 * 3_600_000; passed += 15_000) {
                clock.advance(15_000); first.sends(heartbeat({ t: "e.12" }));
            }
            const state = realtime.status.state, sockets = FakeSocket.all.length;
            first.drops(code); clock.advance(clock.waits[0]); server().accepts();
            return [state, sockets, FakeSocket.all.length, server().takeSent()];
        }""",
        code,
    )

    assert got == ["live", 1, 2, [SUBSCRIBE | {"position": "e.12"}]]


def test_messages_of_an_abandoned_socket_are_ignored(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const old = connect();
        clock.advance(33_000); server().accepts().sends(changes(10, 10, []));
        old.readyState = 1;
        old.sends(changes(10, 11, [remove("a")])).drops(4403);
        return [texts(), realtime.status.state, FakeSocket.all.length];
    }""")

    assert got == [["row a"], "live", 2]


def test_the_page_reconnects_and_resumes_after_an_unreadable_message(page: Page, errors: list[str]) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const first = connect();
        first.sends('{"type": "chan').sends("null");
        clock.advance(500);
        return [first.closedWith, server().accepts().takeSent()];
    }""")

    assert got == [1000, [SUBSCRIBE | {"position": "e.10"}]]
    assert len(errors) == 1
    assert "cannot read" in errors.pop()


@pytest.mark.parametrize("event", ["online", "visibilitychange"])
def test_a_page_that_wakes_up_reconnects_at_once(page: Page, event: str) -> None:
    got = page.evaluate(
        """(event) => {
            connect();
            for (let n = 0; n < 8; n++) { server().drops(); if (n < 7) clock.advance(clock.waits[0]); }
            const before = clock.waits[0];
            fire(event);
            return [before, clock.waits];
        }""",
        event,
    )

    assert got == [10_000, [150]]


@pytest.mark.parametrize(("answers", "sockets"), [(True, 1), (False, 2)])
def test_a_page_that_wakes_up_pings_and_reconnects_without_an_answer(
    page: Page, answers: bool, sockets: int
) -> None:
    got = page.evaluate(
        """(answers) => {
            connect().takeSent(); fire("visibilitychange");
            const asked = server().takeSent();
            if (answers) server().sends(heartbeat());
            clock.advance(5000);
            return [asked, FakeSocket.all.length];
        }""",
        answers,
    )

    assert got == [[{"type": "ping"}], sockets]


def test_a_page_that_becomes_hidden_does_not_ping(page: Page) -> None:
    got = page.evaluate("""() => {
        connect().takeSent(); target.document.visibilityState = "hidden"; fire("visibilitychange");
        return server().takeSent();
    }""")

    assert got == []


def test_a_page_from_the_back_forward_cache_resumes(page: Page) -> None:
    got = page.evaluate("""() => {
        paint([tr("a")]);
        const first = connect().sends(changes(10, 12, []));
        fire("pagehide", { persisted: true });
        clock.advance(100_000);
        const left = [first.closedWith, FakeSocket.all.length];
        fire("pageshow", { persisted: true }); clock.advance(300);
        return [left, server().accepts().takeSent()];
    }""")

    assert got == [[1000, 1], [SUBSCRIBE | {"position": "e.12"}]]


def test_a_stopped_page_restored_from_the_cache_reconnects(page: Page) -> None:
    """The reader may have signed in meanwhile; restoring a page is equivalent to loading it."""
    got = page.evaluate("""() => {
        connect().drops(4403);
        fire("pagehide", { persisted: true }); fire("pageshow", { persisted: true }); clock.advance(300);
        return FakeSocket.all.length;
    }""")

    assert got == 2


@pytest.mark.parametrize(
    ("answer", "state"),
    [("true", "reconnecting"), ("false", "stopped"), ("Promise.reject(new Error())", "reconnecting")],
    ids=["page still readable", "sign-in required", "no answer"],
)
def test_after_signed_out_the_page_is_checked_over_http(page: Page, answer: str, state: str) -> None:
    page.evaluate(f"() => {{ world.pageAnswers = async () => {answer}; connect().drops(4401); }}")

    page.wait_for_function("realtime.status.state === 'stopped' || clock.waits.length > 0")
    assert page.evaluate("realtime.status.state") == state
    assert page.evaluate("[world.pageChecks, realtime.status.code]") == [1, 4401]


def test_a_late_answer_over_http_is_ignored(page: Page) -> None:
    """The page has reconnected meanwhile."""
    page.evaluate("""async () => {
        let answer;
        world.pageAnswers = () => new Promise((resolve) => (answer = resolve));
        connect().drops(4401);
        fire("visibilitychange"); clock.advance(300); server().accepts();
        answer(false);
        await new Promise((resolve) => setTimeout(resolve));
    }""")

    assert page.evaluate("[realtime.status.state, FakeSocket.all.length]") == ["live", 2]


def test_after_signed_out_twice_the_page_stops(page: Page) -> None:
    page.evaluate("() => { connect().drops(4401); }")
    page.wait_for_function("clock.waits.length > 0")

    page.evaluate("() => { clock.advance(1000); server().accepts().drops(4401); }")

    assert page.evaluate("[realtime.status.state, world.pageChecks]") == ["stopped", 1]
