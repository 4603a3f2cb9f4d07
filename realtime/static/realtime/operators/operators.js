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
  const seconds = document.querySelector("[data-reload-seconds]")?.getAttribute("data-reload-seconds");
  const isTyping = document.activeElement instanceof HTMLInputElement && document.activeElement.value !== "";
  if (!isTyping && Date.now() - shownAt >= (seconds ? 1000 * Number(seconds) : LATE_MS)) location.reload();
}, LOOK_MS);
