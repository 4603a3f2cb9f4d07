/**
 * The admin's list of entries while it is open: a block that the page fetches again when an entry has changed. A row in which
 * something was typed stays as it is, with the signed values that its editor was shown: so that saving still asks where
 * another editor has changed the same value. If rows have come, gone or moved since, all stay, and a line says so.
 */

const KEEP = "data-realtime-keep";
const block = /** @type {HTMLElement | null} */ (document.querySelector('[data-realtime-block="entries"]'));

/** Whether a control holds another value than the one that it was rendered with. @param {HTMLInputElement} control */
function isChanged(control) {
  if (control instanceof HTMLSelectElement)
    return [...control.options].some((option) => option.selected !== option.defaultSelected);
  if (control.type === "hidden") return false;
  if (control.type === "checkbox") return control.checked !== control.defaultChecked;
  return control.value !== control.defaultValue;
}

/** Keep a row, and what it was shown with, from now on. @param {{target: EventTarget | null}} event */
function keep({ target }) {
  const control = /** @type {HTMLInputElement} */ (target);
  const form = /^form-\d+/.exec(control.name)?.[0];
  if (!form) return;
  control.closest("tr")?.setAttribute(KEEP, "");
  block?.querySelector(`input[name="${form}-shown"]`)?.setAttribute(KEEP, "");
}

/** @param {Element} list @returns {string} the keys of its rows, in order */
function keysOf(list) {
  const keys = /** @type {NodeListOf<HTMLInputElement>} */ (list.querySelectorAll('input[name^="form-"][name$="-id"]'));
  return [...keys].map(({ value }) => value).join();
}

/** The names of the controls have the numbers of their rows: where these differ, a kept row would be taken for another one. @param {HTMLElement} list @param {CustomEvent} event */
function refuse(list, event) {
  if (!list.querySelector(`[${KEEP}]`) || keysOf(list) === keysOf(event.detail.element)) return;
  event.preventDefault();
  if (document.querySelector(".list-changed")) return;
  const line = document.createElement("p");
  line.className = "list-changed";
  line.setAttribute("role", "status");
  line.textContent = list.dataset.changed ?? "";
  list.before(line);
}

if (block) {
  // What was typed before this script came, or was filled in again by the browser.
  for (const control of /** @type {NodeListOf<HTMLInputElement>} */ (block.querySelectorAll("input, select, textarea")))
    if (isChanged(control)) keep({ target: control });
  for (const type of ["input", "change"]) block.addEventListener(type, keep);
  block.addEventListener("realtime:before-morph", (event) => refuse(block, /** @type {CustomEvent} */ (event)));
}
