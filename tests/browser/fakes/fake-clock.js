/** A clock that moves only when a test moves it. */
export class FakeClock {
  #now = 1_000_000;
  #timers = new Map();
  #nextId = 1;

  now = () => this.#now;
  setTimeout = (action, ms) => {
    this.#timers.set(this.#nextId, { action, due: this.#now + ms });
    return this.#nextId++;
  };
  clearTimeout = (id) => this.#timers.delete(id);

  /** Let time pass, and run the timers that expire, in order. */
  advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      const [id, timer] = [...this.#timers].sort(([, a], [, b]) => a.due - b.due)[0] ?? [];
      if (!timer || timer.due > end) break;
      this.#now = Math.max(this.#now, timer.due);
      this.#timers.delete(id);
      timer.action();
    }
    this.#now = end;
  }

  /** The machine sleeps: time passes, and expired timers run late. */
  sleep(ms) {
    this.#now += ms;
    this.advance(0);
  }

  /** Milliseconds until each timer expires, soonest first. */
  get waits() {
    return [...this.#timers.values()].map(({ due }) => due - this.#now).sort((a, b) => a - b);
  }
}
