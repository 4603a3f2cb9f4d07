/**
 * The rows of one topic in the document: children of one container, by key, in order.
 * They are read from the document each time, so nothing can differ from what it shows.
 */

/** @import { Change, Row } from "../protocol/messages.js" */

import { combine } from "../protocol/digest.js";
import { compareRows } from "../protocol/order.js";
import { parseRow } from "./html.js";
import { checkPlace } from "./placement.js";

const CHANGED = "realtime-changed";
// Longer than the animation in live.css: where it does not run, the class is removed all the same.
const CHANGED_MS = 2000;

export class Rows {
  #topic;
  #container;
  #empty;
  #hasReportedRoots = false;

  /**
   * @param {string} topic - for messages
   * @param {Element} container - its children with `data-key` are the rows, already in order
   * @param {HTMLElement | null} empty - shown while there are no rows
   */
  constructor(topic, container, empty) {
    this.#topic = topic;
    this.#container = container;
    this.#empty = empty;
    const elements = this.#elements();
    const roots = elements.map((element) => 1 + orphansOf(element).length);
    // One such element may be the page's own; the same after each of several rows is the template's.
    if (elements.length > 1 && roots[0] > 1 && roots.every((each) => each === roots[0])) this.#reportRoots(roots[0]);
  }

  get count() {
    return this.#elements().length;
  }

