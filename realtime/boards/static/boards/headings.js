/**
 * The headings of a board's columns, and which columns are shown, follow the board's own row: it has them as data, because
 * the table is of another topic.
 */

const NAMES = ["label", "value", "status", "note", "updated"];

/** @param {Element} row - the heading of a board's page */
function write(row) {
  const topic = row.closest("live-topic")?.getAttribute("topic") ?? "";
  const table = document.querySelector(`live-topic[topic="${topic.replace("board.", "entries.")}"] table`);
  const lines = row.getAttribute("data-columns")?.split("\n") ?? [];
  for (const [index, name] of NAMES.entries()) {
    const mark = lines[index]?.[0];
    const heading = table?.querySelector(`.entries-${name} > span`);
    if (!mark || !heading) continue;
    const text = lines[index].slice(1);
    if (heading.textContent !== text) heading.textContent = text;
    heading.classList.toggle("heard", mark === "~");
    table?.classList.toggle(`no-${name}`, mark === "-");
  }
}

function writeAll() {
  for (const row of document.querySelectorAll("[data-columns]")) write(row);
}

document.addEventListener("realtime:applied", writeAll);
writeAll();
