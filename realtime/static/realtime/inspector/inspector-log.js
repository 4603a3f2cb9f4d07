/** The inspector's list of messages: newest first, filtered, paused, with a maximum length. */

const MAX_ENTRIES = 500;
const ARROWS = { out: "↑", in: "↓", note: "·" };

/** @typedef {keyof typeof ARROWS} Direction - note: not a message, but an event of the connection */

/** @param {string} text @returns {number} bytes on the wire */
export function sizeOf(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {string} text @returns {unknown} the message; null if the text is not JSON */
export function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export class Log {
  isPaused = false;
  #list;
  #hint;
  #filter = "";

  /** @param {HTMLOListElement} list @param {HTMLElement} hint - shown while the list is empty */
  constructor(list, hint) {
    this.#list = list;
    this.#hint = hint;
  }

  /** @param {"in" | "out"} direction @param {string} text */
  message(direction, text) {
    const message = /** @type {{type?: unknown, topic?: string, action?: string} | null} */ (parse(text));
    const type = typeof message?.type === "string" ? message.type : "not a message";
    const pretty = message === null ? text : JSON.stringify(message, null, 2);
    this.#add(direction, type, message?.topic ?? message?.action ?? "", `${sizeOf(text)} B`, pretty);
  }

  /** An event of the connection itself. @param {string} type @param {string} about */
  note(type, about = "") {
    this.#add("note", type, about, "", "");
  }

  /** @param {string} words - hides entries whose type and topic do not contain them */
  filter(words) {
    this.#filter = words.trim().toLowerCase();
    for (const entry of this.#list.children) this.#applyFilter(/** @type {HTMLElement} */ (entry));
  }

  clear() {
    this.#list.replaceChildren();
    this.#hint.hidden = false;
  }

  /**
   * @param {Direction} direction
   * @param {string} type
   * @param {string} about
   * @param {string} size
   * @param {string} body
   */
  #add(direction, type, about, size, body) {
    if (this.isPaused) return;
    const entry = document.createElement("li");
    entry.dataset.direction = direction;
    entry.dataset.words = `${type} ${about}`.toLowerCase();
    const line = document.createElement(body ? "summary" : "div");
    line.append(
      part("time", timeOfDay()),
      part("arrow", ARROWS[direction]),
      part("type", type),
      part("about", about),
      part("size", size),
    );
    entry.append(body ? details(line, body) : line);
    this.#applyFilter(entry);
    this.#list.prepend(entry);
    while (this.#list.childElementCount > MAX_ENTRIES) this.#list.lastElementChild?.remove();
    this.#hint.hidden = true;
  }

  /** @param {HTMLElement} entry */
  #applyFilter(entry) {
    entry.hidden = !entry.dataset.words?.includes(this.#filter);
  }
}

/** The local time of day, to the millisecond. */
function timeOfDay(now = new Date()) {
  return `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, "0")}`;
}

/** @param {string} name @param {string} text */
function part(name, text) {
  const span = document.createElement("span");
  span.className = `inspector-${name}`;
  span.textContent = text;
  return span;
}

/**
 * The message under its line. Its text is added when it is opened: that of five hundred snapshots is long.
 * @param {HTMLElement} line
 * @param {string} body
 */
function details(line, body) {
  const element = document.createElement("details");
  element.append(line);
  element.addEventListener(
    "toggle",
    () => {
      const pre = document.createElement("pre");
      pre.textContent = body;
      element.append(pre);
    },
    { once: true },
  );
  return element;
}
