/** The class `realtime-changed`, for a moment, on what has changed. */

const CHANGED = "realtime-changed";
// Longer than the animation in live.css: where it does not run, the class is removed all the same.
const CHANGED_MS = 2000;
// Of a flood only some are lit: each is a layer of the page for a second or two.
const MOST_AT_ONCE = 10;

/** @type {Map<Element, ReturnType<typeof setTimeout>>} */
const lit = new Map();

/** @param {Element} element */
export function highlight(element) {
  if (lit.has(element) || lit.size >= MOST_AT_ONCE) return;
  element.classList.add(CHANGED);
  lit.set(
    element,
    setTimeout(() => {
      lit.delete(element);
      element.classList.remove(CHANGED);
      if (element.classList.length === 0) element.removeAttribute("class");
    }, CHANGED_MS),
  );
}

/**
 * Light up the part of a row that holds each changed element: the cell in a table.
 * @param {Element} row
 * @param {Iterable<Element>} changed - the row, or elements inside
 */
export function highlightParts(row, changed) {
  for (const element of changed) {
    let part = element;
    while (part !== row && part.parentElement && part.parentElement !== row) part = part.parentElement;
    highlight(part);
  }
}
