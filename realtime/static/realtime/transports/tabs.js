/**
 * The tabs of one origin and one session share a connection. Who holds the lock owns it and passes on what comes and goes;
 * when its tab closes, the lock is the next one's. Who hears nothing of the owner makes a connection of its own.
 */

import { Relay } from "./relay.js";
import { Socket } from "./socket.js";
import { Transport } from "./transport.js";

const HELLO_MS = 1_500;
const GONE = "the tab that held the connection has gone";

/** The page's end of the shared connection: a transport like the others. */
export class SharedSocket extends Transport {
  #tabs;

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

  transmit(message) {
    return this.#tabs.send(this, message);
  }

  shut() {
    this.#tabs.shut(this);
  }
}

export class Tabs {
  #env;
  #onAsked;
  #id;
  #channel = null;
  /** Ends our claim to the lock, or our hold on it. */
  #release = () => {};
  /** @type {SharedSocket | null} */
  #transport = null;
  /** Ours, when we are the owner or apart. @type {Socket | null} */
  #socket = null;
  #welcome = null;
  #relay = new Relay();
  #isOwner = false;
  /** We have a connection of our own although the lock is another's; `#staysApart`: because we have to. */
  #isApart = false;
  #staysApart = false;
  #welcomeMs = 0;
  #helloTimer;

  /**
   * @param {import("./transport.js").Environment} env - with `tabs`
   * @param {() => boolean} onAsked - for the connection while there is none: whether one is on its way
   */
  constructor(env, onAsked) {
    this.#env = env;
    this.#onAsked = onAsked;
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

  send(transport, message) {
    if (transport !== this.#transport) return false;
    if (this.#socket) return this.#forward(this.#id, message);
    this.#post({ kind: "send", tab: this.#id, message });
    return true;
  }

  shut(transport) {
    if (transport !== this.#transport) return;
    this.#env.clearTimeout(this.#helloTimer);
    this.#transport = null;
    if (this.#socket) {
      this.#socket.close();
      this.#ended({ code: null, reason: GONE });
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

  #join() {
    if (this.#channel) return;
    const { name, locks, BroadcastChannel } = this.#env.tabs;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    const claim = new AbortController();
    this.#release = () => claim.abort();
    locks
      .request(name, { signal: claim.signal }, () => {
        if (claim.signal.aborted) return null;
        this.#own();
        return new Promise((resolve) => (this.#release = resolve));
      })
      .catch(() => {}); // given up before it was ours
  }

  /** The lock is ours: the owner before us, if there was one, has gone. */
  #own() {
    this.#isOwner = true;
    this.#isApart = this.#staysApart = false;
    this.#post({ kind: "ended", ending: { code: null, reason: GONE } });
    if (!this.#socket) this.#beginAnew(null, GONE);
  }

  /** Get to a connection: ours, or that of the owner, who is asked whether there is one. */
  #begin() {
    this.#env.clearTimeout(this.#helloTimer);
    if (this.#isOwner || this.#isApart) {
      this.#openSocket();
      return;
    }
    this.#post({ kind: "hello", tab: this.#id });
    // No owner answers, though one has the lock: its page is frozen.
    this.#helloTimer = this.#env.setTimeout(() => this.#part(), HELLO_MS);
  }

  /** The connection is another now. To one that had not got to it yet, that is all the same. */
  #beginAnew(code, reason) {
    if (this.#transport?.isWelcome) this.#endTransport(code, reason);
    else if (this.#transport) this.#begin();
  }

  /** Until the page opens another there is none: whoever gets the lock meanwhile opens no socket for nobody. */
  #endTransport(code, reason) {
    const transport = this.#transport;
    this.#transport = null;
    transport?.ended(code, reason);
  }

  #openSocket() {
    this.#relay = new Relay();
    const handlers = {
      wanted: () => [],
      onMessage: (message) => this.#pass(message),
      onEnd: (ending) => this.#ended(ending),
    };
    this.#socket = new Socket(this.#env, handlers, this.#welcomeMs);
  }

  #pass(received) {
    const { tab, message } = this.#relay.to(received);
    if (message.type === "welcome") this.#welcome = message;
    if (tab === null || tab === this.#id) this.#transport?.heard(message);
    if (tab !== this.#id && this.#isOwner) this.#post({ kind: "message", tab, message });
  }

  #ended({ code, reason }) {
    this.#socket = this.#welcome = null;
    if (this.#isOwner) this.#post({ kind: "ended", ending: { code, reason } });
    this.#endTransport(code, reason);
  }

  #forward(tab, message) {
    try {
      const forwarded = this.#relay.from(tab, message);
      return forwarded === null || this.#socket.send(forwarded);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#post({ kind: "apart", tab });
      return true;
    }
  }

  #post(data) {
    this.#channel?.postMessage(data);
  }

  #hear({ kind, tab, message, ending }) {
    const isOurs = tab === this.#id;
    if (this.#isOwner) {
      if (kind === "hello") this.#answer(tab);
      else if (kind === "send" && this.#socket) this.#forward(tab, message);
      else if (kind === "left" && this.#socket) for (const each of this.#relay.left(tab)) this.#socket.send(each);
    } else if (!this.#isApart && this.#transport) {
      if (kind === "message" && (isOurs || !tab)) this.#take(message);
      else if (kind === "ended") this.#beginAnew(ending.code, ending.reason);
      else if (kind === "wait" && isOurs) this.#env.clearTimeout(this.#helloTimer);
      else if (kind === "none" && isOurs) this.#part();
      else if (kind === "apart" && isOurs) {
        this.#staysApart = true;
        this.#part();
      }
    }
  }

  #answer(tab) {
    if (this.#welcome) this.#post({ kind: "message", tab, message: this.#welcome });
    // A hidden page's timers may be a minute late, but not what it does when it is asked.
    else this.#post({ kind: this.#transport || this.#onAsked() ? "wait" : "none", tab });
  }

  #take(message) {
    this.#env.clearTimeout(this.#helloTimer);
    if (message.type === "welcome" || this.#transport.isWelcome) this.#transport.heard(message);
  }

  #part() {
    this.#isApart = true;
    this.#beginAnew(null, "a connection of its own is needed");
  }
}
