/** The time of an entry, and the times from which and until which it is shown: a dialog on the board, by the board's clock. */

import { button, make, once } from "./elements.js";
import { reasonOf } from "./failure.js";
import { text } from "./texts.min.js";

/** @type {[string, string][]} */
const FIELDS = [
  ["at", text("Time")],
  ["shows_from", text("Show it from")],
  ["shows_until", text("Show it until")],
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
    board.say(text("That entry was deleted meanwhile."));
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
  const save = once(async () => {
    const now = entered();
    const changes = Object.fromEntries(Object.entries(now).filter(([name, value]) => value !== seen[name]));
    if (Object.keys(changes).length === 0) {
      close();
      return;
    }
    const known = Object.fromEntries(Object.keys(changes).map((name) => [name, seen[name]]));
    try {
      const answer = await board.call(
        "set",
        { entry: Number(key), changes, seen: known },
        text("Times of “{label}” saved", { label }),
      );
      if (answer.conflict) {
        Object.assign(seen, answer.conflict);
        const theirs = Object.values(answer.conflict).map((value) => `“${value || text("none")}”`);
        words.textContent = text("Changed meanwhile to {value}. Save again to write yours over it, or cancel.", {
          value: theirs.join(", "),
        });
      } else {
        if (answer.gone) board.say(text("That entry was deleted meanwhile."));
        close();
      }
    } catch (error) {
      words.textContent = text("Not saved: {reason}", { reason: reasonOf(error) });
      if (!dialog.isConnected) board.say(words.textContent);
    }
  });

  const form = make(
    "form",
    { className: "edit-times" },
    make("h2", {}, text("Times of “{label}”", { label })),
    ...FIELDS.map(([name, title]) => make("label", {}, title, /** @type {Node} */ (inputs.get(name)))),
    make("fieldset", {}, make("legend", {}, text("Only on")), ...days.map(({ label }) => label)),
    make("p", { className: "edit-hint" }, text("By the clock of {zone}. Leave empty what does not matter.", { zone })),
    words,
    make("button", { type: "submit" }, text("Save")),
    button(text("Cancel"), () => close()),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  const dialog = /** @type {HTMLDialogElement} */ (
    make("dialog", { className: "edit-dialog", "aria-label": text("Times of {label}", { label }) }, form)
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
