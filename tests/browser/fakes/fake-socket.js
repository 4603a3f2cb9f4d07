/**
 * A WebSocket whose other side is the test: `FakeSocket.last` is the newest one.
 * Nothing happens by itself; `accepts`, `sends` and `drops` are what the server does.
 */
export class FakeSocket {
  /** @type {FakeSocket[]} */
  static all = [];

  static get last() {
    return FakeSocket.all.at(-1);
  }

  readyState = 0;
  sent = [];
  /** The code with which the page closed it. */
  closedWith = null;

  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    FakeSocket.all.push(this);
  }

  send(text) {
    if (this.readyState !== 1) throw new Error("not open");
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 2;
    this.closedWith = code;
  }

  /** The server accepts the connection and sends its `welcome`. */
  accepts(heartbeatSeconds = 15) {
    this.readyState = 1;
    return this.sends({
      type: "welcome",
      protocol: "realtime.v1",
      heartbeat_seconds: heartbeatSeconds,
      max_message_bytes: 16384,
      max_broadcast_bytes: 4096,
    });
  }

  /** The server sends a message. @param {object | string} message - a string is sent unchanged */
  sends(message) {
    this.onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
    return this;
  }

  /** The connection ends. */
  drops(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason, wasClean: code !== 1006 });
    return this;
  }

  /** The messages that the page has sent since the last call. */
  takeSent() {
    return this.sent.splice(0);
  }
}
