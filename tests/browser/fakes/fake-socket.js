/**
 * A WebSocket whose other side is the test: `FakeSocket.last` is the newest one.
 * Nothing happens by itself; `opens`, `says` and `drops` are the server's part.
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

  /** The server accepts, and greets. */
  opens(heartbeatSeconds = 15) {
    this.readyState = 1;
    this.says({ type: "welcome", protocol: "realtime.v1", heartbeat_seconds: heartbeatSeconds, max_message_bytes: 16384 });
    return this;
  }

  /** @param {object | string} message - a string goes out as it is */
  says(message) {
    this.onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
    return this;
  }

  drops(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason, wasClean: code !== 1006 });
    return this;
  }

  /** What the page asked for, and forget it. */
  take() {
    return this.sent.splice(0);
  }
}
