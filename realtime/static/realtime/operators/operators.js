/**
 * Keeps the page of operators current where the stream does not: it loads itself again while nothing is published, and
 * where its live part was not fetched for some time.
 */

const LOOK_MS = 1_000;
const LATE_MS = 10_000;

let shownAt = Date.now();
document.addEventListener("realtime:after-morph", () => {
  shownAt = Date.now();
});

setInterval(() => {
  if (document.visibilityState === "hidden") return;
  const { reloadSeconds } = document.querySelector("[data-reload-seconds]")?.dataset ?? {};
  const isTyping = document.activeElement?.matches("input") && document.activeElement.value !== "";
  const lateMs = reloadSeconds ? 1000 * Number(reloadSeconds) : LATE_MS;
  if (!isTyping && Date.now() - shownAt >= lateMs) location.reload();
}, LOOK_MS);
