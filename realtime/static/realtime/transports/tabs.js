/**
 * Tabs of one origin and one session share a connection. The tab that holds the Web Lock owns it and relays the messages
 * of the others over a BroadcastChannel; when it is closed, the next tab gets the lock. A tab that the owner does not
 * answer opens a connection of its own.
 */

/** @import { ClientMessage, ServerMessage, Welcome } from "../protocol/messages.js" */
/** @import { Environment, Handlers, TabsEnvironment } from "./transport.js" */

import { Relay } from "./relay.js";
import { Socket } from "./socket.js";
import { Transport } from "./transport.js";

const HELLO_MS = 1_500;
const OWNER_GONE = "the tab that owned the connection was closed";

/**
 * The messages between tabs. From the owner: `message`, to one tab or (null) to all; `ended`, its connection has ended;
 * `wait`, it is connecting; `none`, it cannot connect; `apart`, this tab needs a connection of its own. To the owner:
 * `hello`, asking for the connection; `send`; `left`, this tab uses it no longer.
 * @typedef {{kind: "message", tab: string | null, message: ServerMessage}
 *   | {kind: "ended", ending: {code: number | null, reason: string}}
 *   | {kind: "wait" | "none" | "apart" | "hello" | "left", tab: string}
 *   | {kind: "send", tab: string, message: ClientMessage}} TabMessage
 */

/** This page's end of the shared connection: a transport like the others. */
export class SharedSocket extends Transport {
  #tabs;

