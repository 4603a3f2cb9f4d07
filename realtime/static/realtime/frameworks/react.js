/** `const { rows, status } = useRows("entries.7")` in a React component. */

/** @import { SubscribeOptions } from "../realtime.js" */

import { useMemo, useSyncExternalStore } from "react";
import { rowsStore } from "./store.js";

/** @param {string} topic @param {SubscribeOptions} [options] - those of the component's first rendering with this topic */
export function useRows(topic, options) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: other options must not begin another subscription.
  const store = useMemo(() => rowsStore(topic, options), [topic]);
  return useSyncExternalStore(store.subscribe, store.get, store.get);
}
