/** The class `realtime-changed`, for a moment, on what has changed. */

const CHANGED = "realtime-changed";
// Longer than the animation in live.css: where it does not run, the class is removed all the same.
const CHANGED_MS = 2000;
// Each removal makes the browser lay out all rows of a table. So it is done with a later change, which does that anyway;
// without a later change, after this time.
const REMOVED_MS = 5000;
// Only some of many changes are highlighted: each is a layer of the page for a second or two.
const MOST_AT_ONCE = 10;

/** When each element was lit. @type {Map<Element, number>} */
const lit = new Map();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let removal;

/** @param {Element} element */
export function highlight(element) {
  const now = performance.now();
  for (const [other, litAt] of lit) if (other !== element && now - litAt >= CHANGED_MS) putOut(other);
  const litAt = lit.get(element);
  if (litAt === undefined ? lit.size >= MOST_AT_ONCE : now - litAt < CHANGED_MS) return;
  if (litAt !== undefined) restart(element);
  element.classList.add(CHANGED);
  lit.set(element, now);
  clearTimeout(removal);
  removal = setTimeout(() => [...lit.keys()].forEach(putOut), REMOVED_MS);
}

/** @param {Element} element */
function putOut(element) {
  lit.delete(element);
  element.classList.remove(CHANGED);
  if (element.classList.length === 0) element.removeAttribute("class");
}

/** Let an element that has the class begin again. @param {Element} element */
function restart(element) {
  element.classList.remove(CHANGED);
  // This computes styles without a layout: an animation begins again where its style was absent.
  void getComputedStyle(element.firstElementChild ?? element, "::after").animationName;
}

/**
 * Highlight the part of a row that holds each changed element: the cell in a table.
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
