"""A changed row keeps its element, and all that a user or a script has done inside it."""

import pytest
from playwright.sync_api import Page, expect

# `row(inner)` paints a row, `becomes(inner)` is a change of it; `cell()` is where both stand.
HELPERS = """() => {
    let position = 10;
    window.row = (inner) => { paint([tr("a", "a", inner), tr("b")]); connect(); };
    window.becomes = (inner, order = "a") =>
        server().sends(changes(position, ++position, [upsert(html("a", order, inner))]));
    window.cell = () => document.querySelector("[data-key=a] td");
    window.find = (selector) => cell().querySelector(selector);
}"""


@pytest.fixture
def row(page: Page) -> Page:
    page.evaluate(HELPERS)
    return page


# What is painted, what is done to it, what it becomes, and what must be true then.
SURVIVES = {
    "typed text": (
        "<input value=1> <b>old</b>",
        "find('input').value = 'typed'",
        "<input value=1> <b>new</b>",
        "find('input').value === 'typed'",
    ),
    "typed text of a text area": (
        "<textarea>1</textarea> <b>old</b>",
        "find('textarea').value = 'typed'",
        "<textarea>1</textarea> <b>new</b>",
        "find('textarea').value === 'typed'",
    ),
    "typed text where other attributes change": (
        "<input value=1 class=a> <b>old</b>",
        "find('input').value = 'typed'",
        "<input value=1 class=b max=9> <b>new</b>",
        "find('input').value === 'typed' && find('input').className === 'b'",
    ),
    "a checked box": (
        "<input type=checkbox> <b>old</b>",
        "find('input').checked = true",
        "<input type=checkbox> <b>new</b>",
        "find('input').checked",
    ),
    "a chosen radio button": (
        "<input type=radio name=r value=1 checked><input type=radio name=r value=2> <b>old</b>",
        "find('[value=\"2\"]').checked = true",
        "<input type=radio name=r value=1 checked><input type=radio name=r value=2> <b>new</b>",
        "find('[value=\"2\"]').checked && !find('[value=\"1\"]').checked",
    ),
    "a chosen option": (
        "<select><option>x<option>y</select> <b>old</b>",
        "find('select').value = 'y'",
        "<select><option>x<option>y</select> <b>new</b>",
        "find('select').value === 'y'",
    ),
    "a chosen option of a list that grows": (
        "<select><option>x<option>y</select> <b>old</b>",
        "find('select').value = 'y'",
        "<select><option>w<option>x<option>y</select> <b>new</b>",
        "find('select').value === 'y' && find('select').options.length === 3",
    ),
    "open details": (
        "<details><summary>s</summary>old</details> <b>old</b>",
        "find('details').open = true",
        "<details><summary>s</summary>new</details> <b>new</b>",
        "find('details').open && find('details').textContent === 'snew'",
    ),
    "an open dialog": (
        "<dialog>old</dialog> <b>old</b>",
        "find('dialog').showModal()",
        "<dialog>new</dialog> <b>new</b>",
        "find('dialog').open && find('dialog').textContent === 'new'",
    ),
    "the focus and the caret": (
        "<input value=abcdef> <b>old</b>",
        "find('input').focus(); find('input').setSelectionRange(2, 4)",
        "<input value=abcdef> <b>new</b>",
        "document.activeElement === find('input') && find('input').selectionStart === 2"
        " && find('input').selectionEnd === 4",
    ),
    "the selection": (
        "<i>stay</i> <b>old</b>",
        "getSelection().selectAllChildren(find('i'))",
        "<i>stay</i> <b>new</b>",
        "getSelection().toString() === 'stay'",
    ),
    "the scroll position": (
        "<div style='height:20px;overflow:auto'><p style='height:500px'>tall</p></div> <b>old</b>",
        "find('div').scrollTop = 77",
        "<div style='height:20px;overflow:auto'><p style='height:500px'>tall</p></div> <b>new</b>",
        "find('div').scrollTop === 77",
    ),
    "attributes and classes of scripts": (
        "<i class='a b'>x</i> <b>old</b>",
        "find('i').classList.add('script'); find('i').setAttribute('aria-busy', 'true')",
        "<i class='a c' title=t>x</i> <b>new</b>",
        "find('i').className === 'a script c' && find('i').ariaBusy === 'true' && find('i').title === 't'",
    ),
    "elements of scripts": (
        "<ul><li>1</li></ul> <b>old</b>",
        "find('ul').insertAdjacentHTML('afterbegin', '<li id=mine>script</li>')",
        "<ul><li>1</li><li>2</li></ul> <b>new</b>",
        "find('ul').textContent === 'script12'",
    ),
    "what a script has removed": (
        "<i>advertisement</i> <b>old</b>",
        "find('i').remove()",
        "<i>advertisement</i> <b>new</b>",
        "find('i') === null",
    ),
    "what is marked to be kept": (
        "<i data-realtime-keep>old</i> <b>old</b>",
        "find('i').textContent = 'mine'",
        "<i data-realtime-keep class=x>new</i> <b>new</b>",
        "find('i').textContent === 'mine' && find('i').className === ''",
    ),
    "an attached shadow root": (
        "<span>x</span> <b>old</b>",
        "find('span').attachShadow({ mode: 'open' }).textContent = 'shadow'",
        "<span>y</span> <b>new</b>",
        "find('span').shadowRoot.textContent === 'shadow' && find('span').textContent === 'y'",
    ),
    "a day": (
        "<input type=date value=2026-01-01> <b>old</b>",
        "find('input').value = '2026-02-03'",
        "<input type=date value=2026-01-01 class=c> <b>new</b>",
        "find('input').value === '2026-02-03'",
    ),
    "a slider": (
        "<input type=range> <b>old</b>",
        "find('input').value = '30'",
        "<input type=range class=c> <b>new</b>",
        "find('input').value === '30'",
    ),
    "a colour": (
        "<input type=color> <b>old</b>",
        "find('input').value = '#123456'",
        "<input type=color class=c> <b>new</b>",
        "find('input').value === '#123456'",
    ),
    "several chosen options": (
        "<select multiple><option>x<option selected>y<option>z</select> <b>old</b>",
        "find('select').options[0].selected = true",
        "<select multiple><option>w<option>x<option selected>y<option>z</select> <b>new</b>",
        "[...find('select').selectedOptions].map((each) => each.value).join('') === 'xy'",
    ),
    "a half-checked box": (
        "<input type=checkbox> <b>old</b>",
        "find('input').indeterminate = true",
        "<input type=checkbox class=c> <b>new</b>",
        "find('input').indeterminate",
    ),
    "chosen files": (
        "<input type=file> <b>old</b>",
        "const data = new DataTransfer(); data.items.add(new File(['x'], 'x.txt')); find('input').files = data.files",
        "<input type=file accept=.txt> <b>new</b>",
        "find('input').files[0].name === 'x.txt' && find('input').accept === '.txt'",
    ),
    "text in an editable element": (
        "<p contenteditable>old</p> <b>old</b>",
        "find('p').innerHTML = 'mine<br>two'",
        "<p contenteditable class=c>old</p> <b>new</b>",
        "find('p').innerHTML === 'mine<br>two' && find('p').className === 'c'",
    ),
    "an open popover": (
        "<div popover>old</div> <b>old</b>",
        "find('div').showPopover()",
        "<div popover>new</div> <b>new</b>",
        "find('div').matches(':popover-open') && find('div').textContent === 'new'",
    ),
    "a drawing": (
        "<canvas width=4 height=4></canvas> <b>old</b>",
        "find('canvas').getContext('2d').fillRect(0, 0, 4, 4)",
        "<canvas width=4 height=4 class=c></canvas> <b>new</b>",
        "find('canvas').getContext('2d').getImageData(1, 1, 1, 1).data[3] === 255",
    ),
    "a frame": (
        "<iframe srcdoc=x></iframe> <b>old</b>",
        "find('iframe').contentWindow.mine = 1",
        "<iframe srcdoc=x class=c></iframe> <b>new</b>",
        "find('iframe').contentWindow.mine === 1",
    ),
    "the size of a text area that its user has drawn": (
        "<textarea style='color: red'>1</textarea> <b>old</b>",
        "find('textarea').style.height = '222px'",
        "<textarea style='color: blue; margin: 0px'>1</textarea> <b>new</b>",
        "find('textarea').style.height === '222px' && find('textarea').style.color === 'blue'"
        " && find('textarea').style.marginTop === '0px'",
    ),
    "a style that a script has removed": (
        "<i style='color: red; top: 1px'>x</i> <b>old</b>",
        "find('i').style.removeProperty('top')",
        "<i style='top: 1px'>x</i> <b>new</b>",
        "find('i').style.top === '' && find('i').style.color === ''",
    ),
    "an animation": (
        "<i>x</i> <b>old</b>",
        "window.animation = find('i').animate([{ opacity: 0 }, { opacity: 1 }], 100000)",
        "<i class=c>y</i> <b>new</b>",
        "animation.playState === 'running' && find('i').getAnimations().length === 1",
    ),
    "the state of an element with a class of its own": (
        "<x-clicks count=1>x</x-clicks> <b>old</b>",
        "customElements.get('x-clicks') ?? customElements.define('x-clicks', class extends HTMLElement {});"
        " find('x-clicks').clicks = 7",
        "<x-clicks count=2>y</x-clicks> <b>new</b>",
        "find('x-clicks').clicks === 7 && find('x-clicks').getAttribute('count') === '2'",
    ),
    "the focus in a shadow root": (
        "<span></span> <b>old</b>",
        "find('span').attachShadow({ mode: 'open' }).innerHTML = '<input>';"
        " find('span').shadowRoot.querySelector('input').focus()",
        "<span class=c></span> <b>new</b>",
        "find('span').shadowRoot.activeElement?.localName === 'input'",
    ),
    "what Alpine has hidden": (
        "<i x-show=open>x</i> <b>old</b>",
        "find('i').style.display = 'none'",
        "<i x-show=open title=t>y</i> <b>new</b>",
        "find('i').style.display === 'none' && find('i').textContent === 'y'",
    ),
    "a formula": (
        "<math><mi>x</mi><mn>1</mn></math> <b>old</b>",
        "find('mi').classList.add('script')",
        "<math><mi>y</mi><mn>2</mn></math> <b>new</b>",
        "find('mi').className === 'script' && find('math').textContent === 'y2'"
        " && find('mn').namespaceURI.endsWith('MathML')",
    ),
    "a table in a table": (
        "<table><colgroup><col></colgroup><thead><tr><th>h</th></tr></thead><tbody><tr><td><input></td></tr></tbody>"
        "</table> <b>old</b>",
        "find('input').value = 'typed'",
        "<table><colgroup><col><col></colgroup><thead><tr><th>h</th><th>i</th></tr></thead>"
        "<tbody><tr><td><input></td><td>2</td></tr></tbody></table> <b>new</b>",
        "find('input').value === 'typed' && find('table').querySelectorAll('col, th, td').length === 6",
    ),
}


