"""Rows where HTML does not allow them are refused with words, in the page and in the console."""

import pytest
from playwright.sync_api import Page, expect

TOPIC = '<live-topic topic="t" position="e.10" rows="{count}">{rows}</live-topic>'
ROW = '<{tag} data-key="{key}" data-order="{key}" data-digest="1">row {key}</{tag}>'
ADD = """async (html) => {
    connect();
    const page = await fetch(location.href); // parsed as a page is, not as a fragment
    document.body.append(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
    return FakeSocket.last.takeSent();
}"""


def topic(tag: str, keys: str = "ab") -> str:
    rows = "\n".join(ROW.format(tag=tag, key=key) for key in keys)
    return TOPIC.format(count=len(keys), rows=rows)


MISPLACED = {
    "in a tbody": f"<table><tbody>{topic('tr')}</tbody></table>",
    "in a table": f"<table>{topic('tr')}</table>",
    "in a table with a head": f"<table><thead><tr><th>x</th></tr></thead>{topic('tr')}</table>",
    "cells in a row": f"<table><tr>{topic('td')}</tr></table>",
    "blocks in a paragraph": f"<p>{topic('div')}</p>",
    "a list in a paragraph": f"<p>{topic('ul')}</p>",
    "marked on the table": "<live-topic topic='t' position='e.10' rows='1'><table data-rows>"
    "<tr data-key='a' data-order='a'><td>a</td></tr></table></live-topic>",
    "blocks marked in a tbody": "<live-topic topic='t' position='e.10' rows='1'><table><tbody data-rows>"
    "<div data-key='a' data-order='a'>a</div></tbody></table></live-topic>",
}


@pytest.mark.parametrize("html", MISPLACED.values(), ids=MISPLACED.keys())
def test_an_element_whose_rows_the_parser_moved_out_says_so(page: Page, errors: list[str], html: str) -> None:
    page.evaluate("() => document.body.append(document.createElement('live-status'))")
    asked = page.evaluate(ADD, html)

    element = page.locator("live-topic").first
    expect(element).to_have_attribute("state", "misplaced")
    expect(element.get_by_role("status")).to_contain_text("do not follow later changes")
    expect(page.locator("live-status")).to_have_text("not live as of 01:16")
    assert page.evaluate("realtime.status.topics.t.state") == "misplaced"
    assert asked == []
    assert len(errors) == 1
    assert "rows of t are not live" in errors[0]
    assert "data-rows" in errors.pop()


PLACED = {
    "a list": f"<ul>{topic('li')}</ul>",
    "a block": f"<div>{topic('div')}</div>",
    "phrases in a paragraph": f"<p>{topic('span')}</p>",
    "a template with a table": "<live-topic topic='t' position='e.10' rows='1'><table><tbody data-rows>"
    "<tr data-key='a' data-order='a'><td>a</td></tr></tbody></table></live-topic>",
    "a template with a select": "<live-topic topic='t' position='e.10' rows='1'><select data-rows>"
    "<option data-key='a' data-order='a'>a</option></select></live-topic>",
    "no rows": TOPIC.format(count=0, rows=""),
    "an older server": TOPIC.format(count=2, rows="").replace(' rows="2"', ""),
}


@pytest.mark.parametrize("html", PLACED.values(), ids=PLACED.keys())
def test_rows_in_their_place_are_followed(page: Page, html: str) -> None:
    asked = page.evaluate(ADD, html)
    page.evaluate("server().sends(changes(10, 10, []))")

    expect(page.locator("live-topic")).to_have_attribute("state", "live")
    assert [each["topic"] for each in asked] == ["t"]


