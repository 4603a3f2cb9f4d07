/** Adds a button for copying to texts that users copy; without it they can be selected. */

import { text } from "./texts.min.js";

for (const place of document.querySelectorAll(".share-text")) {
  const field = /** @type {HTMLInputElement | HTMLTextAreaElement | null} */ (place.querySelector("input, textarea"));
  if (!field) continue;
  field.addEventListener("focus", () => field.select());
  // Browsers offer the clipboard to pages of https and of this machine only.
  if (!navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text("Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = text("Copied");
    } catch {
      // The browser or its user does not allow it.
      field.focus();
      button.textContent = text("Press Ctrl+C");
    }
  });
  place.append(button);
}