# Browsers drop the selection of what is moved.
CASES = [
    pytest.param(*case, order, id=f"{name}, {where}")
    for name, case in SURVIVES.items()
    for where, order in {"in place": "a", "moved": "z"}.items()
    if (name, where) != ("the selection", "moved")
]


@pytest.mark.parametrize(("painted", "done", "then", "expected", "order"), CASES)
def test_what_a_user_or_script_did_survives_a_change_of_its_row(
    row: Page, painted: str, done: str, then: str, expected: str, order: str
) -> None:
    row.evaluate(
        "([painted, done]) => { row(painted); window.before = cell(); new Function(done)(); }",
        [painted, done],
    )
    row.evaluate("([then, order]) => becomes(then, order)", [then, order])

    assert row.evaluate("cell() === before")
    assert row.evaluate("find('b').textContent") == "new"
    assert row.evaluate(f"() => {expected}")


OVERWRITTEN = {
    "typed text": ("<input value=1>", "find('input').value = 'typed'", "<input value=2>", "value", "2", "typed"),
    "a text area": ("<textarea>1</textarea>", "find('textarea').value = 'typed'",
                    "<textarea>2</textarea>", "value", "2", "typed"),
    "a choice": ("<select><option>x<option>y<option>z</select>", "find('select').value = 'y'",
                 "<select><option>x<option>y<option selected>z</select>", "value", "z", "y"),
}  # fmt: skip


