/** The one place that turns html into elements. The html is the server's: templates that escape what people wrote. */

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
