/** The one place that turns text into elements; a page's Content-Security-Policy may forbid every other (docs/feeds.md). */

// It changes nothing: the html is a row as Django's template painted it, and that has escaped what people wrote.
// Browsers without Trusted Types get it as it is.
const policy = globalThis.trustedTypes?.createPolicy("realtime", { createHTML: (html) => html });

/**
 * The root element of one rendered row. Through a template element, since a `<tr>` is parsed nowhere else.
 * @param {string} html
 * @returns {Element}
 * @throws {Error} when there is no element in it
 */
export function parseElement(html) {
  const template = document.createElement("template");
  template.innerHTML = policy ? policy.createHTML(html) : html;
  const element = template.content.firstElementChild;
  if (!element) throw new Error(`a row needs a root element; got ${JSON.stringify(html.slice(0, 80))}`);
  return document.importNode(element, true);
}
