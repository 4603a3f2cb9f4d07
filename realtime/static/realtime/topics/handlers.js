/**
 * Run one handler. An error in it is logged to the console and does not stop the other handlers.
 * @param {() => void} handler
 * @returns {boolean} whether it ran without an error
 */
export function runHandler(handler) {
  try {
    handler();
    return true;
  } catch (error) {
    console.error("realtime: a handler failed; the others still run. Fix the error where it was thrown:", error);
    return false;
  }
}
