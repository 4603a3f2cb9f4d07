/**
 * One cell of a board while an editor types in it. It lies over the cell's text, so that rows stay live below it, and stays
 * until what was typed is saved or given up: a conflict, an error and a lost connection keep it.
 */

import { button, make } from "./elements.js";
import { reasonOf } from "./failure.js";
import { fieldNames } from "./field-names.js";
import { text } from "./texts.min.js";

const SHOWN_MS = 3_000;

export class CellEditor {
  #board;
  #form;
  #question = make("div", { className: "edit-question", role: "alert" });
  /** @type {HTMLInputElement[]} */
  #inputs = [];
  /** The fields in which something was typed. @type {Set<string>} */
  #touched = new Set();
  /** The save that is under way. @type {Promise<void> | null} */
  #saving = null;
  #hasAsked = false;

  /**
   * @param {import("./editing.js").Editing} board
   * @param {string} key - of the entry
   * @param {HTMLElement} cell
   * @param {string[]} names - the fields that the cell shows
   */
  constructor(board, key, cell, names) {
    this.#board = board;
    this.key = key;
    this.names = names;
    this.kind = /** @type {string} */ (cell.dataset.cell);
    const entry = board.entry(key);
    /** The values that the editor has seen. @type {Record<string, string>} */
    this.seen = Object.fromEntries(names.map((name) => [name, entry[name]]));
    for (const name of names) {
      const field = `${fieldNames[name][0].toUpperCase()}${fieldNames[name].slice(1)}`;
      const label = text("{field} of {label}", { field, label: entry.label });
      const input = /** @type {HTMLInputElement} */ (
        make("input", { value: entry[name], className: `edit-${name}`, "aria-label": label, autocomplete: "off" })
      );
      if (name === "unit") input.placeholder = fieldNames.unit;
      input.addEventListener("input", () => this.#touched.add(name));
      this.#inputs.push(input);
    }
    this.#form = make("div", { className: "edit-form" }, ...this.#inputs, this.#question);
    this.#form.addEventListener("keydown", (event) => this.#press(event));
    this.#form.addEventListener("focusout", () => setTimeout(() => this.#leave()));
    this.place(cell);
    this.#inputs[0].select();
  }

  /** @param {HTMLElement} cell - of this entry; another one after its row was rendered anew */
  place(cell) {
    this.cell = cell;
    cell.classList.add("is-editing");
    cell.append(this.#form);
    this.#inputs[0].focus();
  }

  get typed() {
    return Object.fromEntries(this.names.map((name, index) => [name, this.#inputs[index].value.trim()]));
  }

  get changes() {
    return Object.fromEntries(Object.entries(this.typed).filter(([name, typed]) => typed !== this.seen[name]));
  }

  get #isFocused() {
    return this.#form.contains(document.activeElement);
  }

  /** Replace the content by the first character that was typed. @param {string} typed */
  begin(typed) {
    this.#inputs[0].value = typed;
    this.#touched.add(this.names[0]);
  }

  /** Handle a change of the entry by another editor. @param {Record<string, string>} entry */
  update(entry) {
    if (this.#saving || this.#hasAsked) return;
    const typed = this.typed;
    /** @type {Record<string, string>} */
    const conflict = {};
    for (const name of this.names) {
      if (entry[name] === this.seen[name]) continue;
      if (this.#touched.has(name)) {
        if (typed[name] !== entry[name]) conflict[name] = entry[name];
        continue;
      }
      this.seen[name] = entry[name];
      const input = this.#inputs[this.names.indexOf(name)];
      input.value = entry[name];
      if (input === document.activeElement) input.select();
    }
    // The focus stays where the editor types.
    if (Object.keys(conflict).length > 0) this.#ask(conflict);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    event.stopPropagation();
    if (event.key === "Escape") this.close();
    if (event.target instanceof HTMLButtonElement) return;
    const isLast = event.target === this.#inputs[this.#inputs.length - 1];
    const isFirst = event.target === this.#inputs[0];
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      if (this.#hasAsked) this.#question.querySelector("button")?.focus();
      else this.#saveAndStep(event.shiftKey ? "up" : "down");
    } else if (event.key === "Tab" && (event.shiftKey ? isFirst : isLast)) {
      if (this.#hasAsked) return;
      event.preventDefault();
      this.#saveAndStep(event.shiftKey ? "back" : "forth");
    }
  }

  /** @param {"up" | "down" | "back" | "forth"} direction */
  #saveAndStep(direction) {
    this.save();
    this.#board.step(this.cell, direction);
  }

  /** Save the input when the focus leaves, unless there is a question to answer. */
  #leave() {
    if (this.#isFocused || !document.hasFocus() || this.#hasAsked || !this.#form.isConnected) return;
    this.save();
  }

  /** Save what was typed and close; after a conflict or an error stay open. */
  save() {
    if (this.#hasAsked) return Promise.resolve();
    this.#saving ??= this.#save().finally(() => {
      this.#saving = null;
      this.#form.classList.remove("is-saving");
    });
    return this.#saving;
  }

  async #save() {
    const changes = this.changes;
    const names = Object.keys(changes);
    if (names.length === 0) {
      this.close();
      return;
    }
    this.#form.classList.add("is-saving");
    const seen = Object.fromEntries(names.map((name) => [name, this.seen[name]]));
    const { label } = this.#board.entry(this.key) ?? this.seen;
    try {
      const answer = await this.#board.call(
        "set",
        { entry: Number(this.key), changes, seen },
        text("“{label}” saved", { label }),
      );
      if (answer.conflict) this.#ask(answer.conflict);
      else if (answer.gone) this.#board.lost(this);
      else await this.#shown(changes);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Close when the row shows the saved values: the old text must not flash. @param {Record<string, string>} changes */
  async #shown(changes) {
    Object.assign(this.seen, changes);
    const isShown = () => {
      const entry = this.#board.entry(this.key);
      return !entry || Object.entries(changes).every(([name, value]) => entry[name] === value);
    };
    await this.#board.until(isShown, SHOWN_MS);
    // What was typed while the server was saving is not saved yet.
    if (Object.keys(this.changes).length === 0) this.close();
    else if (!this.#isFocused) await this.#save();
  }

  /** @param {unknown} error */
  #report(error) {
    this.#question.replaceChildren(
      text("Not saved: {reason} Enter tries again, Escape gives it up.", { reason: reasonOf(error) }),
    );
  }

  /** Both have changed a value: show both, and let the editor choose. @param {Record<string, string>} theirs */
  #ask(theirs) {
    this.#hasAsked = true;
    const words = (/** @type {Record<string, string>} */ values) =>
      Object.keys(theirs)
        .map((name) => `“${values[name]}”`)
        .join(", ");
    const mine = () => text("Keep mine: {value}", { value: words(this.typed) });
    const keep = button(mine(), () => {
      this.#hasAsked = false;
      Object.assign(this.seen, theirs);
      this.#question.replaceChildren();
      this.save();
    });
    const take = button(text("Take theirs: {value}", { value: words(theirs) }), () => {
      this.#hasAsked = false;
      Object.assign(this.seen, theirs);
      for (const name of Object.keys(theirs)) this.#inputs[this.names.indexOf(name)].value = theirs[name];
      this.#question.replaceChildren();
      this.save();
    });
    this.#question.replaceChildren(
      make("p", {}, text("Changed meanwhile to {value}.", { value: words(theirs) })),
      keep,
      take,
    );
    for (const input of this.#inputs) input.addEventListener("input", () => keep.replaceChildren(mine()));
  }

  focus() {
    this.#inputs[0].focus();
  }

  close() {
    const hadFocus = this.#isFocused;
    this.#form.remove();
    this.cell?.classList.remove("is-editing");
    this.#board.closed(this, hadFocus);
  }
}