@pytest.mark.parametrize("is_kept", [False, True], ids=["shown", "prevented"])
@pytest.mark.parametrize(
    ("painted", "done", "then", "field", "theirs", "yours"), OVERWRITTEN.values(), ids=OVERWRITTEN.keys()
)
def test_a_new_value_of_the_server_overwrites_what_was_typed_and_is_announced(
    row: Page, painted: str, done: str, then: str, field: str, theirs: str, yours: str, is_kept: bool
) -> None:
    row.evaluate(
        """([painted, done, isKept]) => {
            row(painted); new Function(done)();
            window.announced = [];
            addEventListener("realtime:overwrite", (event) => {
                announced.push(event.detail);
                if (isKept) event.preventDefault();
            });
        }""",
        [painted, done, is_kept],
    )
    row.evaluate("(then) => becomes(then)", then)

    assert row.evaluate("announced") == [{"yours": yours, "theirs": theirs}]
    assert row.evaluate(f"cell().firstElementChild.{field}") == (yours if is_kept else theirs)


def test_a_value_that_is_not_edited_follows_the_server_without_an_announcement(row: Page) -> None:
    got = row.evaluate("""() => {
        const announced = [];
        addEventListener("realtime:overwrite", ({ detail }) => announced.push(detail));
        row("<input value=1><input type=checkbox><textarea>1</textarea>");
        for (const value of [2, 3]) {
            becomes(`<input value=${value}><input type=checkbox checked><textarea>${value}</textarea>`);
        }
        const [text, box, area] = cell().children;
        return [text.value, box.checked, area.value, announced];
    }""")

    assert got == ["3", True, "3", []]


