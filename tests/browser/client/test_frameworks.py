"""The hooks for React, Vue and Svelte, and rows with htmx and Alpine in them, with these libraries as npm has them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.servers import ROOT

PACKAGES = ROOT / ".venv" / "javascript" / "node_modules"
ESBUILD = PACKAGES / ".bin" / "esbuild"
FRAMEWORKS = ROOT / "realtime" / "static" / "realtime" / "frameworks"

pytestmark = pytest.mark.skipif(
    not (PACKAGES / "react-dom").exists(), reason="the libraries are not installed: make check"
)

REACT = f"""
import {{ createElement as h }} from "react";
import {{ createRoot }} from "react-dom/client";
import {{ flushSync }} from "react-dom";
import {{ useRows }} from "{FRAMEWORKS}/react.js";

function Board({{ topic }}) {{
  const {{ rows, status }} = useRows(topic);
  const items = rows.map(({{ key, row }}) => h("li", {{ key }}, h("input"), row.text));
  return h("ul", {{ "data-state": status.state }}, items);
}}
const root = createRoot(document.body.appendChild(document.createElement("main")));
window.show = (topic) => flushSync(() => root.render(topic && h(Board, {{ topic }})));
"""
VUE = f"""
import {{ createApp, defineComponent, h, nextTick, ref }} from "vue";
import {{ useRows }} from "{FRAMEWORKS}/vue.js";

const Board = defineComponent({{
  props: ["topic"],
  setup(props) {{
    const entries = useRows(() => props.topic);
    return () => h("ul", {{ "data-state": entries.value.status.state }},
      entries.value.rows.map(({{ key, row }}) => h("li", {{ key }}, [h("input"), row.text])));
  }},
}});
const shown = ref(null);
createApp({{ render: () => shown.value && h(Board, {{ topic: shown.value }}) }})
  .mount(document.body.appendChild(document.createElement("main")));
window.show = async (topic) => {{ shown.value = topic; await nextTick(); }};
"""
SVELTE = f"""
import {{ rows }} from "{FRAMEWORKS}/svelte.js";

const main = document.body.appendChild(document.createElement("main"));
let stop = () => {{}};
window.show = (topic) => {{
  stop(); main.replaceChildren();
  if (!topic) return;
  const list = main.appendChild(document.createElement("ul"));
  stop = rows(topic).subscribe(({{ rows, status }}) => {{
    list.dataset.state = status.state;
    for (const {{ key, row }} of rows) {{
      const made = Object.assign(document.createElement("li"), {{ id: `k${{key}}` }});
      const item = list.querySelector(`#k${{key}}`) ?? made;
      if (!item.firstChild) item.append(document.createElement("input"), "");
      item.lastChild.nodeValue = row.text;
      list.append(item);
    }}
  }});
}};
"""

COMPONENT = f"""
<script>
  import {{ rows }} from "{FRAMEWORKS}/svelte.js";
  let {{ topic }} = $props();
  let entries = $derived(rows(topic));
