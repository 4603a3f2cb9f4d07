/** Insert an element that may be in the document already, so that it keeps its state as far as the browser allows. */

/**
 * @param {Element} parent
 * @param {Element} element
 * @param {Node | null} next
 */
export function insert(parent, element, next) {
  if (element.parentNode !== parent || !element.isConnected) {
    parent.insertBefore(element, next);
    return;
  }
  // Keeps all state, playing media and frames too; browsers have had it since 2025.
  const moveBefore = Reflect.get(parent, "moveBefore");
  if (moveBefore) {
    moveBefore.call(parent, element, next);
    return;
  }
  const restore = stateOf(element);
  parent.insertBefore(element, next);
  restore();
}

/**
 * Remember what an element loses while it is moved: the focus, scroll positions, whether media play.
 * @param {Element} element
 * @returns {() => void} restores it
 */
function stateOf(element) {
  const root = /** @type {Document | ShadowRoot} */ (element.getRootNode());
  const focused = element.contains(root.activeElement) ? /** @type {HTMLElement} */ (root.activeElement) : null;
  const inside = [element, ...element.querySelectorAll("*")];
  const scrolled = inside
    .filter(({ scrollTop, scrollLeft }) => scrollTop !== 0 || scrollLeft !== 0)
    .map((each) => ({ each, top: each.scrollTop, left: each.scrollLeft }));
  const playing = inside.filter((each) => each instanceof HTMLMediaElement && !each.paused);
  return () => {
    for (const { each, top, left } of scrolled) each.scrollTo({ top, left, behavior: "instant" });
    for (const each of playing) /** @type {HTMLMediaElement} */ (each).play().catch(() => {});
    focused?.focus({ preventScroll: true });
  };
}
