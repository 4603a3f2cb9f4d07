/** Form controls: what a user has typed, checked or chosen stays unless the server's own value of the control changes. */

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */
/**
 * @typedef {object} Choice
 * @property {Control} control
 * @property {string[]} user - what the control shows
 * @property {string[]} server - what it would show as the server renders it now
 * @property {boolean} isNew - whether that is another value than the server has rendered before
 * @property {boolean} isChanged - whether the user has changed the value that the server rendered before
 */

/** @param {Element} element @returns {element is Control} */
export function isControl(element) {
  return (
    element instanceof HTMLInputElement ||
    element instanceof HTMLTextAreaElement ||
    element instanceof HTMLSelectElement
  );
}

/**
 * @param {Control} live
 * @param {Element} base - as the server rendered it before
 * @param {Element} fresh - as it renders it now
 * @returns {Choice | null} null if the control has no value that a user can change
 */
export function userValue(live, base, fresh) {
  if (live instanceof HTMLInputElement && NEVER_TYPED.includes(live.type)) return null;
  const [before, now] = [/** @type {Control} */ (base), /** @type {Control} */ (fresh)];
  const user = read(live);
  return {
    control: live,
    user,
    server: shown(now),
    isNew: !isSame(stated(before), stated(now)),
    isChanged: !isSame(user, shown(before)),
  };
}

/**
 * After the attributes and children have been brought up to date: show the server's value, or again what the user had.
 * Before what a user has changed is overwritten, the control dispatches `realtime:overwrite` (detail: yours, theirs);
 * `preventDefault` keeps it.
 * @param {Choice} choice
 * @returns {boolean} whether the control shows another value than before
 */
export function restoreChoice({ control, user, server, isNew, isChanged }) {
  const hasConflict = isNew && isChanged && !isSame(user, server);
  const isKept =
    isChanged && (!isNew || (hasConflict && !announce(control, textOf(control, user), textOf(control, server))));
  write(control, isKept ? user : server);
  return !isSame(read(control), user);
}

const NEVER_TYPED = ["hidden", "file", "button", "submit", "reset", "image"];

/** @param {string[]} a @param {string[]} b */
function isSame(a, b) {
  return a.length === b.length && a.every((each, index) => each === b[index]);
}

/** The values that a control shows. @param {Control} control @returns {string[]} */
function read(control) {
  if (control instanceof HTMLSelectElement) return [...control.selectedOptions].map((option) => option.value);
  if (control instanceof HTMLInputElement && isChecked(control)) return control.checked ? ["on"] : [];
  return [control.value];
}

/** The value that a control's markup states; a list may state none. @param {Control} control @returns {string[]} */
function stated(control) {
  if (control instanceof HTMLSelectElement) {
    return [...control.options].filter((option) => option.defaultSelected).map((option) => option.value);
  }
  if (control instanceof HTMLInputElement && isChecked(control)) return control.defaultChecked ? ["on"] : [];
  return [control.defaultValue];
}

/** The values that a control shows while no user has touched it. @param {Control} control */
function shown(control) {
  if (control instanceof HTMLSelectElement) return read(control);
  if (!(control instanceof HTMLInputElement) || isChecked(control)) return stated(control);
  // Browsers correct what is stated: a range is within its limits, a colour is one, a number has no blanks.
  const untouched = /** @type {HTMLInputElement} */ (control.cloneNode());
  untouched.value = control.defaultValue;
  return [untouched.value];
}

/** @param {Control} control @param {string[]} value */
function write(control, value) {
  if (control instanceof HTMLSelectElement) {
    for (const option of control.options) option.selected = value.includes(option.value);
  } else if (control instanceof HTMLInputElement && isChecked(control)) {
    control.checked = value.length > 0;
  } else if (control.value !== value[0]) {
    control.value = value[0];
  }
}

/** @param {HTMLInputElement} input */
function isChecked({ type }) {
  return type === "checkbox" || type === "radio";
}

/**
 * @param {Element} element @param {string | boolean | string[]} yours @param {string | boolean | string[]} theirs
 * @returns {boolean} whether no listener keeps what the user has entered
 */
export function announce(element, yours, theirs) {
  const detail = { yours, theirs };
  return element.dispatchEvent(new CustomEvent("realtime:overwrite", { bubbles: true, cancelable: true, detail }));
}

/** @param {Control} control @param {string[]} value @returns {string | boolean | string[]} */
function textOf(control, value) {
  if (control instanceof HTMLInputElement && isChecked(control)) return value.length > 0;
  return control instanceof HTMLSelectElement && control.multiple ? value : (value[0] ?? "");
}
