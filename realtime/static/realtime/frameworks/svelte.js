/** `const entries = rows("entries.7")` in a Svelte component: `$entries.rows` and `$entries.status`. */

/** @import { SubscribeOptions } from "../realtime.js" */
/** @import { Rows } from "./store.js" */

/**
 * @template [R=any] - the type of the rows' fields
 * @typedef {object} Readable - a store of Svelte's
 * @property {(run: (value: Rows<R>) => void) => () => void} subscribe - calls a function at once and after each change
 */

import { rowsStore } from "./store.js";

/**
 * A readable store. While the server renders the component, it has the rows of its options.
 * @template [R=any] - the type of the rows' fields
 * @param {string} topic
 * @param {SubscribeOptions<R>} [options]
 * @returns {Readable<R>}
 */
export function rows(topic, options) {
  const store = rowsStore(topic, options);
  return {
    /** @param {(value: Rows<R>) => void} run */
    subscribe(run) {
      run(store.get());
      return typeof document === "undefined" ? () => {} : store.subscribe(() => run(store.get()));
    },
  };
}
