/** `const { rows, status } = useRows("entries.7")` in a React component. */

/** @import { SubscribeOptions } from "../realtime.js" */
/** @import { Rows } from "./store.js" */

import { useMemo, useSyncExternalStore } from "react";
import { rowsStore } from "./store.js";

/**
 * The rows of a topic and their status, in a React component.
 * @template [R=any] - the type of the rows' fields
 * @param {string} topic
 * @param {SubscribeOptions<R>} [options] - those of the component's first rendering with this topic
 * @returns {Rows<R>}
 */
export function useRows(topic, options) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: other options must not begin another subscription.
  const store = useMemo(() => rowsStore(topic, options), [topic]);
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}
