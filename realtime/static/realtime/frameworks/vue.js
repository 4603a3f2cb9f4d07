/** `const entries = useRows("entries.7")` in a Vue component: `entries.rows` and `entries.status` in its template. */

/** @import { SubscribeOptions } from "../realtime.js" */
/** @import { Rows } from "./store.js" */

import { onMounted, shallowRef, toValue, watch } from "vue";
import { rowsStore } from "./store.js";

/**
 * The rows of a topic and their status as a ref, in a Vue component.
 * @param {string | (() => string)} topic - or a ref of one
 * @param {SubscribeOptions} [options]
 * @returns {{value: Rows}}
 */
export function useRows(topic, options) {
  const value = shallowRef(rowsStore(toValue(topic), options).get());
  onMounted(() => {
    watch(
      () => toValue(topic),
      (name, _, onCleanup) => {
        const store = rowsStore(name, options);
        const show = () => {
          value.value = store.get();
        };
        onCleanup(store.subscribe(show));
        show();
      },
      { immediate: true },
    );
  });
  return value;
}
