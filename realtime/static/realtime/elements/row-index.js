/**
 * The rows of a container, by key and in order. Kept from change to change, so that one costs the same among ten thousand
 * rows as among ten; read from the document again whenever something else has changed the container's children.
 */

import { compareRows } from "../protocol/order.js";

/**
 * @typedef {object} Entry
 * @property {HTMLElement} element
 * @property {string} key
 * @property {string} order
 * @property {number | undefined} digest
 */

export class RowIndex {
  /** In the order of the document. @type {Entry[]} */
  entries = [];
  #container;
  /** @type {Map<string, Entry>} */
  #byKey = new Map();
  #digest = 0;
  #withoutDigest = 0;
  #isCurrent = false;
  #observers;

  /** @param {Element} container - its children with `data-key` are the rows, already in order */
  constructor(container) {
    this.#container = container;
    const outdate = () => {
      this.#isCurrent = false;
    };
    const [children, digests] = [new MutationObserver(outdate), new MutationObserver(outdate)];
    children.observe(container, { childList: true });
    digests.observe(container, { subtree: true, attributeFilter: ["data-digest"] });
    this.#observers = [children, digests];
    this.sync();
  }

  /** @returns {number | null} the xor of the digests of all rows; null if one has none */
  get digest() {
    this.sync();
    return this.#withoutDigest > 0 ? null : this.#digest >>> 0;
  }

  /** Read the rows again if the document has changed since the last `expect`. */
  sync() {
    if (this.#records().length > 0) this.#isCurrent = false;
    if (this.#isCurrent) return;
    this.#isCurrent = true;
    this.entries = [];
    this.#byKey.clear();
    this.#digest = this.#withoutDigest = 0;
    for (const child of this.#container.children) {
      if (!child.hasAttribute("data-key")) continue;
      const element = /** @type {HTMLElement} */ (child);
      const { key = "", order = "", digest } = element.dataset;
      const entry = { element, key, order, digest: digest ? Number(digest) : undefined };
      this.entries.push(entry);
      this.#byKey.set(key, entry);
      this.#count(entry.digest, 1);
    }
  }

  /**
   * Note that all changes of the document since the last `sync` are in the index.
   * @param {Set<Node>} told - rows that were inserted, moved or removed
   */
  expect(told) {
    for (const record of this.#records()) {
      const nodes = [...record.addedNodes, ...record.removedNodes];
      if (record.type === "childList" && nodes.some((node) => node instanceof Element && !told.has(node)))
        this.outdate();
    }
  }

  /** Read the rows again before they are used next. */
  outdate() {
    this.#isCurrent = false;
  }

  /** Whether the document shows the rows in their order. */
  get isSorted() {
    return this.entries.every((entry, index) => index === 0 || compareRows(this.entries[index - 1], entry) < 0);
  }

  /** @param {string} key */
  get(key) {
    return this.#byKey.get(key);
  }

  /** @param {Entry} entry */
  add(entry) {
    this.entries.splice(this.#indexFor(entry), 0, entry);
    this.#byKey.set(entry.key, entry);
    this.#count(entry.digest, 1);
  }

  /** @param {Entry} entry @param {HTMLElement} element @param {number | undefined} digest */
  update(entry, element, digest) {
    this.#count(entry.digest, -1);
    this.#count(digest, 1);
    Object.assign(entry, { element, digest });
  }

  /** @param {Entry} entry */
  delete(entry) {
    const index = this.#indexOf(entry);
    if (index >= 0) this.entries.splice(index, 1);
    if (this.#byKey.get(entry.key) === entry) this.#byKey.delete(entry.key);
    this.#count(entry.digest, -1);
  }

  /** The element before which a row belongs. @param {{key: string, order: string}} row */
  next(row) {
    return this.entries[this.#indexFor(row)]?.element ?? null;
  }

  #records() {
    return this.#observers.flatMap((observer) => observer.takeRecords());
  }

  /** @param {number | undefined} digest @param {1 | -1} times */
  #count(digest, times) {
    if (digest === undefined) this.#withoutDigest += times;
    else this.#digest ^= digest;
  }

  /** @param {Entry} entry */
  #indexOf(entry) {
    const index = this.#indexFor(entry);
    return this.entries[index] === entry ? index : this.entries.indexOf(entry);
  }

  /** Index of the first entry that does not precede the row. @param {{key: string, order: string}} row */
  #indexFor(row) {
    let [low, high] = [0, this.entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareRows(this.entries[middle], row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