  /** @returns {number | null} the digest of the rows shown; null if one has none */
  digest() {
    return combine(this.#elements().map(({ dataset: { digest } }) => (digest ? Number(digest) : undefined)));
  }

  /** Show no rows, and not the text for an empty topic either: whether it is empty is unknown. */
  clear() {
    for (const element of this.#elements()) {
      if (this.#hasReportedRoots) for (const orphan of orphansOf(element)) orphan.remove();
      element.remove();
    }
    if (this.#empty) this.#empty.hidden = true;
  }

  /**
   * Show exactly these rows. Unchanged rows keep their element.
   * @param {Row[]} rows
   * @param {{isFirst: boolean}} options - isFirst: the element had no rows before, so none are highlighted
   * @returns {boolean} whether that changed anything
   */
  replace(rows, { isFirst }) {
    const before = this.#elements();
    const present = new Map(before.map((element) => [element.dataset.key, element]));
    // Not toSorted: it is newer than the oldest browsers that this client supports.
    const wanted = [...rows].sort(compareRows).map((row) => {
      const fresh = this.#freshElement(row);
      const old = present.get(row.key);
      if (old && isSame(old, fresh)) return old;
      if (!isFirst) highlight(fresh);
      return fresh;
    });

    const kept = new Set(wanted);
    for (const element of before) if (!kept.has(element)) element.remove();
    /** @type {Element | null} */
    let next = this.#elements()[0] ?? null;
    for (const element of wanted) {
      if (element === next) next = nextRow(next);
      else this.#container.insertBefore(element, next);
    }
    this.#showEmpty(wanted.length === 0);
    return before.length !== wanted.length || before.some((element, index) => element !== wanted[index]);
  }

  /** @param {Change[]} changes */
  apply(changes) {
    const elements = this.#elements();
    const present = new Map(elements.map((element) => [element.dataset.key, element]));
    for (const change of changes) {
      const old = present.get(change.key);
      if (change.op === "delete") {
        if (old) elements.splice(elements.indexOf(old), 1);
        present.delete(change.key);
        old?.remove();
        continue;
      }
      const fresh = this.#freshElement(change);
      if (old && isSame(old, fresh)) continue;
      if (old) elements.splice(elements.indexOf(old), 1);
      const index = indexFor(elements, change);
      const restoreFocus = focusWithin(old);
      old?.remove();
      this.#container.insertBefore(fresh, elements[index] ?? null);
      elements.splice(index, 0, fresh);
      present.set(change.key, fresh);
      highlight(fresh);
      restoreFocus(fresh);
    }
    this.#showEmpty(elements.length === 0);
  }

  #elements() {
    return /** @type {HTMLElement[]} */ (
      [...this.#container.children].filter((child) => child.hasAttribute("data-key"))
    );
  }

  /** A row's element, with its key and order whatever its template contains. @param {Row} row */
  #freshElement({ key, order, html = "", digest }) {
    const { element, roots } = parseRow(html);
    checkPlace(element, this.#container);
    if (roots > 1) this.#reportRoots(roots);
    element.dataset.key = key;
    element.dataset.order = order;
    if (digest === undefined) delete element.dataset.digest;
    else element.dataset.digest = String(digest);
    return element;
  }

  /** Show the first root element of each row only, when the page is loaded as well as later. @param {number} roots */
  #reportRoots(roots) {
    if (this.#hasReportedRoots) return;
    this.#hasReportedRoots = true;
    console.error(
      `realtime: each row of ${this.#topic} has ${roots} root elements; only the first is shown. ` +
        "Put one element around all that the template_name of its feed renders:",
      this.#container,
    );
    for (const element of this.#elements()) for (const orphan of orphansOf(element)) orphan.remove();
  }

  /** @param {boolean} isEmpty */
  #showEmpty(isEmpty) {
    if (this.#empty) this.#empty.hidden = !isEmpty;
  }
}

/** The elements after a row that belong to none. @param {Element} element */
function orphansOf(element) {
  const orphans = [];
  let next = element.nextElementSibling;
  while (next && !next.matches("[data-key], [data-empty], .realtime-refused")) {
    orphans.push(next);
    next = next.nextElementSibling;
  }
  return orphans;
}

/**
 * Whether two elements look the same to a reader, apart from the highlight. If they do, `old` gets the digest of `fresh`:
 * a page rendered by an older release has none.
 * @param {HTMLElement} old
 * @param {HTMLElement} fresh
 */
function isSame(old, fresh) {
  if (fresh.dataset.digest === undefined) delete old.dataset.digest;
  else old.dataset.digest = fresh.dataset.digest;
  if (!old.classList.contains(CHANGED)) return old.isEqualNode(fresh);
  const plain = /** @type {Element} */ (old.cloneNode(true));
  removeHighlight(plain);
  return plain.isEqualNode(fresh);
}

/** @param {Element} element */
function highlight(element) {
  element.classList.add(CHANGED);
  element.addEventListener("animationend", (event) => event.target === element && removeHighlight(element));
  setTimeout(() => removeHighlight(element), CHANGED_MS);
}

/** @param {Element} element */
function removeHighlight(element) {
  element.classList.remove(CHANGED);
  if (element.classList.length === 0) element.removeAttribute("class");
}

/** @param {Element} element */
function nextRow(element) {
  let next = element.nextElementSibling;
  while (next && !next.hasAttribute("data-key")) next = next.nextElementSibling;
  return next;
}

/**
 * Index of the first element that belongs after the row.
 * @param {HTMLElement[]} elements - in order
 * @param {{key: string, order: string}} row
 */
function indexFor(elements, row) {
  let [low, high] = [0, elements.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { key = "", order = "" } = elements[middle].dataset;
    if (compareRows({ key, order }, row) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Remember which part of a row has the focus.
 * @param {Element | undefined} old
 * @returns {(fresh: Element) => void} focuses the same part of the new element
 */
function focusWithin(old) {
  /** @type {number[]} */
  const path = [];
  const focused = document.activeElement;
  if (!focused || !old?.contains(focused)) return () => {};
  for (let element = focused; element !== old; ) {
    const parent = /** @type {Element} */ (element.parentElement);
    path.unshift([...parent.children].indexOf(element));
    element = parent;
  }
  return (fresh) => {
    /** @type {Element | undefined} */
    let part = fresh;
    for (const index of path) part = part?.children[index];
    /** @type {HTMLElement | undefined} */ (part)?.focus({ preventScroll: true });
  };
}
