/** One deadline by the wall clock. Timers of a hidden page or a sleeping machine run late; it reports how late. */
export class Deadline {
  #clock;
  #onExpired;
  /** @type {unknown} */
  #timer;
  #due = 0;

  /**
   * @param {{setTimeout: import("./transport.js").SetTimeout, clearTimeout: (timer: any) => void,
   *   now: () => number}} clock
   * @param {(lateMs: number) => void} onExpired
   */
  constructor(clock, onExpired) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** Expire `ms` from now, and no longer at the time set before. @param {number} ms */
  set(ms) {
    this.clear();
    this.#due = this.#clock.now() + ms;
    this.#timer = this.#clock.setTimeout(() => this.#onExpired(this.#clock.now() - this.#due), ms);
  }

  clear() {
    this.#clock.clearTimeout(this.#timer);
  }
}
