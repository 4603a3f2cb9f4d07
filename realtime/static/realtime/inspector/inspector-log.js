/** The inspector's list of messages: newest first, filtered, paused, never longer than it may be. */

const MAX_ENTRIES = 500;
const ARROWS = { out: "↑", in: "↓", note: "·" };

/** @param {string} text @returns {number} bytes on the wire */
export function sizeOf(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {string} text @returns {object | null} the message, if it is one */
export function parsed(text) {
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

  /** @param {HTMLOListElement} list @param {HTMLElement} hint - shown while there is nothing */
  constructor(list, hint) {
    this.#list = list;
    this.#hint = hint;
  }

  /** @param {"in" | "out"} direction @param {string} text */
  message(direction, text) {
    const message = parsed(text);
    const type = typeof message?.type === "string" ? message.type : "not a message";
    const pretty = message === null ? text : JSON.stringify(message, null, 2);
    this.#add(direction, type, message?.topic ?? message?.action ?? "", `${sizeOf(text)} B`, pretty);
  }

  /** What happened to the connection itself. @param {string} type @param {string} words */
  note(type, words = "") {
    this.#add("note", type, words, "", "");
  }

  /** @param {string} words - shows only entries whose type or topic contains them */
  filter(words) {
    this.#filter = words.trim().toLowerCase();
    for (const entry of this.#list.children) this.#sieve(entry);
  }

  clear() {
    this.#list.replaceChildren();
    this.#hint.hidden = false;
  }

  #add(direction, type, about, size, body) {
    if (this.isPaused) return;
    const entry = document.createElement("li");
    entry.dataset.direction = direction;
    entry.dataset.words = `${type} ${about}`.toLowerCase();
    const line = body ? document.createElement("summary") : document.createElement("div");
    line.append(
      part("time", time()),
      part("arrow", ARROWS[direction]),
      part("type", type),
      part("about", about),
      part("size", size),
    );
    entry.append(body ? folded(line, body) : line);
    this.#sieve(entry);
    this.#list.prepend(entry);
    while (this.#list.childElementCount > MAX_ENTRIES) this.#list.lastElementChild.remove();
    this.#hint.hidden = true;
  }

  #sieve(entry) {
    entry.hidden = !entry.dataset.words.includes(this.#filter);
  }
}

/** The reader's own time of day, to the millisecond. */
function time(now = new Date()) {
  return `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, "0")}`;
}

function part(name, text) {
  const span = document.createElement("span");
  span.className = `inspector-${name}`;
  span.textContent = text;
  return span;
}

/** Five hundred snapshots would be a lot of text: it is laid out when someone opens it. */
function folded(line, body) {
  const details = document.createElement("details");
  details.append(line);
  details.addEventListener(
    "toggle",
    () => {
      const pre = document.createElement("pre");
      pre.textContent = body;
      details.append(pre);
    },
    { once: true },
  );
  return details;
}
