"""TypeScript declarations, as the compiler reads them."""

import shutil
import subprocess

import pytest
from django.db import models

from realtime.management.typescript import _pascal, declarations
from tests.support.servers import ROOT

TSC = ROOT / ".venv" / "javascript" / "node_modules" / ".bin" / "tsc"
REASON = "node or tsc is not installed: the declarations are NOT CHECKED; `make lint` installs it"
USE = """
import type { Changes, ClientMessage, Row, RowOf, Rows, ServerMessage, Snapshot, Topic } from "./realtime.js";

const ask: ClientMessage = { type: "subscribe", topic: "entries.7", format: "rows" };
// @ts-expect-error an unknown format
const wrong: ClientMessage = { type: "subscribe", topic: "entries.7", format: "xml" };

export function handle(message: ServerMessage<RowOf<"entries.7">>): string | undefined {
  if (message.type === "snapshot") return message.rows[0]?.row?.label;
  if (message.type === "changes") {
    const change = message.changes[0];
    // @ts-expect-error no such field
    const no = change?.row?.nothing;
    return change?.row?.label;
  }
  if (message.type === "bye") return message.retry_after_seconds?.toFixed(1);
  return undefined;
}

export const order: number = ({} as RowOf<"boards">).position;
const mine: Topic = "entries.7";
// @ts-expect-error a feed with topics has none without a key
const none: Topic = "entries";
export const maybe: Rows["throwaway-things"]["size"] = null;
export const same: Row<Rows["entries"]> = ({} as Snapshot<Rows["entries"]>).rows[0]!;
export const all = [ask, wrong, mine, none, ({} as Changes).changes] as const;
"""


@pytest.mark.skipif(not TSC.exists() or not shutil.which("node"), reason=REASON)
def test_the_compiler_knows_messages_rows_and_topics(make_model, live, tmp_path):
    """Correct programs compile, wrong ones do not; names that are no identifiers are quoted."""
    live(make_model("Thing", size=models.IntegerField(null=True)), name="throwaway-things", fields=["size"])
    live(make_model("Other", size=models.IntegerField()), name="throwaway_things", topic_field="size")
    (tmp_path / "realtime.d.ts").write_text(declarations())
    (tmp_path / "use.ts").write_text(USE)

    done = subprocess.run(
        [str(TSC), "--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler",
         "--types", "", "use.ts", "realtime.d.ts"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_declarations_are_the_same_each_time():
    """So that a build can compare them."""
    assert declarations() == declarations()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("entries", "Entries"),
        ("order_lines", "OrderLines"),
        ("a-b", "AB"),
        ("2nd", "Feed2nd"),
        ("größe", "GrE"),
    ],
)
def test_names_of_types(name, expected):
    """From the names of feeds, which may have any signs."""
    assert _pascal(name) == expected
