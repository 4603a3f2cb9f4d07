/**
 * The rows of one topic in the document: children of one container, by key, in order.
 * They are read from the document each time, so nothing can differ from what it shows.
 */

/** @import { Change, Row } from "../protocol/messages.js" */

import { compareRows } from "../protocol/order.js";
import { parseElement } from "./html.js";

const CHANGED = "realtime-changed";
// Longer than the animation in live.css: where it does not run, the class is removed all the same.
const CHANGED_MS = 2000;

export class Rows {
  #container;
  #empty;

  /**
   * @param {Element} container - its children with `data-key` are the rows, already in order
   * @param {HTMLElement | null} empty - shown while there are no rows
   */
  constructor(container, empty) {
    this.#container = container;
    this.#empty = empty;
  }

  /**
   * Show exactly these rows. Unchanged rows keep their element.
   * @param {Row[]} rows
   * @param {{isFirst: boolean}} options - isFirst: the element had no rows before, so none are highlighted
   */
  replace(rows, { isFirst }) {
    const present = new Map(this.#elements().map((element) => [element.dataset.key, element]));
    const wanted = rows.toSorted(compareRows).map((row) => {
      const fresh = freshElement(row);
      const old = present.get(row.key);
      if (old && isSame(old, fresh)) return old;
      if (!isFirst) highlight(fresh);
      return fresh;
    });

    const kept = new Set(wanted);
    for (const element of present.values()) if (!kept.has(element)) element.remove();
    /** @type {Element | null} */
    let next = this.#elements()[0] ?? null;
    for (const element of wanted) {
      if (element === next) next = nextRow(next);
      else this.#container.insertBefore(element, next);
    }
    this.#showEmpty(wanted.length === 0);
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
      const fresh = freshElement(change);
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

  /** @param {boolean} isEmpty */
  #showEmpty(isEmpty) {
    if (this.#empty) this.#empty.hidden = !isEmpty;
  }
}

/** A row's element, with its key and order whatever its template contains. @param {Row} row */
function freshElement({ key, order, html = "" }) {
  const element = parseElement(html);
  element.dataset.key = key;
  element.dataset.order = order;
  return element;
}

/**
 * Whether two elements look the same to a reader, apart from the highlight.
 * @param {Element} old
 * @param {Element} fresh
 */
function isSame(old, fresh) {
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
