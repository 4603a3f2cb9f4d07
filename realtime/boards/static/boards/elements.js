/** Makes elements of the page, whose texts are never read as markup. */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} properties - of the element; those with a dash are attributes
 * @param {(Node | string)[]} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, String(value));
    else Reflect.set(element, name, value);
  }
  element.append(...children);
  return element;
}

/** @param {string} words @param {() => void} action @param {Record<string, unknown>} properties */
export function button(words, action, properties = {}) {
  const made = make("button", { type: "button", ...properties }, words);
  made.addEventListener("click", action);
  return made;
}

/**
 * An action that is not begun again while it is under way: a second click or Enter would do it twice.
 * @param {() => Promise<void>} action
 */
export function once(action) {
  let isUnderWay = false;
  return async () => {
    if (isUnderWay) return;
    isUnderWay = true;
    try {
      await action();
    } finally {
      isUnderWay = false;
    }
  };
}