@pytest.mark.parametrize(
    ("painted", "then", "value"),
    [
        ("<input type=range>", "<input type=range value=30>", "30"),
        ("<input type=range max=10 value=90>", "<input type=range max=10 value=3>", "3"),
        ("<input type=color>", "<input type=color value='#123456'>", "#123456"),
        ("<input type=color value=red>", "<input type=color value='#123456'>", "#123456"),
        ("<input type=number value='1 '>", "<input type=number value=2>", "2"),
        ("<input type=date value=today>", "<input type=date value=2026-01-02>", "2026-01-02"),
        ("<input type=email value=' a@b.c '>", "<input type=email value='d@e.f'>", "d@e.f"),
    ],
)
def test_a_value_that_the_browser_has_corrected_is_not_one_of_the_user(
    row: Page, painted: str, then: str, value: str
) -> None:
    """It follows the server, and nothing is announced: browsers show another value than the markup has."""
    row.evaluate(
        """inner => {
            row(inner);
            window.announced = 0;
            document.addEventListener("realtime:overwrite", () => announced++);
        }""",
        painted,
    )

    row.evaluate("inner => becomes(inner)", then)

    row.wait_for_function("value => find('input').value === value", arg=value)
    assert row.evaluate("announced") == 0


@pytest.mark.parametrize(("keeps", "text"), [(False, "theirs"), (True, "mine")], ids=["given up", "kept"])
def test_text_in_an_editable_element_is_announced_before_it_gives_way(
    row: Page, keeps: bool, text: str
) -> None:
    row.evaluate(
        """keeps => {
            row("<p contenteditable>old</p> <b>old</b>");
            find("p").textContent = "mine";
            find("p").addEventListener("realtime:overwrite", (event) => {
                window.announced = event.detail;
                if (keeps) event.preventDefault();
            });
        }""",
        keeps,
    )

    row.evaluate("becomes('<p contenteditable>theirs</p> <b>new</b>')")

    row.wait_for_function("find('b').textContent === 'new'")
    assert row.evaluate("announced") == {"yours": "mine", "theirs": "theirs"}
    assert row.evaluate("find('p').textContent") == text


def test_the_contents_of_a_template_follow_the_server(row: Page) -> None:
    """Scripts such as Alpine make elements of it when they are needed; it has no children that could be compared."""
    row.evaluate("row('<template><i>old</i></template>')")
    row.evaluate("window.template = find('template')")

    row.evaluate("becomes('<template><i>new</i></template>')")

    row.wait_for_function("find('template').content.textContent === 'new'")
    assert row.evaluate("find('template') === window.template")


