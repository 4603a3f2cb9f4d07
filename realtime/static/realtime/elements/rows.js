/** The rows of one topic in the document: children of one container, by key, in order. */

/** @import { Change, Row } from "../protocol/messages.js" */
/** @import { Entry } from "./row-index.js" */

import { compareRows } from "../protocol/order.js";
import { highlight, highlightParts } from "./highlight.js";
import { parseRow, textOf } from "./html.js";
import { morph } from "./morph.js";
import { insert } from "./move.js";
import { isSameNode } from "./pairs.js";
import { checkPlace } from "./placement.js";
import { RowIndex } from "./row-index.js";
import { slide } from "./slide.js";

export class Rows {
  #topic;
  #container;
  #empty;
  #index;
  #hasReportedRoots = false;
  /**
   * The HTML that the server has rendered for an element of the page, with the digest; absent while it is unknown.
   * @type {WeakMap<Element, {html: string, digest: number | undefined}>}
   */
  #rendered = new WeakMap();
  /** The rows that the current message inserts, moves or removes. @type {Set<Node>} */
  #touched = new Set();

  /**
   * @param {string} topic - for messages
   * @param {Element} container - its children with `data-key` are the rows, already in order
   * @param {HTMLElement | null} empty - shown while there are no rows
   */
  constructor(topic, container, empty) {
    this.#topic = topic;
    this.#container = container;
    this.#empty = empty;
    this.#index = new RowIndex(container);
    const { entries } = this.#index;
    const roots = entries.map(({ element }) => 1 + orphansOf(element).length);
    // One such element may be the page's own; the same after each of several rows is the template's.
    if (entries.length > 1 && roots[0] > 1 && roots.every((each) => each === roots[0])) this.#reportRoots(roots[0]);
    for (const { element, digest } of entries) this.#rendered.set(element, { html: textOf(element), digest });
  }

  /** @returns {number | null} the digest of the rows shown; null if one has none */
  digest() {
    return this.#index.digest;
  }

  /** Show no rows, and not the text for an empty topic either: whether it is empty is unknown. */
  clear() {
    this.#change(() => {
      for (const { element } of this.#index.entries) {
        if (this.#hasReportedRoots) for (const orphan of orphansOf(element)) orphan.remove();
        element.remove();
      }
      this.#index.outdate();
    });
    if (this.#empty) this.#empty.hidden = true;
  }

