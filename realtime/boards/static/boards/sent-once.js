/** A form that is being sent is not sent a second time by another click. */

// A form can be sent again after this time, in case the first request was stopped.
const SENDING_MS = 10_000;

/** @type {WeakMap<EventTarget, number>} */
const sent = new WeakMap();

addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented || form.method !== "post") return;
  const last = sent.get(form);
  if (last !== undefined && event.timeStamp - last < SENDING_MS) event.preventDefault();
  else sent.set(form, event.timeStamp);
});
