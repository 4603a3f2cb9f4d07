/** A row to fill in, which other users do not see before it is added. It stays until then, or until it is given up. */

import { button, make, once } from "./elements.js";
import { fieldNames } from "./field-names.js";
import { text } from "./texts.min.js";

export class DraftRow {
  /** The key of the entry above it; null at the end. @type {string | null} */
  above = null;
  #inputs;
  #onClose;

  /**
   * @param {string[]} fields
   * @param {[string, string][]} statuses - the names and words from which its status is chosen
   * @param {{onAdd: (draft: DraftRow) => Promise<void>, onClose: () => void}} handlers
   */
  constructor(fields, statuses, { onAdd, onClose }) {
    this.#onClose = onClose;
    this.#inputs = fields.map((name) => {
      const properties = {
        name,
        placeholder: fieldNames[name],
        "aria-label": text("{field} of the new entry", { field: fieldNames[name] }),
        autocomplete: "off",
      };
      const options = statuses.map(([value, word]) => make("option", { value }, word));
      const input = name === "status" ? make("select", properties, ...options) : make("input", properties);
      return /** @type {HTMLInputElement} */ (input);
    });
    const add = once(() => onAdd(this));
    const buttons = [button(text("Add"), add), button(text("Cancel"), () => this.close())];
    const cell = make("td", { colSpan: 6 }, make("div", { className: "edit-draft" }, ...this.#inputs, ...buttons));
    this.row = make("tr", { className: "entry is-draft" }, cell);
    this.row.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.target instanceof HTMLButtonElement) return;
      if (event.key === "Enter") add();
      if (event.key === "Escape") this.close();
    });
  }

  get values() {
    return Object.fromEntries(this.#inputs.map(({ name, value }) => [name, value]));
  }

  get hasInput() {
    return this.#inputs.some(({ value }) => value.trim());
  }

  focus() {
    this.#inputs[0].focus();
  }

  /** The entry was added: close, unless other values have been entered since. @param {Record<string, string>} values */
  added(values) {
    if (this.#inputs.every(({ name, value }) => value === values[name])) this.close();
  }

  close() {
    this.row.remove();
    this.#onClose();
  }
}
