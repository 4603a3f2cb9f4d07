/** `const entries = rows("entries.7")` in a Svelte component: `$entries.rows` and `$entries.status`. */

/** @import { SubscribeOptions } from "../realtime.js" */
/** @import { Rows } from "./store.js" */

/**
 * @typedef {object} Readable - a store of Svelte's
 * @property {(run: (value: Rows) => void) => () => void} subscribe - calls a function at once and after each change
 */

import { rowsStore } from "./store.js";

/**
 * A readable store. While the server renders the component, it has the rows of its options.
 * @param {string} topic
 * @param {SubscribeOptions} [options]
 * @returns {Readable}
 */
export function rows(topic, options) {
  const store = rowsStore(topic, options);
  return {
    /** @param {(value: Rows) => void} run */
    subscribe(run) {
      run(store.get());
      return typeof document === "undefined" ? () => {} : store.subscribe(() => run(store.get()));
    },
  };
}
