/**
 * Contributions of viewers on a board, without loading the page again: its forms are sent by fetch, and reactions are buttons in
 * the rows, whose numbers follow their topic. Without this script the same forms lead back to the page.
 */

import { make } from "./elements.js";

/** @typedef {{entry_id: number, kind: string, number: number}} Count */

/**
 * Post a form, with the button that was pressed.
 * @param {HTMLFormElement} form
 * @param {string} [name] - of the button
 * @param {string} [value]
 * @returns {Promise<{ok: boolean, words?: string, is_on?: boolean}>}
 */
async function post(form, name, value) {
  const body = new FormData(form);
  if (name) body.set(name, value ?? "");
  try {
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    if (response.headers.get("Content-Type") !== "application/json") return { ok: false, words: NOT_SENT };
    return { ok: response.ok, ...(await response.json()) };
  } catch {
    return { ok: false, words: NOT_SENT };
  }
}

const NOT_SENT = document.querySelector("[data-not-sent]")?.getAttribute("data-not-sent") ?? "";

/** @param {HTMLFormElement} form @returns {string} what its fields hold */
const textOf = (form) => JSON.stringify([...new FormData(form).values()]);

/** Send a form where it stands; what was typed stays until it has arrived. @param {HTMLFormElement} form */
function sendQuietly(form) {
  const output = /** @type {HTMLOutputElement} */ (form.querySelector("output"));
  let isSending = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSending) return;
    isSending = true;
    const button = /** @type {HTMLButtonElement | null} */ (event.submitter);
    const sent = textOf(form);
    const { ok, words } = await post(form, button?.name, button?.value);
    isSending = false;
    output.textContent = words ?? "";
    // What was typed meanwhile was not sent.
    if (ok && textOf(form) === sent) form.reset();
  });
}

class Reactions {
  #form;
  #table;
  #subscription;
  #said = make("output", { className: "voices-answer" });
  /** The reactions that this browser has chosen. @type {Set<string>} */
  #mine = new Set();
  /** @type {{kind: string, sign: string, label: string}[]} */
  #kinds;

  /** @param {HTMLElement} all - the list of all reactions @param {HTMLElement} entries - the `<live-topic>` of the entries */
  constructor(all, entries) {
    this.#form = /** @type {HTMLFormElement} */ (all.querySelector("form"));
    this.#table = entries;
    const templates = /** @type {HTMLElement[]} */ ([...all.querySelectorAll("[data-kind]")]);
    this.#kinds = templates.map(({ dataset }) => ({
      kind: dataset.kind ?? "",
      sign: dataset.sign ?? "",
      label: dataset.label ?? "",
    }));
    for (const button of all.querySelectorAll('[aria-pressed="true"]'))
      this.#mine.add(button.getAttribute("value") ?? "");
    const realtime = Reflect.get(window, "realtime");
    this.#subscription = realtime.subscribe(all.dataset.reactions, { onChange: () => this.#show() });
    entries.addEventListener("realtime:applied", () => this.#show());
    entries.after(this.#said);
    all.hidden = true;
    this.#show();
  }

  #show() {
    /** @type {Map<string, number>} */
    const numbers = new Map();
    for (const { row } of this.#subscription.rows.values()) numbers.set(`${row.entry_id}.${row.kind}`, row.number);
    for (const row of this.#table.querySelectorAll("[data-rows] > [data-key]")) {
      const cell = row.querySelector(".entry-note");
      if (!cell) continue;
      if (!cell.querySelector(".reactions")) cell.append(this.#buttons(row.getAttribute("data-key") ?? ""));
      const label = row.querySelector(".entry-label")?.textContent?.trim() ?? "";
      for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (cell.querySelectorAll(".reactions button"))) {
        const number = numbers.get(button.value) ?? 0;
        const text = number ? String(number) : "";
        const shown = /** @type {HTMLElement} */ (button.lastElementChild);
        if (shown.textContent !== text) shown.textContent = text;
        button.setAttribute("aria-pressed", String(this.#mine.has(button.value)));
        button.setAttribute("aria-label", `${button.title}: ${label}, ${number}`);
      }
    }
  }

  /** @param {string} key - of the entry */
  #buttons(key) {
    const buttons = this.#kinds.map(({ kind, sign, label }) => {
      const button = /** @type {HTMLButtonElement} */ (
        make(
          "button",
          { type: "button", value: `${key}.${kind}`, title: label },
          make("span", { "aria-hidden": "true" }, sign),
          " ",
          make("span", { className: "reactions-number" }),
        )
      );
      button.addEventListener("click", () => this.#press(button));
      return button;
    });
    return make("span", { className: "reactions" }, ...buttons);
  }

  /** @param {HTMLButtonElement} button */
  async #press(button) {
    button.disabled = true;
    const { is_on, words } = await post(this.#form, "press", button.value);
    button.disabled = false;
    this.#said.textContent = words ?? "";
    if (is_on) this.#mine.add(button.value);
    else if (is_on === false) this.#mine.delete(button.value);
    this.#show();
  }
}

for (const form of document.querySelectorAll("form[data-quiet]")) sendQuietly(/** @type {HTMLFormElement} */ (form));
const all = /** @type {HTMLElement | null} */ (document.querySelector("[data-reactions]"));
const entries = /** @type {HTMLElement | null} */ (document.querySelector('live-topic[topic^="entries."]'));
if (all && entries?.querySelector("[data-rows]")) new Reactions(all, entries);
