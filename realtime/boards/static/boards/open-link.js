/** Sends the code of a secret link, which stands behind # in the address, and takes it out of the address. */

const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-open-link]"));

function send() {
  const code = location.hash.slice(1);
  const input = /** @type {HTMLInputElement | undefined} */ (form?.elements.namedItem("code"));
  if (!form || !input || !code) return;
  history.replaceState(null, "", location.pathname);
  input.value = code;
  form.submit();
}

addEventListener("hashchange", send);
send();
