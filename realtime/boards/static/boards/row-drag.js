/** Moving a row by its handle, with a mouse, a pen or a finger. */

const EDGE_PX = 70;

/**
 * @param {HTMLElement} handle
 * @param {HTMLElement} row
 * @param {(target: HTMLElement, isBefore: boolean) => void} drop
 */
export function makeDraggable(handle, row, drop) {
  /** @type {{target: HTMLElement, isBefore: boolean} | null} */
  let place = null;

  const clear = () => {
    place?.target.classList.remove("is-before", "is-after");
    place = null;
  };

  handle.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    handle.setPointerCapture(event.pointerId);
    row.classList.add("is-dragged");
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    clear();
    if (event.clientY < EDGE_PX) scrollBy(0, -EDGE_PX / 4);
    if (event.clientY > innerHeight - EDGE_PX) scrollBy(0, EDGE_PX / 4);
    const rows = /** @type {HTMLElement[]} */ ([...(row.parentElement?.querySelectorAll(":scope > [data-key]") ?? [])]);
    for (const target of rows) {
      const { top, bottom } = target.getBoundingClientRect();
      if (event.clientY < top || event.clientY > bottom || target === row) continue;
      place = { target, isBefore: event.clientY < (top + bottom) / 2 };
      target.classList.add(place.isBefore ? "is-before" : "is-after");
    }
  });
  const end = (/** @type {boolean} */ isDropped) => {
    row.classList.remove("is-dragged");
    const chosen = place;
    clear();
    if (isDropped && chosen) drop(chosen.target, chosen.isBefore);
  };
  handle.addEventListener("pointerup", () => end(true));
  handle.addEventListener("pointercancel", () => end(false));
}
