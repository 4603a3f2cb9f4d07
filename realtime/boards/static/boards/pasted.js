/** Tables as spreadsheets copy them: tabs between cells, quotes around cells with line ends. */

const CELL = /("(?:[^"]|"")*"?)?([^\t\r\n]*)(\t|\r\n|\r|\n|$)/g;

/** @param {string} table @returns {string[][]} its rows that have text, as the server reads them */
export function rowsOf(table) {
  /** @type {string[][]} */
  const rows = [[]];
  for (const [, quoted = "", rest, end] of table.matchAll(CELL)) {
    rows[rows.length - 1].push(quoted.replace(/^"|"$/g, "").replace(/""/g, '"') + rest);
    if (end !== "\t") rows.push([]);
  }
  return rows.filter((cells) => cells.some((cell) => cell.trim()));
}
