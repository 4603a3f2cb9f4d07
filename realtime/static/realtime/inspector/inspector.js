/**
 * The inspector's page: a connection driven by hand. It opens a WebSocket of its own, the one exception to "only
 * socket.js does", because it has to show what the client hides: bad messages, other subprotocols, no reconnecting.
 */

import { describe, isFinal } from "../protocol/codes.js";
import { Log, parsed, sizeOf } from "./inspector-log.js";

const root = document.querySelector("[data-inspector]");
const find = (selector) => root.querySelector(selector);
const fields = (name) => find(`[data-form="${name}"]`).elements;

const log = new Log(find("[data-log]"), find("[data-hint]"));
const counts = { in: { messages: 0, bytes: 0 }, out: { messages: 0, bytes: 0 } };
/** Last position heard, by topic. @type {Map<string, string>} */
const positions = new Map();
/** @type {WebSocket | null} */
let socket = null;

/** @param {"closed" | "connecting" | "open" | "closing"} state */
function show(state) {
  find(".inspector-state").dataset.state = state;
  find(".inspector-state").textContent = state;
  for (const button of root.querySelectorAll("[data-needs]")) {
    // A connection that hangs may be given up.
    const canLeave = button.dataset.do === "disconnect" && state === "connecting";
    button.disabled = button.dataset.needs !== state && !canLeave;
  }
}

function count(direction, text) {
  const total = counts[direction];
  total.messages += 1;
  total.bytes += sizeOf(text);
  const amount = total.bytes < 10_000 ? `${total.bytes} B` : `${(total.bytes / 1024).toFixed(1)} KiB`;
  find(`[data-count="${direction}"]`).textContent = `${total.messages} messages, ${amount}`;
  log.message(direction, text);
}

function connect() {
  const url = new URL(root.dataset.path, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const subprotocol = fields("connection").subprotocol.value;
  let bye = null;
  find("[data-ending]").hidden = true;
  log.note("connect", subprotocol || "no subprotocol");
  socket = subprotocol ? new WebSocket(url, subprotocol) : new WebSocket(url);
  socket.onopen = (event) => {
    log.note("open", event.target.protocol || "no subprotocol");
    show("open");
  };
  socket.onmessage = ({ data }) => {
    const text = typeof data === "string" ? data : `binary, ${data.size} bytes`;
    const message = parsed(text);
    if (message?.type === "bye") bye = message;
    if (message?.topic && message.position) positions.set(message.topic, message.position);
    if (message?.type === "heartbeat") Object.entries(message.positions ?? {}).forEach((each) => positions.set(...each));
    count("in", text);
  };
  socket.onclose = (event) => {
    log.note("close", `${event.code} ${event.reason}`.trim());
    explain(event, bye);
    show("closed");
  };
  show("connecting");
}

/** Why it closed, and what a page would do: what `bye` announced stands, as in the client. */
function explain({ code, reason, wasClean }, bye) {
  const decisive = bye?.code ?? code;
  const { means, page } = describe(decisive);
  const ending = {
    code: bye && bye.code !== code ? `${code}, after a bye with ${bye.code}` : String(code),
    means: code === 1006 && !bye ? `${means}; browsers hide why a handshake failed, the server's log says it` : means,
    reason: reason || "none given",
    bye: bye ? `${bye.code}, ${bye.reason}${"retry_after_seconds" in bye ? `; after ${bye.retry_after_seconds} s` : ""}` : "none",
    clean: wasClean ? "yes: both sides said so" : "no: cut off",
    page: `${isFinal(decisive) ? "no" : "yes"}: ${page}`,
  };
  for (const [name, text] of Object.entries(ending)) find(`[data-field="${name}"]`).textContent = text;
  find("[data-ending]").hidden = false;
}

function send(text) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  count("out", text);
  socket.send(text);
}

const submits = {
  connection: connect,
  subscription: ({ topic, format, position }) =>
    send(
      JSON.stringify({
        type: "subscribe",
        topic: topic.value.trim(),
        format: format.value,
        ...(position.value.trim() && { position: position.value.trim() }),
      }),
    ),
  message: ({ text }) => send(text.value),
};

const deeds = {
  disconnect() {
    show("closing");
    socket.close(1000);
  },
  unsubscribe: () => send(JSON.stringify({ type: "unsubscribe", topic: fields("subscription").topic.value.trim() })),
  resume() {
    const { topic, position } = fields("subscription");
    position.value = positions.get(topic.value.trim()) ?? "";
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
  submits[event.target.dataset.form](event.target.elements);
});
root.addEventListener("click", ({ target }) => {
  if (target.dataset.do) deeds[target.dataset.do](target);
  if (target.dataset.example) fields("message").text.value = target.dataset.example;
});
find("[data-filter]").addEventListener("input", (event) => log.filter(event.target.value));
show("closed");
