/**
 * The inspector's page: a connection controlled by hand. It opens a WebSocket itself instead of using transports/socket.js,
 * because it has to show what the client hides: bad messages, other subprotocols, no reconnecting.
 */

/** @import { Bye, ServerMessage } from "../protocol/messages.js" */
/** @import { Direction } from "./inspector-log.js" */

import { describe, isFinal } from "../protocol/codes.js";
import { Log, parse, sizeOf } from "./inspector-log.js";

/** @typedef {"closed" | "connecting" | "open" | "closing"} State */

const root = /** @type {HTMLElement} */ (document.querySelector("[data-inspector]"));

/** An element of inspector.html. @param {string} selector */
function find(selector) {
  return /** @type {HTMLElement} */ (root.querySelector(selector));
}

/** The value of a form's field. @param {string} form @param {string} name */
function value(form, name) {
  return field(form, name).value.trim();
}

/** @param {string} form @param {string} name */
function field(form, name) {
  return /** @type {HTMLInputElement} */ (find(`[data-form="${form}"] [name="${name}"]`));
}

const log = new Log(/** @type {HTMLOListElement} */ (find("[data-log]")), find("[data-hint]"));
const counts = { in: { messages: 0, bytes: 0 }, out: { messages: 0, bytes: 0 } };
/** The last position received, by topic. @type {Map<string, string>} */
const positions = new Map();
/** @type {WebSocket | null} */
let socket = null;

/** @param {State} state */
function show(state) {
  const badge = find(".inspector-state");
  badge.dataset.state = state;
  badge.textContent = state;
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (root.querySelectorAll("[data-needs]"))) {
    // An attempt to connect that gets no answer can be stopped.
    const canStop = button.dataset.do === "disconnect" && state === "connecting";
    button.disabled = button.dataset.needs !== state && !canStop;
  }
}

/** @param {Exclude<Direction, "note">} direction @param {string} text */
function record(direction, text) {
  const total = counts[direction];
  total.messages += 1;
  total.bytes += sizeOf(text);
  const amount = total.bytes < 10_000 ? `${total.bytes} B` : `${(total.bytes / 1024).toFixed(1)} KiB`;
  const noun = total.messages === 1 ? "message" : "messages";
  find(`[data-count="${direction}"]`).textContent = `${total.messages} ${noun}, ${amount}`;
  log.message(direction, text);
}

function connect() {
  const url = new URL(root.dataset.path ?? "", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const subprotocol = value("connection", "subprotocol");
  /** @type {Bye | null} */
  let bye = null;
  find("[data-ending]").hidden = true;
  log.note("connect", subprotocol || "no subprotocol");
  const opened = subprotocol ? new WebSocket(url, subprotocol) : new WebSocket(url);
  socket = opened;
  opened.onopen = () => {
    log.note("open", opened.protocol || "no subprotocol");
    show("open");
  };
  opened.onmessage = ({ data }) => {
    const text = typeof data === "string" ? data : `binary, ${data.size} bytes`;
    record("in", text);
    const parsed = parse(text);
    const message = /** @type {ServerMessage | null} */ (typeof parsed === "object" ? parsed : null);
    if (message?.type === "bye") bye = message;
    if (message && "topic" in message && "position" in message) positions.set(message.topic, message.position);
    if (message?.type === "heartbeat") {
      for (const [topic, position] of Object.entries(message.positions ?? {})) positions.set(topic, position);
    }
  };
  opened.onclose = (event) => {
    log.note("close", `${event.code} ${event.reason}`.trim());
    explain(event, bye);
    show("closed");
  };
  show("connecting");
}

/**
 * Show why the connection closed, and how a page would react: as in the client, the code of a `bye` takes precedence.
 * @param {CloseEvent} event
 * @param {Bye | null} bye
 */
function explain({ code, reason, wasClean }, bye) {
  const decisive = bye?.code ?? code;
  const { means, page } = describe(decisive);
  const delay = bye?.retry_after_seconds === undefined ? "" : `; after ${bye.retry_after_seconds} s`;
  const ending = {
    code: bye && bye.code !== code ? `${code}, after a bye with ${bye.code}` : String(code),
    means: code === 1006 && !bye ? `${means}; for a failed handshake, the server's log has the reason` : means,
    reason: reason || "none given",
    bye: bye ? `${bye.code}, ${bye.reason}${delay}` : "none",
    clean: wasClean ? "yes: both sides closed" : "no: connection lost",
    page: `${isFinal(decisive) ? "no" : "yes"}: ${page}`,
  };
  for (const [name, text] of Object.entries(ending)) find(`[data-field="${name}"]`).textContent = text;
  find("[data-ending]").hidden = false;
}

/** @param {string} text */
function send(text) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  record("out", text);
  socket.send(text);
}

/** The actions of forms, by `data-form`. @type {Record<string, () => void>} */
const formActions = {
  connection: connect,
  subscription() {
    const position = value("subscription", "position");
    const message = {
      type: "subscribe",
      topic: value("subscription", "topic"),
      format: value("subscription", "format"),
      ...(position && { position }),
    };
    send(JSON.stringify(message));
  },
  message: () => send(field("message", "text").value),
};

/** The actions of buttons, by `data-do`. @type {Record<string, (button: HTMLElement) => void>} */
const buttonActions = {
  disconnect() {
    show("closing");
    socket?.close(1000);
  },
  unsubscribe: () => send(JSON.stringify({ type: "unsubscribe", topic: value("subscription", "topic") })),
  resume() {
    field("subscription", "position").value = positions.get(value("subscription", "topic")) ?? "";
  },
  pause(button) {
    log.isPaused = !log.isPaused;
    button.setAttribute("aria-pressed", String(log.isPaused));
    button.textContent = log.isPaused ? "Resume" : "Pause";
  },
  clear: () => log.clear(),
};

root.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.target instanceof HTMLFormElement) formActions[event.target.dataset.form ?? ""]?.();
});
root.addEventListener("click", ({ target }) => {
  if (!(target instanceof HTMLElement)) return;
  const { do: action, example } = target.dataset;
  if (action) buttonActions[action]?.(target);
  if (example) field("message", "text").value = example;
});
const filter = /** @type {HTMLInputElement} */ (find("[data-filter]"));
filter.addEventListener("input", () => log.filter(filter.value));
show("closed");
