/**
 * Editing on the board itself. Cells are edited where they stand, over actions of the server (realtime/boards/editing.py)
 * that write only over what this editor has seen. Without this script "Edit" leads to the admin.
 *
 * Keys: arrows move between cells, Enter or a letter edits, Escape gives up, Alt and arrows move the row, Alt and Enter adds
 * one below, Shift and Delete deletes it, Ctrl and Z undoes. Rows that were copied from a spreadsheet are pasted.
 */

import { CellEditor } from "./cell-editor.js";
import { DraftRow } from "./draft-row.js";
import { button, make, once } from "./elements.js";
import { reasonOf } from "./failure.js";
import { fieldNames } from "./field-names.js";
import { OtherEditors } from "./other-editors.js";
import { rowsOf } from "./pasted.js";
import { makeDraggable } from "./row-drag.js";
import { text } from "./texts.min.js";
import { editTimes } from "./times-dialog.js";

const MOVED_MS = 3_000;
const PREVIEW_ROWS = 8;
const FIELDS = ["label", "value", "unit", "status", "note"];
/** The cells that are edited, by the class of each, with the fields that it shows. @type {Record<string, string[]>} */
const CELLS = { label: ["label"], value: ["value", "unit"], note: ["note"] };

/** @typedef {Record<string, string>} Entry */

export class Editing {
  #realtime;
  #element;
  #table;
  #board;
  #statuses;
  /** @type {any} */
  #subscription = null;
  /** @type {OtherEditors | null} */
  #others = null;
  /** @type {Set<CellEditor>} */
  #editors = new Set();
  /** @type {string[]} */
  #undone = [];
  /** @type {Set<() => void>} */
  #waiting = new Set();
  #moves = Promise.resolve();
  /** The statuses that are being set, by the key of each entry. @type {Map<string, Promise<void>>} */
  #statusesBeingSet = new Map();
  /** @type {DraftRow | null} */
  #draft = null;
  /** Whether the bar offers input whose entry was deleted. */
  #hasLost = false;
  /** Whether the values of the rows are there: nothing can be edited before. */
  #isReady = false;
  #status = make("output", { className: "edit-status-line" });
  #undo = button(text("Undo"), () => this.undo(), { title: "Ctrl+Z" });
  #bar;
  #onDone;
  /** Functions that remove the listeners. @type {(() => void)[]} */
  #listeners = [];

  /**
   * @param {any} realtime
   * @param {HTMLElement} element - the `<live-topic>` of the entries
   * @param {{board: number, statuses: [string, string][], onDone: () => void}} options
   */
  constructor(realtime, element, { board, statuses, onDone }) {
    this.#realtime = realtime;
    this.#element = element;
    this.#table = /** @type {HTMLTableElement} */ (element.querySelector("table"));
    this.#board = board;
    this.#statuses = statuses;
    this.#onDone = onDone;
    const add = button(text("Add entry"), () => this.draft(null));
    this.#bar = make(
      "div",
      { className: "edit-bar", role: "toolbar", "aria-label": text("Editing") },
      add,
      this.#undo,
      button(
        text("Done"),
        once(() => this.#finish()),
      ),
      this.#status,
    );
    this.#showUndo();
  }

