"""The page client as a package for npm, and what a server that renders components may do with it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from realtime import __version__
from tests.support import npm_package
from tests.support.npm_package import CLIENT, TSC

NODE, NPM = shutil.which("node"), shutil.which("npm")
needs_node = pytest.mark.skipif(NODE is None, reason="no node installed")
MODULES = sorted(
    path.relative_to(CLIENT).as_posix()
    for path in CLIENT.rglob("*.js")
    if path.parent.name not in ("inspector", "operators")
)


def run_in_node(script: str, folder: Path = CLIENT) -> str:
    assert NODE
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", script], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_node
def test_importing_any_module_does_nothing_where_there_is_no_page():
    """It opens no connection and defines nothing, so that the process ends by itself."""
    addresses = [f"./{module}" for module in MODULES if module not in PACKAGED]

    output = run_in_node(f"""
        const before = Object.keys(globalThis).join();
        for (const address of {json.dumps(addresses)}) await import(address);
        console.log(Object.keys(globalThis).join() === before);
    """)

    assert output == "true\n"


PACKAGED = ["frameworks/react.js", "frameworks/vue.js"]
"""They import packages."""


@needs_node
def test_connecting_without_a_page_is_refused_with_words():
    output = run_in_node("""
        const { connect, subscribe, call } = await import("./client.js");
        for (const use of [connect, () => subscribe("t"), () => call("echo")]) {
            try { use(); } catch (error) { console.log(error.message); }
        }
    """)

    assert output.count("call this in the browser only") == 3


@needs_node
def test_a_store_that_is_read_without_a_page_has_what_the_server_has_rendered():
    output = run_in_node("""
        const { rows } = await import("./frameworks/svelte.js");
        const row = { key: "a", order: "a", row: { name: "x" } };
        rows("t", { position: "e.1", rows: [row] }).subscribe(({ rows }) => console.log(rows.length));
        rows("t").subscribe(({ rows, status }) => console.log(rows.length, status.state));
    """)

    assert output == "1\n0 loading\n"


def test_its_version_is_that_of_the_project():
    package = json.loads((CLIENT / "package.json").read_text())

    assert package["version"] == __version__


@pytest.mark.server
@pytest.mark.skipif(NPM is None or not TSC.exists(), reason="no npm, or its tools are not installed")
def test_the_package_can_be_packed_installed_and_imported_with_its_types(tmp_path):
    assert NPM
    npm_package.write(tmp_path / "package")
    subprocess.run(
        [NPM, "pack", "--silent", "--pack-destination", tmp_path], cwd=tmp_path / "package", check=True
    )
    (archive,) = tmp_path.glob("*.tgz")
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"type": "module"}')
    subprocess.run(
        [NPM, "install", "--silent", "--offline", "--no-audit", "--legacy-peer-deps", archive],
        cwd=project,
        check=True,
    )

    names = 'Object.keys(await import("django-tidemark")).join()'
    exports = run_in_node(f'console.log({names}, "rows" in await import("django-tidemark/svelte"))', project)
    (project / "node_modules" / "vue").symlink_to(TSC.parents[1] / "vue")
    (project / "use.ts").write_text("""
        import { subscribe, call, type Row } from "django-tidemark";
        import { useRows } from "django-tidemark/react";
        import { rows as store } from "django-tidemark/svelte";
        import { useRows as useRef } from "django-tidemark/vue";
        import { ref, type Ref } from "vue";
        const topic = subscribe("products", { onUpdate: (row, old) => row.key + old.order });
        export const rows: Map<string, { key: string }> = topic.rows;
        export const state: "live" | string = topic.status.state;
        export const answer: Promise<unknown> = call("rename", {}, { timeout: 5 });
        type Product = { name: string; stock: number };
        const products = subscribe<Product>("products", {
            onInsert: ({ row }) => row.name.length,
            onChange: (rows) => [...rows.values()].map(({ row }) => row.stock + 1),
        });
        products.assume("7", { stock: 4 });
        export const some: Row<Product> | undefined = products.rows.get("7");
        export const names: string[] = useRows<Product>("products").rows.map(({ row }) => row.name);
        export const shown: Ref<{ rows: Row<Product>[] }> = useRef<Product>(ref("products"));
        store<Product>("products").subscribe(({ rows }) => rows.map(({ row }) => row.stock + 1));
        export const untyped: number = topic.rows.get("7")?.row.stock;
        // @ts-expect-error: the feed has no such field
        products.rows.get("7")?.row.price;
        // @ts-expect-error: nor can it be assumed
        products.assume("7", { price: 4 });
        // @ts-expect-error: there is no such handler
        subscribe("products", { onInserted: () => {} });
    """)
    options = [
        "--strict",
        "--noEmit",
        "--module",
        "esnext",
        "--moduleResolution",
        "bundler",
        "--lib",
        "es2020,dom,dom.iterable",
    ]

    assert exports == "CallError,broadcast,call,connect,presence,subscribe true\n"
    subprocess.run([TSC, *options, "use.ts"], cwd=project, check=True)
