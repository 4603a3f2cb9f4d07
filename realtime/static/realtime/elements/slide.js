/** Rows slide to their new places. Only a transform is animated, which the compositor does alone. */

const SLIDE_MS = 350;
// In a very long list every row would have to be measured.
const MOST_ROWS = 300;

/** Those whose rows slide in the next frame. @type {WeakSet<Element>} */
const waiting = new WeakSet();

/** To be called before rows move, come or go. @param {Element} container */
export function slide(container) {
  if (waiting.has(container) || container.childElementCount > MOST_ROWS || document.hidden) return;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const before = tops(container);
  waiting.add(container);
  // All messages of a frame are one movement, and the frame computes the layout anyway.
  requestAnimationFrame(() => {
    waiting.delete(container);
    const after = tops(container);
    for (const [row, top] of after) {
      const by = (before.get(row) ?? top) - top;
      const isSeen = top < innerHeight || top + by < innerHeight;
      if (Math.abs(by) < 1 || !isSeen) continue;
      const steps = [{ transform: `translateY(${by}px)` }, { transform: "none" }];
      row.animate(steps, { duration: SLIDE_MS, easing: "ease-in-out" });
    }
  });
}

/** Where the rows that are shown begin, in the window. @param {Element} container @returns {Map<Element, number>} */
function tops(container) {
  const found = new Map();
  for (const row of container.children) {
    const { top, height } = row.getBoundingClientRect();
    if (height > 0) found.set(row, top);
  }
  return found;
}