  start() {
    if (!customElements.get("board-time")) import("./times.js");
    const topic = this.#element.getAttribute("topic");
    this.#subscription = this.#realtime.subscribe(topic, {
      onUpdate: (/** @type {any} */ { key, row }) => {
        for (const editor of this.#editors) if (editor.key === key) editor.update(row);
      },
      onChange: () => this.#changed(),
      onStatus: () => this.#subscription && this.#changed(),
    });
    this.#others = new OtherEditors(this.#realtime, this.#board, (key) => this.#row(key));
    this.#element.before(this.#bar);
    this.#table.classList.add("is-edited");
    this.#table.style.setProperty("--set-status", JSON.stringify(text("Set status")));
    this.#table.setAttribute("role", "grid");
    this.#listen(this.#element, "realtime:applied", () => this.#changed());
    this.#listen(this.#table, "click", (event) => this.#click(/** @type {MouseEvent} */ (event)));
    this.#listen(this.#table, "keydown", (event) => this.#press(/** @type {KeyboardEvent} */ (event)));
    this.#listen(this.#table, "focusin", (event) => this.#rove(event.target));
    this.#listen(document, "paste", (event) => this.#paste(/** @type {ClipboardEvent} */ (event)));
    this.#listen(document, "keydown", (event) => this.#pressAnywhere(/** @type {KeyboardEvent} */ (event)));
    this.#listen(window, "beforeunload", (event) => {
      if (!this.#hasInput) return;
      event.preventDefault();
      Reflect.set(event, "returnValue", true); // Chromium asks for this up to 118
    });
    this.say(text("Waiting for the entries …"));
    this.#changed();
  }

  /** The values are there: let them be edited. */
  #begin() {
    this.#isReady = true;
    const order = this.#sorting
      ? text("Rows are sorted by themselves.")
      : text("Drag ⠿, or press Alt and an arrow key, to move a row.");
    this.say(`${text("Choose a cell to edit it, ◷ for when a row is shown.")} ${order}`);
    for (const row of this.#rows()) this.#equip(row);
    this.#stops()[0]?.focus();
  }

  /** Listen until the end: Chromium 87 has no `signal` of listeners. @param {EventTarget} target @param {string} type @param {(event: Event) => void} listener */
  #listen(target, type, listener) {
    target.addEventListener(type, listener);
    this.#listeners.push(() => target.removeEventListener(type, listener));
  }

  /** End when all that was typed is saved; otherwise show what is not. */
  async #finish() {
    this.#hasLost = false;
    if (this.#editors.size > 0) this.say(text("Saving …"));
    await Promise.all([...this.#editors].map((editor) => editor.save()));
    if (this.#hasLost) return;
    const [open] = this.#editors;
    const unsaved = open ?? (this.#draft?.hasInput ? this.#draft : null);
    if (!unsaved) {
      this.#onDone();
      return;
    }
    this.say(text("Something that you have typed is not saved yet: save it, or give it up with Escape."));
    unsaved.focus();
  }

  get #hasInput() {
    return this.#draft?.hasInput || [...this.#editors].some(({ changes }) => Object.keys(changes).length > 0);
  }

  end() {
    for (const remove of this.#listeners) remove();
    this.#subscription.unsubscribe();
    this.#others?.end();
    this.#bar.remove();
    this.#table.classList.remove("is-edited");
    this.#table.removeAttribute("role");
    this.#draft?.row.remove();
    for (const tool of this.#table.querySelectorAll(".edit-status, .entry-tools")) tool.remove();
    for (const cell of this.#table.querySelectorAll("[data-cell]")) {
      cell.removeAttribute("tabindex");
      cell.removeAttribute("data-cell");
    }
  }

  /** @param {string} key @returns {Entry} as it is now; undefined if it is gone */
  entry(key) {
    return this.#subscription.rows.get(key)?.row;
  }

  /** @param {string} words @param {(Node | string)[]} choices */
  say(words, ...choices) {
    this.#status.replaceChildren(words, ...choices);
  }

  /**
   * @param {string} action
   * @param {object} args
   * @param {string | ((answer: any) => string)} done - the message after success
   * @returns {Promise<any>}
   */
  async call(action, args, done) {
    const answer = await this.#realtime.call(`entries.${action}`, { ...args, language: document.documentElement.lang });
    const words = typeof done === "string" ? done : done(answer);
    if (answer.is_too_large) this.say(`${words}. ${text("This is too large to be undone here.")}`);
    if (answer.undo) {
      this.#undone.push(answer.undo);
      this.#showUndo();
      this.say(
        `${words}. `,
        button(text("Undo"), () => this.undo(answer.undo)),
      );
    }
    return answer;
  }

  /**
   * Like `call`, but an error is shown in the bar.
   * @param {string} action @param {object} args @param {string} done @param {() => void} [again] - repeats it
   */
  async #try(action, args, done, again) {
    try {
      const answer = await this.call(action, args, done);
      if (answer.gone) this.#sayGone();
      return answer;
    } catch (error) {
      const choices = again ? [" ", button(text("Try again"), again)] : [];
      this.say(text("Not done: {reason}", { reason: reasonOf(error) }), ...choices);
      return {};
    }
  }

  #sayGone() {
    this.say(text("That entry was deleted meanwhile."));
  }

  /** Wait until a condition holds, which is checked after each change of the rows. @param {() => boolean} isSo @param {number} ms */
  until(isSo, ms) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const look = () => {
          if (!isSo()) return;
          end();
        };
        const end = () => {
          clearTimeout(timer);
          this.#waiting.delete(look);
          resolve();
        };
        const timer = setTimeout(end, ms);
        this.#waiting.add(look);
        look();
      })
    );
  }

  /** @param {string | undefined} token - by default of the last change */
  async undo(token = this.#undone[this.#undone.length - 1]) {
    if (!token) return;
    this.#undone = this.#undone.filter((each) => each !== token);
    this.#showUndo();
    try {
      const answer = await this.#realtime.call("entries.undo", { token, language: document.documentElement.lang });
      const words = answer.left.length > 0 ? `${answer.left.join("; ")}. ` : `${text("Undone.")} `;
      this.say(words, ...(answer.undo ? [button(text("Redo"), () => this.undo(answer.undo))] : []));
    } catch (error) {
      this.#undone.push(token);
      this.#showUndo();
      this.say(text("Not undone: {reason}", { reason: reasonOf(error) }));
    }
  }

  #showUndo() {
    /** @type {HTMLButtonElement} */ (this.#undo).disabled = this.#undone.length === 0;
  }

  /** @param {CellEditor} editor @param {boolean} hadFocus */
  closed(editor, hadFocus) {
    this.#editors.delete(editor);
    this.#tellOthers();
    if (hadFocus) editor.cell?.focus();
  }

  /** The entry of an editor was deleted: offer to add it again with the input. @param {CellEditor} editor */
  lost(editor) {
    const known = this.#lastKnown.get(editor.key);
    const values = { ...Object.fromEntries(FIELDS.map((name) => [name, known?.[name] ?? ""])), ...editor.typed };
    const typed = Object.values(editor.changes)
      .map((value) => `“${value}”`)
      .join(", ");
    editor.close();
    if (!typed) return;
    this.#hasLost = true;
    const add = once(() => this.#try("add", { board: this.#board, values }, text("“{label}” added", values), add));
    const again = button(text("Add it again with that"), add);
    this.say(
      `${text("“{label}” was deleted meanwhile; you entered {typed}.", { label: values.label, typed })} `,
      again,
    );
  }

  /** The values of deleted entries. @type {Map<string, Entry>} */
  #lastKnown = new Map();

  /** After each change of the rows: equip new ones, and look after open editors. */
  #changed() {
    for (const [key, { row }] of this.#subscription.rows) this.#lastKnown.set(key, row);
    if (this.#isReady) for (const row of this.#rows()) this.#equip(row);
    else if (this.#subscription.status.state === "live" || this.#subscription.rows.size > 0) this.#begin();
    for (const editor of this.#editors) {
      if (editor.cell?.isConnected) continue;
      const cell = /** @type {HTMLElement | null} */ (
        this.#row(editor.key)?.querySelector(`[data-cell="${editor.kind}"]`) ?? null
      );
      if (cell) editor.place(cell);
      else this.lost(editor);
    }
    this.#others?.show();
    for (const look of [...this.#waiting]) look();
  }

  /** @returns {HTMLElement[]} */
  #rows() {
    return [...this.#table.querySelectorAll(/** @type {"tr"} */ ("[data-rows] > [data-key]"))];
  }

  /** @param {string} key */
  #row(key) {
    return this.#rows().find((row) => row.dataset.key === key);
  }

  /** Give a row the controls for editing it. Scripts' elements stay when the row changes. @param {HTMLElement} row */
  #equip(row) {
    const key = /** @type {string} */ (row.dataset.key);
    for (const kind of Object.keys(CELLS)) {
      const cell = /** @type {HTMLElement | null} */ (row.querySelector(`.entry-${kind}`));
      if (!cell || cell.dataset.cell) continue;
      cell.dataset.cell = kind;
      cell.tabIndex = -1;
    }
    const label = this.entry(key)?.label ?? "";
    let select = /** @type {HTMLSelectElement | null} */ (row.querySelector(".edit-status"));
    if (!select) {
      select = /** @type {HTMLSelectElement} */ (make("select", { className: "edit-status", tabIndex: -1 }));
      for (const [value, name] of this.#statuses) select.append(make("option", { value }, name));
      select.addEventListener("change", () => this.#setStatus(key));
      row.querySelector(".entry-status")?.append(select);
      row.append(this.#tools(row, key));
    }
    select.setAttribute("aria-label", text("Status of {label}", { label }));
    for (const tool of row.querySelectorAll("[data-says]"))
      tool.setAttribute("aria-label", `${tool.getAttribute("data-says")} ${label}`);
    const status = this.entry(key)?.status ?? select.value;
    if (![...select.options].some((option) => option.value === status))
      select.append(make("option", { value: status }, status));
    if (!select.matches(".is-saving")) select.value = status;
  }

  /** @param {HTMLElement} row @param {string} key */
  #tools(row, key) {
    const tool = (
      /** @type {string} */ sign,
      /** @type {string} */ says,
      /** @type {() => void} */ action,
      properties = {},
    ) => button(sign, action, { "data-says": says, title: says, tabIndex: -1, ...properties });
    const handle = tool("⠿", text("Drag, or Alt and arrow keys:"), () => {}, { className: "edit-handle edit-stop" });
    makeDraggable(handle, row, (target, isBefore) => this.#drop(key, target, isBefore));
    return make(
      "td",
      { className: "entry-tools" },
      handle,
      tool(
        "◷",
        text("Times of"),
        once(() => this.#editTimes(key)),
        { className: "edit-stop" },
      ),
      tool("↑", text("Move up"), () => this.move(key, -1), { className: "edit-for-readers" }),
      tool("↓", text("Move down"), () => this.move(key, 1), { className: "edit-for-readers" }),
      tool("+", text("Add below"), () => this.draft(key), { className: "edit-stop" }),
      tool(
        "×",
        text("Delete"),
        once(() => this.remove(key)),
        { className: "edit-stop" },
      ),
    );
  }

  /** The sorting of the board; "" if it is by hand. */
  get #sorting() {
    return this.#table.dataset.sorting ?? "";
  }

  /** @param {string} key */
  async #editTimes(key) {
    try {
      await editTimes(this, key);
    } catch (error) {
      this.say(text("Not possible now: {reason}", { reason: reasonOf(error) }));
    }
  }

  /** Set the chosen status. Choices in one row follow one another, each on what the last one has set. @param {string} key */
  async #setStatus(key) {
    const select = /** @type {HTMLSelectElement | null} */ (this.#row(key)?.querySelector(".edit-status") ?? null);
    if (!select) return;
    const wanted = select.value;
    const setting = (this.#statusesBeingSet.get(key) ?? Promise.resolve()).then(() => this.#setStatusNow(key, wanted));
    this.#statusesBeingSet.set(key, setting);
    select.classList.add("is-saving");
    await setting;
    if (this.#statusesBeingSet.get(key) !== setting) return;
    this.#statusesBeingSet.delete(key);
    select.classList.remove("is-saving");
    this.#changed();
  }

  /** @param {string} key @param {string} wanted */
  async #setStatusNow(key, wanted) {
    if (!this.entry(key)) {
      this.#sayGone();
      return;
    }
    const { status, label } = this.entry(key);
    const seen = { status };
    const set = once(async () => {
      const args = { entry: Number(key), changes: { status: wanted }, seen };
      const answer = await this.#try("set", args, text("Status of “{label}” saved", { label }), set);
      if (answer.undo) await this.until(() => (this.entry(key)?.status ?? wanted) === wanted, MOVED_MS);
      const { conflict } = answer;
      if (!conflict) return;
      const names = new Map(this.#statuses);
      seen.status = conflict.status;
      const keep = button(text("Keep mine: {value}", { value: names.get(wanted) }), set);
      const take = button(text("Take theirs: {value}", { value: names.get(conflict.status) ?? conflict.status }), () =>
        this.say(""),
      );
      this.say(`${text("The status of “{label}” was changed meanwhile.", { label })} `, keep, take);
    });
    await set();
  }

  /** @param {string} key @param {HTMLElement} target @param {boolean} isBefore */
  #drop(key, target, isBefore) {
    const rows = this.#rows().filter((row) => row.dataset.key !== key);
    this.#moveTo(key, rows.indexOf(target) + (isBefore ? 0 : 1));
  }

  /** Move a row by places. Moves follow one another, each from where the last one has put the row. @param {string} key @param {number} by */
  move(key, by) {
    this.#afterOthers(async () => {
      const place = this.#rows().findIndex((row) => row.dataset.key === key);
      if (place >= 0) await this.#moveNow(key, place + by);
    });
  }

  /** Move after the moves that are under way. One that fails does not end those after it. @param {() => Promise<void>} move */
  #afterOthers(move) {
    this.#moves = this.#moves
      .then(move)
      .catch((error) => this.say(text("Not moved: {reason}", { reason: error.message })));
  }

  /** @param {string} key @param {number} place - among the others */
  #moveTo(key, place) {
    this.#afterOthers(() => this.#moveNow(key, place));
  }

  /** @param {string} key @param {number} place */
  async #moveNow(key, place) {
    if (this.#sorting) {
      this.say(text("Not moved: this board is sorted by itself. The admin's form of the board can change that."));
      return;
    }
    const others = this.#rows().filter((row) => row.dataset.key !== key);
    if (place < 0 || place > others.length || !this.entry(key)) return;
    const number = (/** @type {HTMLElement | undefined} */ row) => (row ? Number(row.dataset.key) : null);
    const [after, before] = [number(others[place - 1]), number(others[place])];
    const { label } = this.entry(key);
    const args = { entry: Number(key), after, before };
    const answer = await this.#try(
      "move",
      args,
      text("“{label}” moved to place {place} of {count}", { label, place: place + 1, count: others.length + 1 }),
      () => this.#moveTo(key, place),
    );
    if (!answer.undo && !answer.is_too_large) return;
    await this.until(() => this.#rows()[place]?.dataset.key === key, MOVED_MS);
    this.#row(key)?.scrollIntoView({ block: "nearest" });
  }

  /** @param {string} key */
  async remove(key, entry = this.entry(key)) {
    if (!entry) {
      this.#sayGone();
      return;
    }
    const seen = Object.fromEntries(FIELDS.map((name) => [name, entry[name]]));
    const again = () => this.remove(key, entry);
    const { conflict } = await this.#try(
      "delete",
      { entry: Number(key), seen },
      text("“{label}” deleted", entry),
      again,
    );
    if (!conflict) return;
    const words = Object.entries(conflict)
      .map(([name, value]) => `${fieldNames[name]} “${value}”`)
      .join(", ");
    const anyway = button(text("Delete it anyway"), () => this.remove(key, { ...entry, ...conflict }));
    this.say(
      `${text("“{label}” was changed meanwhile: {changes}.", { label: entry.label, changes: words })} `,
      anyway,
      button(text("Keep it"), () => this.say("")),
    );
  }

  /** Show a row to fill in; one that is open moves there with its input. @param {string | null} key - of the entry above; null: at the end */
  draft(key) {
    this.#draft ??= new DraftRow(FIELDS, this.#statuses, {
      onAdd: (draft) => this.#add(draft),
      onClose: () => {
        this.#draft = null;
      },
    });
    this.#draft.above = key;
    const above = key === null ? undefined : this.#row(key);
    if (above) above.after(this.#draft.row);
    else this.#table.tBodies[0].append(this.#draft.row);
    this.#draft.focus();
  }

  /** @param {DraftRow} draft */
  async #add(draft) {
    const { values, above } = draft;
    const rows = this.#rows();
    const index = rows.findIndex((row) => row.dataset.key === above);
    const place = above === null ? {} : { after: Number(above), before: Number(rows[index + 1]?.dataset.key) || null };
    const args = { board: this.#board, values, ...place };
    const { keys } = await this.#try("add", args, text("“{label}” added", values));
    if (!keys) return;
    draft.added(values);
    await this.until(() => this.#row(keys[0]) !== undefined, MOVED_MS);
    if (this.#draft) return;
    /** @type {HTMLElement | null} */ (this.#row(keys[0])?.querySelector("[data-cell]") ?? null)?.focus();
  }

  /** @returns {HTMLElement[]} the elements that the arrow keys reach, row by row */
  #stops(within = /** @type {ParentNode} */ (this.#table)) {
    return [...within.querySelectorAll(/** @type {"a"} */ ("[data-cell], .edit-status, .edit-stop"))];
  }

  /** One stop can be reached by Tab: the last one that had the focus. @param {EventTarget | null} target */
  #rove(target) {
    const stops = this.#stops();
    if (!(target instanceof HTMLElement) || !stops.includes(target)) return;
    for (const stop of stops) stop.tabIndex = stop === target ? 0 : -1;
  }

  /** @param {HTMLElement | undefined} from @param {"up" | "down" | "back" | "forth"} direction */
  step(from, direction) {
    const row = from?.closest("tr");
    if (!from || !row) return;
    if (direction === "back" || direction === "forth") {
      const stops = this.#stops();
      stops[stops.indexOf(from) + (direction === "forth" ? 1 : -1)]?.focus();
      return;
    }
    const index = this.#stops(row).indexOf(from);
    const rows = this.#rows();
    const next = rows[rows.indexOf(row) + (direction === "down" ? 1 : -1)];
    if (next) this.#stops(next)[index]?.focus();
  }

  /** @param {MouseEvent} event */
  #click({ target }) {
    const cell = /** @type {HTMLElement | null} */ (target instanceof Element ? target.closest("[data-cell]") : null);
    const time = target instanceof Element ? target.closest("board-time") : null;
    const key = /** @type {HTMLElement | null} */ (time?.closest("[data-key]") ?? null)?.dataset.key;
    if (key) this.#editTimes(key);
    else if (cell && !cell.classList.contains("is-editing")) this.#edit(cell);
  }

  /** @param {HTMLElement} cell @returns {CellEditor | null} */
  #edit(cell) {
    const key = /** @type {HTMLElement} */ (cell.closest("tr")).dataset.key ?? "";
    if (!this.entry(key)) {
      this.#sayGone();
      return null;
    }
    const editor = new CellEditor(this, key, cell, CELLS[cell.dataset.cell ?? ""]);
    this.#editors.add(editor);
    this.#tellOthers();
    return editor;
  }

  /** Send the other editors which row is edited here: the last one that was opened. */
  #tellOthers() {
    const keys = [...this.#editors].map(({ key }) => key);
    this.#others?.edits(keys[keys.length - 1] ?? null);
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const key = /** @type {HTMLElement | null} */ (target.closest("[data-key]"))?.dataset.key;
    if (!key || event.isComposing) return;
    if (!this.#act(event, target, key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {KeyboardEvent} event @param {HTMLElement} target @param {string} key @returns {boolean} whether the key is ours */
  #act(event, target, key) {
    const isCell = target.matches("[data-cell]");
    if (event.altKey) {
      if (event.key === "ArrowUp") this.move(key, -1);
      else if (event.key === "ArrowDown") this.move(key, 1);
      else if (event.key === "Enter") this.draft(key);
      else return false;
      return true;
    }
    if (event.ctrlKey || event.metaKey) return false;
    if (event.key === "ArrowUp") this.step(target, "up");
    else if (event.key === "ArrowDown") this.step(target, "down");
    else if (event.key === "ArrowLeft") this.step(target, "back");
    else if (event.key === "ArrowRight") this.step(target, "forth");
    else if (event.key === "Delete" && event.shiftKey) this.remove(key);
    else if (isCell && (event.key === "Enter" || event.key === "F2")) this.#edit(target);
    else if (isCell && event.key.length === 1) this.#edit(target)?.begin(event.key);
    else if (target instanceof HTMLSelectElement && event.key === "Enter") target.showPicker?.();
    else return false;
    return true;
  }

  /** @param {KeyboardEvent} event */
  #pressAnywhere(event) {
    if (event.target instanceof HTMLInputElement || !(event.ctrlKey || event.metaKey) || event.key !== "z") return;
    event.preventDefault();
    this.undo();
  }

  /** @param {ClipboardEvent} event */
  #paste(event) {
    const table = (event.clipboardData?.getData("text/plain") ?? "").replace(/\s+$/, "");
    const field = event.target instanceof Element ? event.target.closest("input, textarea") : null;
    if (!/[\t\n]/.test(table) || (field && !this.#table.contains(field))) return;
    event.preventDefault();
    const below = /** @type {HTMLElement | null} */ (document.activeElement?.closest("[data-key]") ?? null);
    this.#preview(table, below?.dataset.key ?? null);
  }

  /** Show the rows that would be added, before they are. @param {string} table @param {string | null} key - of the entry above */
  #preview(table, key) {
    const pasted = rowsOf(table);
    const rows = pasted
      .slice(0, PREVIEW_ROWS)
      .map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
    const more =
      pasted.length > PREVIEW_ROWS ? text("and {number} more", { number: pasted.length - PREVIEW_ROWS }) : "";
    const number = pasted.length;
    const where =
      key === null
        ? text("Add {number} rows at the end", { number })
        : text("Add {number} rows below “{label}”", { number, label: this.entry(key)?.label });
    const words = make("p", { className: "edit-error", role: "alert" });
    const insert = once(async () => {
      try {
        const answer = await this.call(
          "add",
          { board: this.#board, table, after: key === null ? null : Number(key) },
          (answer) => text("{number} rows added", { number: answer.keys?.length }),
        );
        if (answer.gone) words.textContent = text("Nothing was added: the board was deleted meanwhile.");
        else close();
      } catch (error) {
        words.textContent = `${text("Nothing was added.")} ${reasonOf(error)}`;
        if (!dialog.isConnected) this.say(words.textContent);
      }
    });
    const add = button(where, insert);
    const dialog = /** @type {HTMLDialogElement} */ (
      make(
        "dialog",
        { className: "edit-dialog", "aria-label": text("Paste rows") },
        make("h2", {}, text("Paste rows")),
        make("p", {}, text("Columns: label, value, status, note; of five the third is the unit.")),
        make("div", { className: "edit-preview" }, make("table", {}, ...rows)),
        make("p", {}, more),
        words,
        add,
        button(text("Cancel"), () => close()),
      )
    );
    const close = () => {
      dialog.close?.();
      dialog.remove();
    };
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    // Firefox 90 and Safari 15 have no dialogs: there it is a part of the page.
    dialog.showModal?.();
    dialog.scrollIntoView({ block: "nearest" });
    add.focus();
  }
}

/** Let the page's "Edit" begin. @param {HTMLAnchorElement} link - has the board's key and statuses */
function offer(link) {
  const element = /** @type {HTMLElement | null} */ (document.querySelector('live-topic[topic^="entries."]'));
  if (!element?.querySelector("table")) return;
  const statuses = JSON.parse(link.dataset.statuses ?? "[]");
  const place = link.parentElement ?? link;
  /** @type {Editing | null} */
  let editing = null;
  const end = () => {
    editing?.end();
    editing = null;
    place.hidden = false;
    link.focus();
  };
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    const realtime = Reflect.get(window, "realtime");
    // Without the page client, which may have failed to load, the link leads to the admin.
    if (!realtime) return;
    event.preventDefault();
    place.hidden = true;
    editing = new Editing(realtime, element, {
      board: Number(link.dataset.editBoard),
      statuses,
      onDone: end,
    });
    editing.start();
  });
}

for (const link of document.querySelectorAll("a[data-edit-board]")) offer(/** @type {HTMLAnchorElement} */ (link));
