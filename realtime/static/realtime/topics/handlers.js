/**
 * Run one handler; one that fails must not stop the others.
 * @param {() => void} action
 * @returns {boolean} whether it went well
 */
export function guarded(action) {
  try {
    action();
    return true;
  } catch (error) {
    console.error("realtime:", error);
    return false;
  }
}