</script>
<ul data-state={{$entries.status.state}}>
  {{#each $entries.rows as entry (entry.key)}}<li><input>{{entry.row.text}}</li>{{/each}}
</ul>
"""
COMPILE = """
import { compile } from "svelte/compiler";
import { text } from "node:stream/consumers";
console.log(compile(await text(process.stdin), { generate: "client" }).js.code);
"""
COMPILED = """
import Board from "./Board.js";
import { flushSync, mount, unmount } from "svelte";

const main = document.body.appendChild(document.createElement("main"));
let shown;
window.show = async (topic) => {
  if (shown) await unmount(shown);
  shown = topic && mount(Board, { target: main, props: { topic } });
  flushSync();
};
"""


@pytest.fixture
def load(page: Page, tmp_path: Path) -> Callable[[str], None]:
    """Bundles a module, and runs it in the page, whose server is the fake one."""

    def run(source: str) -> None:
        entry, bundle = tmp_path / "entry.js", tmp_path / "bundle.js"
        entry.write_text(source)
        options = [
            "--bundle",
            "--format=esm",
            '--define:process.env.NODE_ENV="production"',
            "--log-level=warning",
        ]
        # The page has the client already: both copies use one connection, as they do in other pages.
        subprocess.run(
            [ESBUILD, entry, f"--outfile={bundle}", *options, "--define:__VUE_OPTIONS_API__=true",
             "--define:__VUE_PROD_DEVTOOLS__=false", "--define:__VUE_PROD_HYDRATION_MISMATCH_DETAILS__=false"],
            check=True, env={**os.environ, "NODE_PATH": str(PACKAGES)},
        )  # fmt: skip
        page.add_script_tag(content=bundle.read_text(), type="module")
        page.wait_for_function("() => window.show")

    return run


@pytest.fixture
def board(tmp_path: Path) -> None:
    """Board.js: a component as Svelte compiles it, where the entry of a bundle is."""
    if not (PACKAGES / "svelte").exists():
        pytest.skip("Svelte is not installed: make check")
    done = subprocess.run(
        ["node", "--input-type=module", "-e", COMPILE],
        input=COMPONENT, cwd=PACKAGES, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    (tmp_path / "Board.js").write_text(done.stdout)


@pytest.mark.usefixtures("board")
def test_a_component_that_svelte_has_compiled_shows_the_rows_of_a_topic(
    page: Page, load: Callable[[str], None]
) -> None:
    """Its store is used by `$`, as components do; the helper that Svelte makes of it unsubscribes."""
    test_a_component_shows_the_rows_of_a_topic(page, load, COMPILED)


@pytest.mark.parametrize("source", [REACT, VUE, SVELTE], ids=["react", "vue", "svelte"])
def test_a_component_shows_the_rows_of_a_topic(page: Page, load: Callable[[str], None], source: str) -> None:
    """Text that is typed beside a changing row stays; another topic is another subscription, and none is left."""
    load(source)
    page.evaluate("async () => { connect(); await show('t'); }")
    page.wait_for_function("() => (window.asked ??= server().takeSent()).length > 0")
    page.evaluate("() => { server().sends(snapshot(5, [row('b'), row('a')])); }")

    items = page.locator("main li")
    expect(items).to_have_text(["row a", "row b"])
    expect(page.locator("main ul")).to_have_attribute("data-state", "live")
    items.first.locator("input").fill("typed")
    page.evaluate(
        "() => { server().sends(changes(5, 6, [upsert(row('a', 'a', 'new a')), upsert(row('c'))])); }"
    )
    expect(items).to_have_text(["new a", "row b", "row c"])
    expect(items.first.locator("input")).to_have_value("typed")

    page.evaluate("async () => { await show('u'); }")
    page.wait_for_function("() => realtime.status.topics.u && !realtime.status.topics.t")
    page.evaluate("async () => { await show(null); }")
    page.wait_for_function("() => Object.keys(realtime.status.topics).length === 0")


def test_the_first_answer_is_shown_where_components_are_rendered_twice(
    page: Page, load: Callable[[str], None]
) -> None:
    """React's strict mode subscribes, unsubscribes and subscribes again."""
    strict = 'import { StrictMode } from "react";' + REACT.replace(
        "topic && h(Board, { topic })", "topic && h(StrictMode, null, h(Board, { topic }))"
    )
    load(strict)
    page.evaluate("async () => { connect(); await show('t'); }")
    page.wait_for_function("() => server().takeSent().length > 0")
    page.evaluate("() => { server().sends(snapshot(5, [row('a')])); }")

    expect(page.locator("main li")).to_have_text(["row a"])


def add_library(page: Page, path: str) -> None:
    page.add_script_tag(content=(PACKAGES / path).read_text())


def test_state_of_alpine_survives_changes_of_its_row(page: Page) -> None:
    """Attributes that Alpine has set stay; the row's own part of the state goes on."""
    page.evaluate("""() => {
        const inner = (text) => `<div x-data="{ open: false, n: 3 }">` +
            `<button @click="open = !open; n++" x-text="n">0</button><p x-show="open">more</p><i>${text}</i></div>`;
        window.inner = inner;
        paint([tr("a", "a", inner("old"))]); connect();
    }""")
    add_library(page, "alpinejs/dist/cdn.js")
    page.get_by_role("button").click()
    expect(page.get_by_role("button")).to_have_text("4")

    page.evaluate("() => { server().sends(changes(10, 11, [upsert(html('a', 'z', inner('new')))])); }")

    expect(page.locator("i")).to_have_text("new")
    expect(page.locator("p", has_text="more")).to_be_visible()
    page.get_by_role("button").click()
    expect(page.get_by_role("button")).to_have_text("5")
    expect(page.locator("p", has_text="more")).to_be_hidden()


def test_htmx_goes_on_in_a_row_that_changes_and_follows_an_event(page: Page) -> None:
    """A button of a row loads once for each click; `realtime:changed` is a trigger."""
    requests: list[str] = []

    def answer(route) -> None:
        requests.append(route.request.url.rpartition("/")[2])
        route.fulfill(body=f"answer {len(requests)}")

    page.route("**/partial-*", answer)
    page.evaluate("""() => {
        window.inner = (text) => `<button hx-get="/partial-row" hx-target="next output">go</button><i>${text}</i>` +
            `<output data-realtime-keep></output>`;
        paint([tr("a", "a", inner("old"))]);
        document.body.insertAdjacentHTML("beforeend", `
            <div id="signal" data-realtime-block data-realtime-topics="t" data-realtime-position="e.10"></div>
            <div id="summary" hx-get="/partial-sum" hx-trigger="realtime:changed from:#signal">none yet</div>`);
        connect();
    }""")
    add_library(page, "htmx.org/dist/htmx.js")
    page.evaluate("() => { server().sends({ ...changes(10, 10, []), signal: 10 }); }")
    page.get_by_role("button").click()
    expect(page.locator("output")).to_have_text("answer 1")

    page.evaluate("""() => {
        server().sends(changes(10, 11, [upsert(html("a", "z", inner("new")))]));
        clock.advance(0);
    }""")
    expect(page.locator("#summary")).to_have_text("answer 2")
    expect(page.locator("i")).to_have_text("new")
    page.get_by_role("button").click()
    expect(page.locator("output")).to_have_text("answer 3")

    assert requests == ["partial-row", "partial-sum", "partial-row"]
