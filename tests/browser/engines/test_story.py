"""The promises of the page client, from its first message to a page that returns, in each browser engine."""

import pytest

from tests.browser.proxy import STREAM, UPGRADE
from tests.browser.test_tabs import settles_at, write
from tests.browser.windows import DEPARTURES


def test_a_page_follows_the_database_and_resumes_after_a_drop(server, open_tab):
    """It is not loaded again; what was written while it had no server appears."""
    tab = open_tab(server.url + DEPARTURES)
    tab.until_live()
    tab.evaluate("(window.isTheSamePage = true)")
    write(server, "while connected")
    tab.until_shown("while connected")

    server.stop()
    tab.until("document.querySelector('live-status').dataset.state !== 'live'")
    write(server, "while disconnected")
    server.start()

    tab.until_shown("while disconnected")
    tab.until_live()
    assert tab.evaluate("window.isTheSamePage")


@pytest.mark.parametrize(
    ("refused", "swallowed", "transport"),
    [((UPGRADE,), (), "sse"), ((), (UPGRADE,), "sse"), ((UPGRADE,), (STREAM,), "poll")],
    ids=["refused", "swallowed", "streams swallowed"],
)
def test_a_page_without_websockets_is_live_by_another_transport(
    server, proxy, open_tab, refused, swallowed, transport
):
    proxy.refused, proxy.swallowed = refused, swallowed
    tab = open_tab(proxy.url + DEPARTURES)

    tab.until_live(transport)

    write(server, f"by {transport}")
    tab.until_shown(f"by {transport}")
    assert tab.evaluate("realtime.call('echo', {text: 'hi'})") == {"text": "hi"}


def test_tabs_share_a_connection_that_outlives_its_owner(server, open_tab):
    tabs = [open_tab(server.url + DEPARTURES) for _ in range(3)]
    for tab in tabs:
        tab.until_live()
    settles_at(server, 1)

    tabs.pop(0).close()
    write(server, "after the owner")

    for tab in tabs:
        tab.until_shown("after the owner")
        tab.until_live()
    settles_at(server, 1)


def test_a_page_that_comes_back_by_the_back_button_shows_what_it_missed(server, engine, open_tab):
    """Whether the browser has kept it or loads it anew."""
    tab, other = open_tab(server.url + DEPARTURES), open_tab(server.url + DEPARTURES)
    tab.until_live()
    tab.evaluate("(window.isTheSamePage = true)")
    tab.open(f"{server.url}/admin/login/")
    write(server, "while away")
    other.until_shown("while away")

    tab.back()

    tab.until_shown("while away")
    tab.until_live()
    other.until_live()
    print(f"{engine.name} has kept the page: {tab.evaluate('window.isTheSamePage') is True}")


@pytest.fixture
def scripted(site, open_tab):
    """A page whose server is the test's, with a row that a visitor has worked in."""
    tab = open_tab(f"{site}/fakes/page.html")
    tab.until("document.documentElement.dataset.ready === ''")
    return tab


ROW = "<input><textarea></textarea><details><summary>s</summary>d</details><video loop></video><b>{}</b>"


def test_what_a_visitor_has_done_in_a_row_survives_its_change(scripted):
    """Typed text, the cursor in it, an open element, and the elements themselves, in a table."""
    old, new = ROW.format("old"), ROW.format("new")
    scripted.evaluate(
        f"""void (paint([tr("a", "a", `{old}`), tr("b")]), connect(),
            window.find = (selector) => document.querySelector(`[data-key=a] ${{selector}}`),
            find("details").open = true, window.video = find("video"), find("input").focus())"""
    )
    scripted.type("typed")
    scripted.evaluate("void find('input').setSelectionRange(1, 3)")

    scripted.evaluate(f'void server().sends(changes(10, 11, [upsert(html("a", "z", `{new}`))]))')

    scripted.until(
        "find('b').textContent === 'new' && document.querySelector('[data-key=b]').nextSibling.dataset.key === 'a'"
    )
    assert scripted.evaluate(
        """[find("input").value, document.activeElement === find("input"), find("input").selectionStart,
            find("input").selectionEnd, find("details").open, find("video") === video]"""
    ) == ["typed", True, 1, 3, True, True]
    scripted.type("X")
    assert scripted.evaluate("find('input').value") == "tXed"


HOSTS = {
    "a body of a table": ("tbody", "table", "tr", "<td>"),
    "a list": ("ol", "div", "li", "<b>"),
    "options": ("select", "form", "option", ""),
    "a picture": ("g", "svg", "text", "<tspan>"),
}


@pytest.mark.parametrize(("tag", "around", "row", "cell"), HOSTS.values(), ids=HOSTS.keys())
def test_rows_stand_in_any_element_that_names_their_topic(scripted, tag, around, row, cell):
    """Where HTML allows no element of ours; browsers differ most in what they do with markup there."""
    scripted.evaluate(
        f"""void (window.made = (key, text) =>
            `<{row} data-key="${{key}}" data-order="${{key}}">{cell}${{text}}</{row}>`)"""
    )
    scripted.evaluate(
        f"""void (document.body.insertAdjacentHTML("beforeend", `<{around}><{tag} data-realtime-topic="t"
                data-realtime-position="e.10" data-realtime-rows="2">` +
                `${{made("a", 1)}}${{made("b", 2)}}</{tag}></{around}>`), connect())"""
    )
    scripted.until("server().takeSent().length > 0")

    scripted.evaluate(
        """void server().sends(changes(10, 11, [upsert({ key: "a", order: "z", html: made("a", 3) }),
            upsert({ key: "c", order: "c", html: made("c", 4) }), remove("nothing")]))"""
    )

    scripted.until("document.querySelector('[data-realtime-topic]').textContent === '243'")
    assert scripted.evaluate(
        """((host) => [host.getAttribute("data-realtime-position"), host.children.length,
            [...host.children].every((row) => row.namespaceURI === host.namespaceURI)])
            (document.querySelector("[data-realtime-topic]"))"""
    ) == ["e.11", 3, True]
