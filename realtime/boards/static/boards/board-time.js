/**
 * `<board-time datetime="2026-11-26T08:40:00+01:00" data-zone="Europe/Oslo">`: a time, and by the server's clock how soon it
 * is: "08:40 in 3 min". Its content, the date and the time, is what pages without scripts show, and what the server renders
 * again; this is shown in its place.
 */

import { serverNow } from "./wall/server-clock.js";
import { format } from "./wall/zones.js";

const MINUTE_MS = 60_000;
const NEAR_MINUTES = 100;
// Days of all zones begin at a quarter of an hour.
const QUARTER_MS = 15 * MINUTE_MS;

/** @type {Set<BoardTime>} */
const shown = new Set();

export class BoardTime extends HTMLElement {
  #day = document.createElement("span");
  #clock = document.createElement("span");
  #soon = document.createElement("span");
  #atMs = Number.NaN;
  /** What is shown depends on this alone. */
  #moment = "";

  static get observedAttributes() {
    return ["datetime", "data-zone"];
  }

  constructor() {
    super();
    const parts = { day: this.#day, clock: this.#clock, soon: this.#soon };
    for (const [name, part] of Object.entries(parts)) part.setAttribute("part", name);
    this.attachShadow({ mode: "open" }).append(this.#day, this.#clock, this.#soon);
  }

  connectedCallback() {
    shown.add(this);
    this.show();
  }

  disconnectedCallback() {
    shown.delete(this);
  }

  attributeChangedCallback() {
    this.#atMs = Date.parse(this.getAttribute("datetime") ?? "");
    this.#moment = "";
    this.show();
  }

  show(nowMs = serverNow()) {
    const at = this.getAttribute("datetime") ?? "";
    const minutes = Math.trunc((this.#atMs - nowMs) / MINUTE_MS);
    const moment = `${Math.abs(minutes) < NEAR_MINUTES ? minutes : "far"} ${Math.floor(nowMs / QUARTER_MS)}`;
    if (Number.isNaN(this.#atMs) || moment === this.#moment) return;
    this.#moment = moment;
    const offset = at.match(/([+-])(\d\d):(\d\d)$/);
    const seconds = offset ? Number(`${offset[1]}1`) * (Number(offset[2]) * 60 + Number(offset[3])) * 60 : 0;
    const zone = { name: this.dataset.zone ?? "UTC", offsetSeconds: seconds };
    // That of the board: its row says it elsewhere, too, whatever the language of the page.
    const language = this.closest("[lang]")?.getAttribute("lang") || "en";
    /** @param {number} ms */
    const day = (ms) => format(zone, { weekday: "short", day: "numeric", month: "short" }, ms, language);
    const isToday = day(this.#atMs) === day(nowMs);
    setText(this.#day, isToday ? "" : `${day(this.#atMs)} `);
    setText(this.#clock, at.slice(11, 16));
    const words = soon(minutes, language);
    setText(this.#soon, words && ` ${words}`);
  }
}

/**
 * How soon something is: "in 3 min", "now", "2 min ago"; "" if that is long.
 * @param {number} minutes - whole ones that are left, or have passed @param {string} language
 */
function soon(minutes, language) {
  if (Math.abs(minutes) >= NEAR_MINUTES) return "";
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "short" });
  return minutes === 0 ? words.format(0, "second") : words.format(minutes, "minute");
}

/** @param {HTMLElement} element @param {string} text */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

customElements.define("board-time", BoardTime);
setInterval(() => {
  const now = serverNow();
  for (const each of shown) each.show(now);
}, 1000);