@pytest.mark.parametrize(("tag", "advice"), [("tr", "<tbody"), ("td", "<tr"), ("option", "<select")])
def test_a_table_without_rows_is_found_out_by_its_first_row(
    page: Page, errors: list[str], tag: str, advice: str
) -> None:
    page.evaluate(ADD, f"<table><tbody>{topic('tr', '')}</tbody></table>")

    page.evaluate(
        """(html) => {
            server().sends(changes(10, 10, [])).takeSent();
            server().sends(changes(10, 11, [upsert({ key: "a", order: "a", html })]));
        }""",
        f"<{tag}>x</{tag}>",
    )

    expect(page.locator("live-topic")).to_have_attribute("state", "misplaced")
    expect(page.locator("live-topic > :not(p)")).to_have_count(0)
    assert page.evaluate("[realtime.status.state, server().takeSent().map(({ type }) => type)]") == [
        "misplaced",
        ["unsubscribe"],
    ]
    assert len(errors) == 1
    assert advice in errors.pop()


@pytest.mark.parametrize("has_element", [True, False], ids=["kept by the parser", "dropped by the parser"])
def test_rows_in_a_select_are_refused_with_words(page: Page, errors: list[str], has_element: bool) -> None:
    """Browsers differ: some parse the element, older ones drop it and keep the options."""
    rows = topic("option") if has_element else ROW.format(tag="option", key="a")
    page.evaluate(
        """(rows) => {
            connect();
            const select = document.createElement("select");
            select.name = "port";
            document.body.append(select);
            const template = document.createElement("template");
            template.innerHTML = rows;
            select.append(template.content);
            reportSelects();
        }""",
        rows,
    )

    assert page.evaluate("realtime.status.state") == "misplaced"
    assert "select" in errors.pop()
    assert errors == []
    if not has_element:
        expect(page.get_by_text("do not follow later changes")).to_be_visible()


def test_a_misplaced_element_that_is_moved_does_not_pretend(page: Page, errors: list[str]) -> None:
    page.evaluate(ADD, MISPLACED["in a tbody"])

    state = page.evaluate("""async () => {
        const element = document.querySelector("live-topic");
        element.remove();
        await new Promise((resolve) => setTimeout(resolve));
        const without = realtime.status.state;
        document.body.append(element);
        return [without, element.getAttribute("state"), realtime.status.state, server().takeSent()];
    }""")

    assert state == ["live", "misplaced", "misplaced", []]
    errors.clear()


def test_an_element_all_of_whose_rows_were_deleted_is_in_its_place_when_it_returns(page: Page) -> None:
    page.evaluate(ADD, PLACED["a list"])

    got = page.evaluate("""async () => {
        const element = document.querySelector("live-topic");
        server().sends(changes(10, 11, [remove("a"), remove("b")]));
        const parent = element.parentElement;
        element.remove();
        await new Promise((resolve) => setTimeout(resolve));
        parent.append(element.cloneNode(true));
        server().sends(changes(11, 11, []));
        return parent.firstElementChild.getAttribute("state");
    }""")

    assert got == "live"


TWO_ROOTS = "<li data-key='{0}' data-order='{0}'>{0}</li><li>more of {0}</li>"


def test_rows_with_two_root_elements_show_the_first_and_say_so(page: Page, errors: list[str]) -> None:
    """When the page is loaded and later alike, so that nothing of a deleted row stays."""
    page.evaluate(
        ADD, "<ul>" + TOPIC.format(count=2, rows=TWO_ROOTS.format("a") + TWO_ROOTS.format("b")) + "</ul>"
    )

    got = page.evaluate(
        """(html) => {
            const shown = () => [...document.querySelectorAll("li")].map((element) => element.textContent);
            const first = shown();
            server().sends(changes(10, 11, [upsert({ key: "c", order: "c", html }), remove("a")]));
            return [first, shown()];
        }""",
        TWO_ROOTS.format("c"),
    )

    assert got == [["a", "b"], ["b", "c"]]
    assert len(errors) == 1
    assert "each row of t has 2 root elements" in errors[0]
    assert "template_name" in errors.pop()


