/**
 * When the page is fetched again for its live blocks: at once, then at most once a second, once for all blocks that have
 * changed. Pages with many viewers spread their fetches; a hidden page waits until it is shown; one that fails tries again
 * after longer and longer times.
 */

/** @import { LiveBlock } from "./live-block.js" */

import { delay } from "../transports/backoff.js";

const INTERVAL_MS = 1_000;

/**
 * @typedef {object} FetchEnvironment
 * @property {(names: string[]) => Promise<Document>} fetchPage - rejects with the reason, and `retryMs` if that is known
 * @property {(action: () => void, ms: number) => unknown} setTimeout
 * @property {() => number} now
 * @property {() => number} random
 * @property {EventTarget & {visibilityState: string}} document
 */

export class PageFetches {
  #env;
  /** @type {Set<LiveBlock>} */
  #due = new Set();
  #isFetching = false;
  #isPlanned = false;
  #notBefore = 0;
  #failures = 0;

  /** @param {FetchEnvironment} env */
  constructor(env) {
    this.#env = env;
    env.document.addEventListener("visibilitychange", () => this.#plan());
  }

  /** Fetch the page soon. @param {LiveBlock} block */
  request(block) {
    this.#due.add(block);
    this.#plan();
  }

  /** @param {LiveBlock} block */
  forget(block) {
    this.#due.delete(block);
  }

  get #spreadMs() {
    return 1000 * Math.max(0, ...[...this.#due].map(({ spreadSeconds }) => spreadSeconds));
  }

  get #isHidden() {
    return this.#env.document.visibilityState === "hidden";
  }

  #plan() {
    if (this.#isPlanned || this.#isFetching || this.#due.size === 0) return;
    if (this.#isHidden) return;
    this.#isPlanned = true;
    const wait = Math.max(this.#notBefore - this.#env.now(), this.#spreadMs * this.#env.random());
    this.#env.setTimeout(() => {
      this.#isPlanned = false;
      if (!this.#isHidden) this.#fetch();
    }, wait);
  }

  async #fetch() {
    const began = this.#env.now();
    const spreadMs = this.#spreadMs;
    const blocks = [...this.#due].filter((block) => block.begin());
    this.#due.clear();
    this.#notBefore = began + Math.max(INTERVAL_MS, spreadMs);
    if (blocks.length === 0) return;
    this.#isFetching = true;
    let hasFailed = false;
    let retryMs = 0;
    try {
      const page = await this.#env.fetchPage(blocks.map(({ name }) => name));
      for (const block of blocks) hasFailed = !attempt(block, () => block.show(page)) || hasFailed;
    } catch (error) {
      hasFailed = true;
      retryMs = Number(Object(error).retryMs ?? 0);
      for (const block of blocks) block.failed(reasonOf(error));
    }
    this.#isFetching = false;
    this.#failures = hasFailed ? this.#failures + 1 : 0;
    const pause = Math.max(INTERVAL_MS + delay(this.#failures, this.#env.random), retryMs);
    if (hasFailed) this.#notBefore = this.#env.now() + pause;
    for (const block of blocks) if (block.needsAnother) this.#due.add(block);
    this.#plan();
  }
}

/** @param {LiveBlock} block @param {() => void} show @returns {boolean} whether it succeeded */
function attempt(block, show) {
  try {
    show();
    return true;
  } catch (error) {
    block.failed(reasonOf(error));
    return false;
  }
}

/** @param {unknown} error */
function reasonOf(error) {
  return error instanceof Error ? error.message : String(error);
}
