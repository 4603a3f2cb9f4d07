/** A page that loads itself again: because the server says so; or because it cannot show its rows, as a last resort. */

/** @import { Environment } from "./transports/transport.js" */

const STORAGE_KEY = "realtime-reloaded";
const PAUSE_MS = 600_000;
// Rows that one page cannot show fail in others too: not all of these pages may load at once.
const SPREAD_MS = 10_000;

export class Reload {
  #env;
  #isNeeded;
  /** @type {unknown} */
  #timer = null;

  /** @param {Environment} env @param {() => boolean} isNeeded - whether rows still cannot be shown */
  constructor(env, isNeeded) {
    this.#env = env;
    this.#isNeeded = isNeeded;
  }

  /** Reload soon, unless this tab did so within ten minutes, or cannot remember whether it did. */
  plan() {
    if (this.#timer !== null || !this.#env.reload || !this.#isDue()) return;
    this.#timer = this.#env.setTimeout(() => this.#reload(), SPREAD_MS * this.#env.random());
  }

  /** The server asks for it, once. @param {number} ms - until then */
  obey(ms) {
    const { setTimeout, reload } = this.#env;
    if (reload) setTimeout(reload, ms);
  }

  #reload() {
    this.#timer = null;
    if (!this.#isNeeded()) return;
    const { storage, now, reload } = this.#env;
    try {
      storage?.setItem(STORAGE_KEY, String(now()));
    } catch {
      return; // storage is full: the page would forget it, and reload forever
    }
    console.error("realtime: the page cannot show its rows; reloading it once.");
    reload?.();
  }

  #isDue() {
    try {
      const { storage, now } = this.#env;
      const reloadedAt = storage?.getItem(STORAGE_KEY);
      return reloadedAt === null || (reloadedAt !== undefined && now() - Number(reloadedAt) >= PAUSE_MS);
    } catch {
      return false;
    }
  }
}