@pytest.mark.parametrize(
    ("inner", "done", "expected"),
    [
        ("<input>", "each.firstChild.focus()", "document.activeElement === each.firstChild"),
        ("<p style='height:500px'>tall</p>", "each.scrollTop = 77", "each.scrollTop === 77"),
        ("<div popover>x</div>", "each.firstChild.showPopover()", "each.firstChild.matches(':popover-open')"),
        (
            "<iframe srcdoc=x></iframe>",
            "each.firstChild.contentWindow.mine = 1",
            "each.firstChild.contentWindow.mine === 1",
        ),
    ],
    ids=["the focus", "a scroll position", "a popover", "a frame"],
)
@pytest.mark.parametrize("moved", ["a", "b", "c"])
def test_children_with_keys_keep_their_state_when_their_order_changes(
    row: Page, inner: str, done: str, expected: str, moved: str
) -> None:
    """Whichever of them the page moves."""
    item = f"<div data-key={{}} style='height:20px;overflow:auto'>{inner}</div>"
    row.evaluate("inner => row(inner)", "".join(item.format(key) for key in "abc"))
    row.evaluate(f"{{ const each = find('[data-key={moved}]'); {done}; window.each = each; }}")

    row.evaluate("inner => becomes(inner)", "".join(item.format(key) for key in "cab"))

    row.wait_for_function("cell().firstElementChild.dataset.key === 'c'")
    assert row.evaluate(f"each.isConnected && {expected}")


def test_children_with_keys_keep_their_elements_when_their_order_changes(row: Page) -> None:
    got = row.evaluate("""() => {
        const items = (keys) => `<ul>${[...keys].map((key) => `<li id="i${key}">${key}</li>`).join("")}</ul>`;
        row(items("abcd"));
        const before = Object.fromEntries([...find("ul").children].map((e) => [e.id, e]));
        becomes(items("dxbca"));
        return [cell().textContent, [...find("ul").children].map((e) => e === before[e.id])];
    }""")

    assert got == ["dxbca", [True, False, True, True, True]]


@pytest.mark.parametrize("seed", range(20))
def test_a_row_that_no_script_has_touched_looks_as_the_server_renders_it(row: Page, seed: int) -> None:
    """Random trees, changed at random."""
    got = row.evaluate(
        """(seed) => {
            let state = seed * 7919 + 1;
            const random = (below) => (state = (state * 1103515245 + 12345) % 2147483648) % below;
            const tree = (depth) => Array.from({ length: random(4) + 1 }, () => {
                const tag = ["b", "i", "span", "p"][random(depth ? 3 : 4)];
                const classes = `class="c${random(3)} d${random(3)}"`;
                const attributes = [`id=k${random(99)}`, classes, `title=t${random(3)}`, ""];
                const inner = depth < 3 && random(3) ? tree(depth + 1) : ["x", "y", ""][random(3)];
                const element = `<${tag} ${attributes[random(4)]}>${inner}</${tag}>`;
                return ["text", "<!--c-->", element, element, element, element][random(6)];
            }).join("");
            row(tree(0));
            const wrong = [];
            for (let step = 0; step < 15; step++) {
                const next = tree(0);
                becomes(next);
                for (const lit of document.querySelectorAll(".realtime-changed")) {
                    lit.classList.remove("realtime-changed");
                    if (!lit.classList.length) lit.removeAttribute("class");
                }
                const wanted = document.createElement("tbody");
                wanted.innerHTML = tr("a", "a", next);
                if (!wanted.firstElementChild.isEqualNode(document.querySelector("[data-key=a]"))) {
                    wrong.push([document.querySelector("[data-key=a]").outerHTML, next]);
                }
            }
            return wrong;
        }""",
        seed,
    )

    assert got == []


def test_only_the_cell_that_has_changed_is_lit(page: Page) -> None:
    got = page.evaluate("""() => {
        const row = (price) => `<tr data-key="a" data-order="a"><td>name</td><td><b>${price}</b></td></tr>`;
        paint([row(1)]); connect();
        server().sends(changes(10, 11, [upsert({ key: "a", order: "a", html: row(2) })]));
        return [...document.querySelectorAll("[data-key=a], [data-key=a] *")].map((e) => e.className);
    }""")

    assert got == ["", "", "realtime-changed", ""]


