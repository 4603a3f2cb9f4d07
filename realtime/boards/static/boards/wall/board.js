/** One board of a wall: the page of rows that it shows, at the size at which they fill the screen. */

/** @import { WallPage } from "./pages.js" */
/** @import { Zone } from "./zones.js" */

import { pageOf, wantedAfter } from "./pages.js";
import { clock, date } from "./zones.js";

// A row is so high that it can be read from across a room, and no higher than that looks well: parts of the screen's
// shorter side. On an upright screen a row has two lines.
const WIDE = { least: 1 / 18, most: 1 / 8, leastPixels: 34 };
const UPRIGHT = { least: 1 / 11, most: 1 / 6, leastPixels: 52 };

export class WallBoard {
  #element;
  #rows;
  #label;
  #clock;
  #date;
  /** @type {WallPage} */
  #page = pageOf([], 1);
  /** The keys after this page when it was shown. @type {string[]} */
  #following = [];
  /** @type {Zone} */
  zone;

  /** @param {HTMLElement} element */
  constructor(element) {
    const { zone = "UTC", offset = "0" } = element.dataset;
    this.#element = element;
    this.zone = { name: zone, offsetSeconds: Number(offset) };
    this.#rows = /** @type {HTMLElement} */ (element.querySelector("[data-rows]"));
    this.#label = /** @type {HTMLElement} */ (element.querySelector(".wall-page"));
    this.#clock = /** @type {HTMLTimeElement} */ (element.querySelector(".wall-clock"));
    this.#date = /** @type {HTMLElement} */ (element.querySelector(".wall-date"));
  }

  /** @param {boolean} isShown */
  set isShown(isShown) {
    this.#element.hidden = !isShown;
  }

  get hasRows() {
    return this.#all.length > 0;
  }

  /** Show the first page. */
  begin() {
    this.#show([]);
  }

  /** Show the next page. @returns {boolean} whether there is one */
  turn() {
    const wanted = wantedAfter(this.#all.map(read), this.#page);
    if (wanted.length === 0) return false;
    this.#show(wanted);
    return true;
  }

  /** Show the same page with the rows as they are now, and as large as the screen is now. */
  layOut() {
    const present = new Set(this.#all.map((row) => row.dataset.key ?? ""));
    this.#show(this.#page.own.some((key) => present.has(key)) ? this.#page.own : this.#following);
  }

  /** @param {number} now - the server's time */
  showTime(now) {
    setText(this.#clock, clock(this.zone, now));
    setText(this.#date, date(this.zone, now));
  }

  get #all() {
    return /** @type {HTMLElement[]} */ ([...this.#rows.children].filter((row) => row.hasAttribute("data-key")));
  }

  /** @param {string[]} wanted */
  #show(wanted) {
    if (this.#element.hidden) return;
    const side = Math.min(innerWidth, innerHeight);
    const height = innerHeight - this.#rows.getBoundingClientRect().top - side * 0.05;
    const { least, most, leastPixels } = innerWidth > innerHeight ? WIDE : UPRIGHT;
    const rows = this.#all;
    this.#page = pageOf(rows.map(read), Math.max(1, Math.floor(height / Math.max(leastPixels, side * least))), wanted);
    this.#following = wantedAfter(rows.map(read), this.#page);
    const { keys, number, count, slots } = this.#page;
    for (const row of rows) {
      const isHidden = !keys.includes(read(row).key);
      if (row.hidden !== isHidden) row.hidden = isHidden;
    }
    const rowHeight = count > 1 ? height / slots : Math.min(height / slots, side * most);
    this.#element.style.setProperty("--row", `${rowHeight.toFixed(2)}px`);
    this.#label.hidden = count === 1;
    setText(this.#label, `${number}/${count}`);
  }
}

/** @param {HTMLElement} row */
function read(row) {
  return { key: row.dataset.key ?? "", isPinned: row.hasAttribute("data-pinned") };
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
