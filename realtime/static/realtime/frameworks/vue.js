/** `const entries = useRows("entries.7")` in a Vue component: `entries.rows` and `entries.status` in its template. */

/** @import { MaybeRefOrGetter, ShallowRef } from "vue" */
/** @import { SubscribeOptions } from "../realtime.js" */
/** @import { Rows } from "./store.js" */

import { onMounted, shallowRef, toValue, watch } from "vue";
import { rowsStore } from "./store.js";

/**
 * The rows of a topic and their status as a ref, in a Vue component.
 * @template [R=any] - the type of the rows' fields
 * @param {MaybeRefOrGetter<string>} topic
 * @param {SubscribeOptions<R>} [options]
 * @returns {ShallowRef<Rows<R>>}
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
