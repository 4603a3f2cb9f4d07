/** The rows of a topic as a value with listeners: what the hooks for React, Vue and Svelte have in common. */

/** @import { Row } from "../protocol/messages.js" */
/** @import { SubscribeOptions, Subscription, SubscriptionStatus } from "../realtime.js" */

import { connect } from "../client.js";

/**
 * @template [R=any] - the type of the rows' fields
 * @typedef {{rows: Row<R>[], status: SubscriptionStatus}} Rows - of a topic, in its order; a new object after each change
 */

/**
 * @template [R=any] - the type of the rows' fields
 * @typedef {object} Store - the rows of a topic as a value with listeners
 * @property {() => Rows<R>} get - returns the value
 * @property {(listener: () => void) => () => void} subscribe - calls the listener after each change, until the function that
 *   it returns is called
 */

/** @type {Rows<never>} */
const NOTHING = { rows: [], status: { state: "loading", since: null, reason: "" } };

/**
 * It follows the topic while it has listeners, and connects the page for the first one.
 * @template [R=any]
 * @param {string} topic
 * @param {SubscribeOptions<R>} [options] - rows and position: those that the server has rendered
 * @returns {Store<R>}
 */
export function rowsStore(topic, options = {}) {
  /** @type {Rows<R>} */
  let value = options.rows ? { ...NOTHING, rows: options.rows } : NOTHING;
  /** @type {Subscription<R> | null} */
  let subscription = null;
  /** @type {Set<() => void>} */
  const listeners = new Set();

  const update = () => {
    if (!subscription) return;
    value = { rows: [...subscription.rows.values()], status: subscription.status };
    for (const listener of [...listeners]) listener();
  };

  return {
    get: () => value,
    subscribe(listener) {
      listeners.add(listener);
      if (!subscription) {
        subscription = connect().subscribe(topic, { ...options, onChange: update, onStatus: update });
        update();
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        subscription?.unsubscribe();
        subscription = null;
      };
    },
  };
}
