/**
 * The rows of one topic in the document: children of one container, by key, in order.
 * The document is the only store, so nothing can get out of step with it.
 */

import { parseElement } from "./html.js";
import { inOrder } from "../protocol/order.js";

const CHANGED = "realtime-changed";
// Longer than the animation in live.css: where it does not run, the class goes all the same.
const CHANGED_MS = 2000;

export class Rows {
  #container;
  #empty;

  /**
   * @param {Element} container - its children with `data-key` are the rows, already in order
   * @param {HTMLElement | null} empty - shown while there are none
   */
  constructor(container, empty) {
    this.#container = container;
    this.#empty = empty;
  }

  /**
   * Make these all the rows there are. Those that stay as they are keep their element.
   * @param {{key: string, order: string, html: string}[]} rows
   * @param {{isFirst: boolean}} options - the first rows of an element are no change worth showing
   */
  replace(rows, { isFirst }) {
    const present = new Map(this.#elements().map((element) => [element.dataset.key, element]));
    const wanted = rows.toSorted(inOrder).map((row) => {
      const fresh = freshElement(row);
      const old = present.get(row.key);
      if (old && isSame(old, fresh)) return old;
      if (!isFirst) light(fresh);
      return fresh;
    });

    const kept = new Set(wanted);
    for (const element of present.values()) if (!kept.has(element)) element.remove();
    let next = this.#elements()[0] ?? null;
    for (const element of wanted) {
      if (element === next) next = nextRow(next);
      else this.#container.insertBefore(element, next);
    }
    this.#showEmpty(wanted.length === 0);
  }

  /** @param {{op: "upsert" | "delete", key: string, order?: string, html?: string}[]} changes */
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
      const at = place(elements, change);
      const restoreFocus = focusWithin(old);
      old?.remove();
      this.#container.insertBefore(fresh, elements[at] ?? null);
      elements.splice(at, 0, fresh);
      present.set(change.key, fresh);
      light(fresh);
      restoreFocus(fresh);
    }
    this.#showEmpty(elements.length === 0);
  }

  #elements() {
    return [...this.#container.children].filter((child) => child.hasAttribute("data-key"));
  }

  #showEmpty(isEmpty) {
    if (this.#empty) this.#empty.hidden = !isEmpty;
  }
}

/** A row's element, which says its key and order whatever its template does. */
function freshElement({ key, order, html }) {
  const element = parseElement(html);
  element.dataset.key = key;
  element.dataset.order = order;
  return element;
}

/** Whether a reader could not tell them apart; that the old one is lit up is no difference. */
function isSame(old, fresh) {
  if (!old.classList.contains(CHANGED)) return old.isEqualNode(fresh);
  const plain = old.cloneNode(true);
  dim(plain);
  return plain.isEqualNode(fresh);
}

function light(element) {
  element.classList.add(CHANGED);
  element.addEventListener("animationend", (event) => event.target === element && dim(element));
  setTimeout(() => dim(element), CHANGED_MS);
}

function dim(element) {
  element.classList.remove(CHANGED);
  if (element.classList.length === 0) element.removeAttribute("class");
}

function nextRow(element) {
  let next = element.nextElementSibling;
  while (next && !next.hasAttribute("data-key")) next = next.nextElementSibling;
  return next;
}

/** Index of the first element that comes after the row. @param {HTMLElement[]} elements - in order */
function place(elements, row) {
  let [low, high] = [0, elements.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const { key, order = "" } = elements[middle].dataset;
    if (inOrder({ key, order }, row) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Remember which part of a row has the focus. @returns {(fresh: Element) => void} gives it to the same part again */
function focusWithin(old) {
  const path = [];
  let element = document.activeElement;
  if (!old?.contains(element)) return () => {};
  for (; element !== old; element = element.parentElement) {
    path.unshift([...element.parentElement.children].indexOf(element));
  }
  return (fresh) => path.reduce((parent, index) => parent?.children[index], fresh)?.focus({ preventScroll: true });
}
