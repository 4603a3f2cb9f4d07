/**
 * Which rows of a board a wall shows at a time. Pages are made by key, not by number: a row that is inserted or removed
 * before the page that is shown neither moves it nor makes the next page leave rows out.
 */

/**
 * @typedef {object} PageRow
 * @property {string} key
 * @property {boolean} isPinned
 *
 * @typedef {object} WallPage
 * @property {string[]} keys - of the rows shown: the pinned ones, then those of this page
 * @property {string[]} own - those of this page alone
 * @property {number} number - from 1
 * @property {number} count - how many pages there are
 * @property {number} slots - rows for which there is room, so that all pages of a board have rows of one height
 */

/**
 * The page that begins with one of the wanted rows: with that from which it holds most of them, so that one that has been
 * moved elsewhere does not take the page along.
 * @param {PageRow[]} rows - in their order
 * @param {number} capacity - how many rows fit the screen
 * @param {string[]} wanted - keys in their order; none for the first page
 * @returns {WallPage}
 */
export function pageOf(rows, capacity, wanted = []) {
  // At least half of a page turns, however many rows are pinned.
  const pinned = rows.filter((row) => row.isPinned).slice(0, Math.floor(capacity / 2));
  const others = rows.filter((row) => !pinned.includes(row)).map((row) => row.key);
  const room = Math.max(1, capacity - pinned.length);
  const count = Math.max(1, Math.ceil(others.length / room));
  // Pages of equal length: 16 rows on a screen for 15 are eight and eight.
  const size = Math.max(1, Math.ceil(others.length / count));
  const start = bestStart(others, size, wanted);
  const own = others.slice(start, start + size);
  return {
    keys: [...pinned.map((row) => row.key), ...own],
    own,
    number: Math.min(count, Math.ceil(start / size) + 1),
    count,
    slots: pinned.length + size,
  };
}

/** @param {string[]} keys @param {number} size @param {string[]} wanted */
function bestStart(keys, size, wanted) {
  const isWanted = new Set(wanted);
  let [best, most] = [0, 0];
  for (const key of wanted) {
    const start = keys.indexOf(key);
    const held = start < 0 ? 0 : keys.slice(start, start + size).filter((each) => isWanted.has(each)).length;
    if (held > most) [best, most] = [start, held];
  }
  return best;
}

/**
 * The keys with which the page after this one begins: the row after the last one shown that is still there, then the
 * rows that followed it when the page was shown. None after the last page.
 * @param {PageRow[]} rows - as they are now
 * @param {WallPage} page
 * @returns {string[]}
 */
export function wantedAfter(rows, page) {
  const own = new Set(page.own);
  const others = rows.filter((row) => own.has(row.key) || !page.keys.includes(row.key)).map((row) => row.key);
  const last = others.reduce((found, key, index) => (own.has(key) ? index : found), -1);
  return others.slice(last + 1);
}