def test_a_listener_can_bring_a_row_up_to_date_itself(row: Page) -> None:
    got = row.evaluate("""() => {
        row("old");
        const events = [];
        addEventListener("realtime:before-morph", (event) => {
            events.push([event.detail.key, event.detail.element.textContent]);
            if (event.detail.element.textContent === "mine") event.preventDefault();
        });
        addEventListener("realtime:after-morph", ({ detail }) => events.push(detail.key));
        becomes("new"); becomes("mine");
        return [cell().textContent, events];
    }""")

    assert got == ["new", [["a", "new"], "a", ["a", "mine"]]]


def test_a_moved_row_keeps_its_element_and_playing_media(row: Page) -> None:
    """As in browsers without `moveBefore`, where a move pauses media."""
    row.evaluate("() => { delete Element.prototype.moveBefore; }")
    got = row.evaluate("""() => {
        row("<video></video>");
        const [video, before] = [find("video"), document.querySelector("[data-key=a]")];
        let plays = 0;
        Object.defineProperty(video, "paused", { value: false });
        video.play = async () => { plays++; };
        becomes("<video></video>", "z");
        return [document.querySelector("tbody").lastElementChild === before, find("video") === video, plays];
    }""")

    assert got == [True, True, 1]


def test_rows_of_a_picture_are_elements_of_svg(page: Page, errors: list[str]) -> None:
    got = page.evaluate("""() => {
        const dot = (key, x) => `<circle data-key="${key}" data-order="${key}" cx="${x}" cy="5" r="4"/>`;
        document.body.insertAdjacentHTML("beforeend",
            `<live-topic topic="t" position="e.10"><svg data-rows>${dot("a", 1)}</svg></live-topic>`);
        connect();
        const before = document.querySelector("circle");
        const upserts = [["a", 2], ["b", 3]].map(([key, x]) => upsert({ key, order: key, html: dot(key, x) }));
        server().sends(changes(10, 11, upserts));
        const circles = [...document.querySelectorAll("svg > circle")];
        return [circles[0] === before, circles.map((e) => [e.namespaceURI.endsWith("svg"), e.cx?.baseVal.value])];
    }""")

    assert got == [True, [[True, 2], [True, 3]]]


def test_rows_of_a_select_keep_the_choice(page: Page) -> None:
    got = page.evaluate("""() => {
        const option = (key, text = key) =>
            `<option data-key="${key}" data-order="${key}" value="${key}">${text}</option>`;
        const rows = `<select data-rows>${option("a")}${option("c")}</select>`;
        document.body.insertAdjacentHTML("beforeend", `<live-topic topic="t" position="e.10">${rows}</live-topic>`);
        connect();
        const select = document.querySelector("select");
        select.value = "c";
        const change = (key, text) => upsert({ key, order: key, html: option(key, text) });
        server().sends(changes(10, 11, [change("b"), change("c", "new")]));
        return [select.value, [...select.options].map((e) => e.text)];
    }""")

    assert got == ["c", ["a", "b", "new"]]


def test_rows_in_a_shadow_root_keep_the_focus(page: Page) -> None:
    got = page.evaluate("""() => {
        const item = (text) => `<p data-key="a" data-order="a"><input value=1> ${text}</p>`;
        const root = document.body.appendChild(document.createElement("div")).attachShadow({ mode: "open" });
        root.innerHTML = `<live-topic topic="t" position="e.10">${item("old")}</live-topic>`;
        connect();
        const input = root.querySelector("input");
        input.focus();
        input.value = "typed";
        server().sends(changes(10, 11, [upsert({ key: "a", order: "z", html: item("new") })]));
        return [root.activeElement === input, input.value, root.querySelector("p").textContent.trim()];
    }""")

    assert got == [True, "typed", "new"]


def test_a_change_keeps_a_running_transition(row: Page) -> None:
    row.add_style_tag(content="i { opacity: 1; transition: opacity 60s linear; } i.out { opacity: 0; }")
    row.evaluate("() => { row('<i>x</i> <b>old</b>'); }")
    row.evaluate("() => { getComputedStyle(find('i')).opacity; find('i').classList.add('out'); }")
    row.wait_for_function("() => find('i').getAnimations().length === 1")
    row.evaluate("() => { window.running = find('i').getAnimations()[0]; becomes('<i>x</i> <b>new</b>'); }")

    expect(row.locator("[data-key=a] b")).to_have_text("new")
    assert row.evaluate("find('i').getAnimations()[0] === running && running.playState") == "running"