@pytest.mark.parametrize("op", ["changes", "snapshot"])
def test_a_single_row_with_two_root_elements_is_found_out_by_its_first_change(
    page: Page, errors: list[str], op: str
) -> None:
    page.evaluate(ADD, "<ul>" + TOPIC.format(count=1, rows=TWO_ROOTS.format("a")) + "</ul>")

    got = page.evaluate(
        """([html, op]) => {
            const before = document.querySelectorAll("li").length;
            const row = { key: "a", order: "a", html };
            server().sends(op === "changes" ? changes(10, 11, [upsert(row)]) : snapshot(11, [row]));
            return [before, [...document.querySelectorAll("li")].map((element) => element.textContent)];
        }""",
        [TWO_ROOTS.format("a").replace(">a<", ">new<"), op],
    )

    assert got == [2, ["new"]]
    assert "root elements" in errors.pop()


def test_elements_of_the_page_between_rows_are_left_alone(page: Page) -> None:
    """A heading in the container, and one after some of the rows, is not the template's."""
    page.evaluate(
        ADD,
        "<live-topic topic='t' position='e.10' rows='3'><ul data-rows><li>heading</li>"
        + "".join(f"<li data-key='{key}' data-order='{key}'>{key}</li>" for key in "abc")
        + "<li>footer</li></ul></live-topic>",
    )

    page.evaluate("server().sends(changes(10, 11, [remove('a'), remove('b'), remove('c')]))")

    expect(page.locator("li")).to_have_text(["heading", "footer"])


HOSTS = {
    "a table": ("tbody", "table", "tr", "<td>"),
    "a list": ("ul", "div", "li", ""),
    "a select": ("select", "label", "option", ""),
    "a group of options": ("optgroup", "select", "option", ""),
    "a picture": ("g", "svg", "text", ""),
}


@pytest.mark.parametrize(("tag", "around", "row", "cell"), HOSTS.values(), ids=HOSTS.keys())
def test_rows_may_stand_in_any_element_that_names_their_topic(
    page: Page, tag: str, around: str, row: str, cell: str
) -> None:
    """Where HTML allows no `<live-topic>`; the rows keep their elements, also when they move."""
    got = page.evaluate(
        """([tag, around, row, cell]) => {
            const html = (key, text) => `<${row} data-key="${key}" data-order="${key}">${cell}${text}</${row}>`;
            document.body.insertAdjacentHTML("beforeend", `<${around}><${tag} data-realtime-topic="t" ` +
                `data-realtime-position="e.10" data-realtime-rows="2">` +
                `${html("a", 1)}${html("b", 1)}</${tag}></${around}>`);
            connect();
            const host = document.querySelector("[data-realtime-topic]"), before = host.firstElementChild;
            return new Promise((resolve) => setTimeout(() => {
                server().sends(changes(10, 11, [upsert({ key: "a", order: "z", html: html("a", 2) }),
                    upsert({ key: "c", order: "c", html: html("c", 3) }), remove("nothing")]));
                resolve([host.textContent, host.lastElementChild === before, [...host.attributes].map((e) => e.name),
                    host.getAttribute("data-realtime-position"),
                    host.firstElementChild.namespaceURI === host.namespaceURI]);
            }));
        }""",
        [tag, around, row, cell],
    )

    names = ["data-realtime-topic", "data-realtime-position", "data-realtime-state"]
    assert got == ["132", True, names, "e.11", True]


def test_rows_in_a_table_that_are_refused_are_removed_and_the_words_stand_after_it(page: Page) -> None:
    page.evaluate("""() => {
        document.body.insertAdjacentHTML("beforeend",
            `<table><tbody data-realtime-topic="t" data-realtime-position="e.10">${tr("a")}</tbody></table>`);
        connect();
    }""")
    page.wait_for_function("() => document.querySelector('[data-realtime-state]')")
    page.evaluate("() => { server().sends(refuse(4403, 'not yours')); }")

    expect(page.locator("tbody > *")).to_have_count(0)
    expect(page.locator("table + .realtime-refused")).to_have_text("not yours")
    page.evaluate("() => { server().sends(snapshot(12, [html('a')])); }")
    expect(page.locator(".realtime-refused")).to_have_count(0)
    expect(page.locator("tbody > tr")).to_have_count(1)