  /**
   * Show exactly these rows. Those that are shown already keep their element.
   * @param {Row[]} rows
   * @param {{isFirst: boolean}} options - isFirst: the element had no rows before, so none are highlighted
   * @returns {boolean} whether that changed anything
   */
  replace(rows, { isFirst }) {
    let hasChanged = false;
    this.#change(() => {
      const wasSorted = this.#index.isSorted;
      const wanted = new Set(rows.map(({ key }) => this.#index.get(key)));
      for (const entry of [...this.#index.entries]) {
        if (wanted.has(entry)) continue;
        this.#remove(entry);
        hasChanged = true;
      }
      // Not toSorted: it is newer than the oldest browsers that this client supports.
      for (const row of [...rows].sort(compareRows)) hasChanged = this.#show(row, !isFirst) || hasChanged;
      if (!wasSorted) {
        this.#sort();
        hasChanged = true;
      }
    });
    return hasChanged;
  }

  /** @param {Change[]} changes */
  apply(changes) {
    this.#change(() => {
      for (const change of changes) {
        if (change.op === "upsert") {
          this.#show(change, true);
        } else {
          const entry = this.#index.get(change.key);
          if (entry) this.#remove(entry);
        }
      }
    });
  }

  /** Keep the index in step with the document while rows change. @param {() => void} change */
  #change(change) {
    this.#index.sync();
    try {
      change();
    } catch (error) {
      this.#index.outdate();
      throw error;
    } finally {
      this.#index.expect(this.#touched);
      this.#touched.clear();
    }
    if (this.#empty) this.#empty.hidden = this.#index.entries.length > 0;
  }

  /** Put the rows in their order: a script of the page has moved some. */
  #sort() {
    const { entries } = this.#index;
    let last = this.#container.lastElementChild;
    while (last && !last.hasAttribute("data-key")) last = last.previousElementSibling;
    const end = last?.nextElementSibling ?? null;
    entries.sort(compareRows);
    for (const { element } of entries) {
      this.#touched.add(element);
      insert(this.#container, element, end);
    }
  }

  /** Called before a row moves, comes or goes. */
  #slide() {
    if (this.#container.hasAttribute("data-slide")) slide(this.#container);
  }

  /** @param {Entry} entry */
  #remove(entry) {
    this.#slide();
    this.#touched.add(entry.element);
    entry.element.remove();
    this.#index.delete(entry);
  }

  /**
   * Insert a row, or bring it up to date and to its place.
   * @param {Row} row
   * @param {boolean} isLit
   * @returns {boolean} whether that changed anything
   */
  #show(row, isLit) {
    const entry = this.#index.get(row.key);
    if (!entry) {
      const element = this.#parse(row);
      this.#place(element, row);
      if (isLit) highlight(element);
      return true;
    }
    const { element } = entry;
    const before = this.#known(entry);
    const isInPlace = entry.order === row.order;
    if (before === row.html && isInPlace && entry.digest === row.digest) return false;

    const fresh = this.#parse(row);
    const changed = this.#bringUpToDate(element, before, fresh, row);
    // A row of another tag name, or one whose state in the page is unknown, gets a new element.
    const shown = changed ? element : fresh;
    if (!changed) this.#replaceElement(element, fresh);
    if (isInPlace) {
      this.#index.update(entry, shown, row.digest);
      this.#rendered.set(shown, { html: row.html ?? "", digest: row.digest });
    } else {
      this.#index.delete(entry);
      this.#place(shown, row);
    }
    if (isLit) highlightParts(shown, changed && isInPlace ? changed : [shown]);
    return !changed || changed.size > 0 || !isInPlace;
  }

  /**
   * @param {HTMLElement} element
   * @param {string | null} before - what the server rendered for it
   * @param {HTMLElement} fresh
   * @param {Row} row
   * @returns {Set<Element> | null} the elements that have changed; null if the row needs a new element
   */
  #bringUpToDate(element, before, fresh, { key, order, digest }) {
    if (before === null) return null;
    const base = mark(parseRow(before, this.#container).element, { key, order, digest });
    if (element.tagName !== fresh.tagName || base.tagName !== fresh.tagName) return null;
    // Unknown until it has succeeded: what fails half-way is replaced as a whole by the snapshot that follows.
    this.#rendered.delete(element);
    mark(element, { key, order, digest });
    if (isSameNode(base, fresh)) return new Set();
    if (!announce(element, "before-morph", { key, element: fresh })) return new Set([element]);
    const changed = morph(element, base, fresh);
    announce(element, "after-morph", { key });
    return changed;
  }

  /** @param {HTMLElement} old @param {HTMLElement} fresh */
  #replaceElement(old, fresh) {
    const restoreFocus = focusWithin(old);
    this.#touched.add(old).add(fresh);
    old.replaceWith(fresh);
    restoreFocus(fresh);
  }

  /** @param {HTMLElement} element @param {Row} row */
  #place(element, { key, order, html = "", digest }) {
    this.#slide();
    this.#touched.add(element);
    insert(this.#container, element, this.#index.next({ key, order }));
    this.#index.add({ element, key, order, digest });
    this.#rendered.set(element, { html, digest });
  }

  /** What the server has rendered for a row; null if the page's scripts have changed its digest. @param {Entry} entry */
  #known({ element, digest }) {
    const rendered = this.#rendered.get(element);
    return rendered && rendered.digest === digest ? rendered.html : null;
  }

  /** A row's element, with its key and order whatever its template contains. @param {Row} row */
  #parse(row) {
    const { element, roots } = parseRow(row.html ?? "", this.#container);
    checkPlace(element, this.#container);
    if (roots > 1) this.#reportRoots(roots);
    return mark(element, row);
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
    for (const { element } of this.#index.entries) for (const orphan of orphansOf(element)) orphan.remove();
    this.#index.outdate();
  }
}

/** @param {HTMLElement} element @param {{key: string, order: string, digest?: number}} row */
function mark(element, { key, order, digest }) {
  element.dataset.key = key;
  element.dataset.order = order;
  if (digest === undefined) delete element.dataset.digest;
  else element.dataset.digest = String(digest);
  return element;
}

/** @param {Element} element @param {string} type @param {object} detail */
function announce(element, type, detail) {
  const cancelable = type.startsWith("before");
  return element.dispatchEvent(new CustomEvent(`realtime:${type}`, { bubbles: true, cancelable, detail }));
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
 * Remember which part of a row has the focus.
 * @param {Element} old
 * @returns {(fresh: Element) => void} focuses the same part of the new element
 */
function focusWithin(old) {
  /** @type {number[]} */
  const path = [];
  const { activeElement: focused } = /** @type {Document | ShadowRoot} */ (old.getRootNode());
  if (!focused || !old.contains(focused)) return () => {};
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
