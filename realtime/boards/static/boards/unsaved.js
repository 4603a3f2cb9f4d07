/** Forms of the admin: leaving the page, as by the link to another page of a table, asks first where something was changed. */

let hasInput = false;

/** Actions of a list and its filters write nothing. @param {Event} event */
function note({ target }) {
  if (!(target instanceof Element) || target.closest(".actions, .action-checkbox, .action-checkbox-column")) return;
  if (target.closest("form")?.method === "post") hasInput = true;
}

for (const type of ["input", "change"]) document.addEventListener(type, note);
document.addEventListener("submit", () => {
  hasInput = false;
});
addEventListener("beforeunload", (event) => {
  if (!hasInput) return;
  event.preventDefault();
  Reflect.set(event, "returnValue", true); // Chromium asks for this up to 118
});
