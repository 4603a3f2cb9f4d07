/** One deadline by the wall clock: timers of a hidden page or a sleeping machine run late, and it says how late. */
export class Watch {
  #clock;
  #onExpired;
  #timer;
  #due = 0;

  /**
   * @param {{setTimeout: Function, clearTimeout: Function, now: () => number}} clock
   * @param {(lateMs: number) => void} onExpired
   */
  constructor(clock, onExpired) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  /** Something has to be heard within `ms` from now; replaces what was expected before. @param {number} ms */
  expect(ms) {
    this.stop();
    this.#due = this.#clock.now() + ms;
    this.#timer = this.#clock.setTimeout(() => this.#onExpired(this.#clock.now() - this.#due), ms);
  }

  stop() {
    this.#clock.clearTimeout(this.#timer);
  }
}
