/** When an entry happens, and from when until when it is shown: a dialog on the board, by the board's clock. */

import { button, make } from "./elements.js";

/** @type {[string, string][]} */
const FIELDS = [
  ["at", "Time"],
  ["shows_from", "Show it from"],
  ["shows_until", "Show it until"],
];
const MONDAY = Date.UTC(2026, 0, 5);
const DAY_MS = 86_400_000;

/**
 * @param {import("./editing.js").Editing} board
 * @param {string} key - of the entry
 */
export async function editTimes(board, key) {
  const { gone, label, zone, values: seen } = await board.call("times", { entry: Number(key) }, "");
  if (gone) {
    board.say("That entry was deleted meanwhile.");
    return;
  }
  const inputs = new Map(
    FIELDS.map(([name]) => [
      name,
      /** @type {HTMLInputElement} */ (make("input", { type: "datetime-local", name, value: seen[name] })),
    ]),
  );
  const weekday = new Intl.DateTimeFormat(document.documentElement.lang, { weekday: "short", timeZone: "UTC" });
  const days = [1, 2, 3, 4, 5, 6, 7].map((day) => {
    const properties = { type: "checkbox", value: String(day), checked: seen.weekdays.includes(day) };
    const box = /** @type {HTMLInputElement} */ (make("input", properties));
    return { box, label: make("label", {}, box, weekday.format(MONDAY + (day - 1) * DAY_MS)) };
  });
  const words = make("p", { className: "edit-error", role: "alert" });

  const entered = () => {
    const texts = Object.fromEntries([...inputs].map(([name, input]) => [name, input.value]));
    const chosen = days.filter(({ box }) => box.checked).map(({ box }) => box.value);
    return /** @type {Record<string, string>} */ ({ ...texts, weekdays: chosen.length === 7 ? "" : chosen.join("") });
  };
  const save = async () => {
    const now = entered();
    const changes = Object.fromEntries(Object.entries(now).filter(([name, text]) => text !== seen[name]));
    if (Object.keys(changes).length === 0) {
      close();
      return;
    }
    const known = Object.fromEntries(Object.keys(changes).map((name) => [name, seen[name]]));
    try {
      const answer = await board.call("set", { entry: Number(key), changes, seen: known }, `Times of “${label}” saved`);
      if (answer.conflict) {
        Object.assign(seen, answer.conflict);
        const theirs = Object.values(answer.conflict).map((text) => `“${text || "none"}”`);
        words.textContent = `Changed meanwhile to ${theirs.join(", ")}. Save again to write yours over it, or cancel.`;
      } else {
        if (answer.gone) board.say("That entry was deleted meanwhile.");
        close();
      }
    } catch (error) {
      const { message, fields = {} } = /** @type {{message: string, fields?: Record<string, string[]>}} */ (error);
      words.textContent = `Not saved: ${Object.values(fields).flat().join(" ") || message}`;
    }
  };

  const form = make(
    "form",
    { className: "edit-times" },
    make("h2", {}, `Times of “${label}”`),
    ...FIELDS.map(([name, title]) => make("label", {}, title, /** @type {Node} */ (inputs.get(name)))),
    make("fieldset", {}, make("legend", {}, "Only on"), ...days.map(({ label }) => label)),
    make("p", { className: "edit-hint" }, `By the clock of ${zone}. Leave empty what does not matter.`),
    words,
    make("button", { type: "submit" }, "Save"),
    button("Cancel", () => close()),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  const dialog = /** @type {HTMLDialogElement} */ (
    make("dialog", { className: "edit-dialog", "aria-label": `Times of ${label}` }, form)
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
  inputs.get("at")?.focus();
}
