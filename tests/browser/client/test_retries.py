"""Topics that the server has refused or could not read are requested again."""

import pytest
from playwright.sync_api import Page

from tests.browser.client import SUBSCRIBE

LIVE = "const element = paint([tr('a')]); connect().sends(changes(10, 10, [])).takeSent();"


@pytest.mark.parametrize("code", [4401, 4403, 4404, 4500, 4529])
def test_a_topic_without_service_is_asked_for_ever_more_rarely(page: Page, code: int) -> None:
    """Until it is served; then the waits begin anew."""
    got = page.evaluate(
        f"""(code) => {{
            {LIVE}
            const asked = [];
            const wait = () => {{
                for (let ms = 0; ms < 100_000; ms += 250) {{
                    if (server().takeSent().some(({{ type }}) => type === "subscribe")) return ms / 1000;
                    clock.advance(250);
                    if (ms % 15_000 === 0) server().sends(heartbeat());
                }}
            }};
            for (let n = 0; n < 6; n++) {{ server().sends(refuse(code)); asked.push(wait()); }}
            server().sends(snapshot(11, [html("b")]));
            const back = [element.getAttribute("state"), texts()];
            server().sends(refuse(code));
            return [asked, back, wait()];
        }}""",
        code,
    )

    waits, back, first = got
    # The tests' random number is a half, so each wait is three quarters of its bound. Two heartbeats without the topic
    # make the page ask for one that was not refused.
    assert waits[:3] == [3.75, 7.5, 15] or code >= 4500
    assert max(waits) <= 45
    assert first == 3.75
    assert back == ["live", ["row b"]]


def test_a_refused_topic_is_asked_for_when_the_page_is_shown_again(page: Page) -> None:
    got = page.evaluate(f"""() => {{
        {LIVE}
        server().sends(refuse());
        target.document.visibilityState = "hidden"; fire("visibilitychange");
        const hidden = server().takeSent();
        target.document.visibilityState = "visible"; fire("visibilitychange");
        const shown = server().takeSent().filter(({{ type }}) => type === "subscribe");
        server().sends(snapshot(11, [html("a")]));
        fire("visibilitychange");
        const live = server().takeSent().filter(({{ type }}) => type === "subscribe");
        return [hidden, shown, texts(), live];
    }}""")

    assert got == [[], [SUBSCRIBE], ["row a"], []]


def test_a_topic_that_does_not_exist_in_this_form_is_not_asked_for(page: Page) -> None:
    """4400 is a mistake of the page, which does not mend itself."""
    got = page.evaluate(f"""() => {{
        {LIVE}
        server().sends(refuse(4400));
        for (let n = 0; n < 20; n++) {{ clock.advance(15_000); server().sends(heartbeat()); }}
        fire("visibilitychange");
        return server().takeSent().filter(({{ type }}) => type === "subscribe");
    }}""")

    assert got == []


def test_nothing_is_asked_while_there_is_no_connection_or_no_follower(page: Page) -> None:
    got = page.evaluate("""async () => {
        const element = paint([tr("a")]); connect().sends(refuse());
        const script = realtime.subscribe("v"); server().sends(refuse(4403, "no", "v")).takeSent();
        script.unsubscribe();
        element.remove();
        await new Promise((resolve) => setTimeout(resolve));
        const first = server();
        clock.advance(14_000);
        const sent = first.takeSent();
        paint([tr("a")], "e.10", "w"); first.sends(refuse(4403, "no", "w")).takeSent(); first.drops();
        clock.advance(100);
        return [sent.map(({ type, topic }) => [type, topic]), first.takeSent(), clock.waits.length];
    }""")

    assert got == [[["unsubscribe", "v"], ["unsubscribe", "t"]], [], 1]