  /**
   * @param {Environment} env
   * @param {Handlers} handlers
   * @param {number} welcomeMs
   * @param {Tabs} tabs
   */
  constructor(env, handlers, welcomeMs, tabs) {
    super(env, handlers, welcomeMs);
    this.#tabs = tabs;
    try {
      tabs.open(this, welcomeMs);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** @override @param {ClientMessage} message */
  transmit(message) {
    return this.#tabs.send(this, message);
  }

  /** @override */
  disconnect() {
    this.#tabs.close(this);
  }
}

export class Tabs {
  #env;
  #tabsEnv;
  #connect;
  #id;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** Withdraws the request for the lock, or releases the lock. */
  #release = () => {};
  /** @type {SharedSocket | null} */
  #transport = null;
  /** This tab's socket, if it is the owner or on its own. @type {Socket | null} */
  #socket = null;
  /** @type {Welcome | null} */
  #welcome = null;
  #relay = new Relay();
  #isOwner = false;
  /** This tab has a connection of its own, although another tab holds the lock. */
  #isApart = false;
  /** This tab must keep a connection of its own, because it uses a format that other tabs do not. */
  #staysApart = false;
  #welcomeMs = 0;
  /** @type {unknown} */
  #helloTimer;

  /**
   * @param {Environment} env
   * @param {TabsEnvironment} tabsEnv
   * @param {() => boolean} connect - called if another tab asks for the connection while there is none; returns whether
   *   one is being opened
   */
  constructor(env, tabsEnv, connect) {
    this.#env = env;
    this.#tabsEnv = tabsEnv;
    this.#connect = connect;
    this.#id = `${env.now()}.${env.random()}`;
  }

  /** @param {SharedSocket} transport @param {number} welcomeMs */
  open(transport, welcomeMs) {
    this.#join();
    this.#transport = transport;
    this.#welcomeMs = welcomeMs;
    this.#isApart = this.#staysApart;
    this.#begin();
  }

  /** @param {SharedSocket} transport @param {ClientMessage} message @returns {boolean} whether it was sent */
  send(transport, message) {
    if (transport !== this.#transport) return false;
    if (this.#socket) return this.#forward(this.#socket, this.#id, message);
    this.#post({ kind: "send", tab: this.#id, message });
    return true;
  }

  /** @param {SharedSocket} transport */
  close(transport) {
    if (transport !== this.#transport) return;
    this.#env.clearTimeout(this.#helloTimer);
    this.#transport = null;
    if (this.#socket) {
      this.#socket.close();
      this.#socketEnded({ code: null, reason: OWNER_GONE });
    } else {
      this.#post({ kind: "left", tab: this.#id });
    }
  }

  /** The page is left: an idle lock or channel would keep it out of the back/forward cache. */
  leave() {
    this.#release();
    this.#channel?.close();
    this.#channel = null;
    this.#isOwner = this.#isApart = this.#staysApart = false;
  }

  /** Open the channel and request the lock. */
  #join() {
    if (this.#channel) return;
    const { name, locks, BroadcastChannel } = this.#tabsEnv;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    const request = new AbortController();
    this.#release = () => request.abort();
    locks
      .request(name, { signal: request.signal }, () => {
        if (request.signal.aborted) return null;
        this.#becomeOwner();
        return new Promise((resolve) => {
          this.#release = () => resolve(undefined);
        });
      })
      .catch(() => {}); // the request was withdrawn before the lock was granted
  }

  /** This tab has the lock: the previous owner, if there was one, has closed. */
  #becomeOwner() {
    this.#isOwner = true;
    this.#isApart = this.#staysApart = false;
    this.#post({ kind: "ended", ending: { code: null, reason: OWNER_GONE } });
    if (!this.#socket) this.#beginAgain(null, OWNER_GONE);
  }

  /** Open a connection, or ask the owner for its connection. */
  #begin() {
    this.#env.clearTimeout(this.#helloTimer);
    if (this.#isOwner || this.#isApart) {
      this.#openSocket();
      return;
    }
    this.#post({ kind: "hello", tab: this.#id });
    // The page of an owner that does not answer is frozen: it keeps the lock.
    this.#helloTimer = this.#env.setTimeout(() => this.#connectApart(), HELLO_MS);
  }

  /**
   * The shared connection was replaced. A transport without a greeting has not used the old one, so it does not end.
   * @param {number | null} code
   * @param {string} reason
   */
  #beginAgain(code, reason) {
    if (this.#transport?.isWelcome) this.#endTransport(code, reason);
    else if (this.#transport) this.#begin();
  }

  /**
   * End the transport. This tab has none until the page opens another; a lock that it gets meanwhile does not open a
   * socket.
   * @param {number | null} code
   * @param {string} reason
   */
  #endTransport(code, reason) {
    const transport = this.#transport;
    this.#transport = null;
    transport?.ended(code, reason);
  }

  #openSocket() {
    this.#relay = new Relay();
    /** @type {Handlers} */
    const handlers = {
      subscriptions: () => [],
      onMessage: (message) => this.#distribute(message),
      onEnd: (ending) => this.#socketEnded(ending),
    };
    this.#socket = new Socket(this.#env, handlers, this.#welcomeMs);
  }

  /** Pass a message of the server to its tab, or to all. @param {ServerMessage} received */
  #distribute(received) {
    const { tab, message } = this.#relay.incoming(received);
    if (message.type === "welcome") this.#welcome = message;
    if (tab === null || tab === this.#id) this.#transport?.receive(message);
    if (tab !== this.#id && this.#isOwner) this.#post({ kind: "message", tab, message });
  }

  /** @param {{code: number | null, reason: string}} ending */
  #socketEnded({ code, reason }) {
    this.#socket = this.#welcome = null;
    if (this.#isOwner) this.#post({ kind: "ended", ending: { code, reason } });
    this.#endTransport(code, reason);
  }

  /** @param {Socket} socket @param {string} tab @param {ClientMessage} message @returns {boolean} whether it was sent */
  #forward(socket, tab, message) {
    try {
      const forwarded = this.#relay.outgoing(tab, message);
      return forwarded === null || socket.send(forwarded);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#post({ kind: "apart", tab });
      return true;
    }
  }

  /** @param {TabMessage} message */
  #post(message) {
    this.#channel?.postMessage(message);
  }

  /** @param {TabMessage} received */
  #receive(received) {
    if (this.#isOwner) this.#receiveAsOwner(received);
    else if (!this.#isApart && this.#transport) this.#receiveFromOwner(this.#transport, received);
  }

  /** @param {TabMessage} received */
  #receiveAsOwner(received) {
    if (received.kind === "hello") this.#answerHello(received.tab);
    else if (!this.#socket) return;
    else if (received.kind === "send") this.#forward(this.#socket, received.tab, received.message);
    else if (received.kind === "left") {
      for (const message of this.#relay.removeTab(received.tab)) this.#socket.send(message);
    }
  }

  /** @param {SharedSocket} transport @param {TabMessage} received */
  #receiveFromOwner(transport, received) {
    if (received.kind === "ended") {
      this.#beginAgain(received.ending.code, received.ending.reason);
      return;
    }
    if (received.kind === "message" && received.tab === null) this.#receiveMessage(transport, received.message);
    if (received.tab !== this.#id) return;
    if (received.kind === "message") this.#receiveMessage(transport, received.message);
    else if (received.kind === "wait") this.#env.clearTimeout(this.#helloTimer);
    else if (received.kind === "none") this.#connectApart();
    else if (received.kind === "apart") {
      this.#staysApart = true;
      this.#connectApart();
    }
  }

  /** @param {string} tab */
  #answerHello(tab) {
    if (this.#welcome) this.#post({ kind: "message", tab, message: this.#welcome });
    // Timers of a hidden page may be a minute late, but it handles messages at once.
    else this.#post({ kind: this.#transport || this.#connect() ? "wait" : "none", tab });
  }

  /** @param {SharedSocket} transport @param {ServerMessage} message */
  #receiveMessage(transport, message) {
    this.#env.clearTimeout(this.#helloTimer);
    if (message.type === "welcome" || transport.isWelcome) transport.receive(message);
  }

  #connectApart() {
    this.#isApart = true;
    this.#beginAgain(null, "this tab needs a connection of its own");
  }
}
