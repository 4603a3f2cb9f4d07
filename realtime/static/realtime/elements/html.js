/** The only module that turns text into elements; a page's Content-Security-Policy may forbid it elsewhere (docs/feeds.md). */

/** @typedef {{createHTML: (html: string) => string}} TrustedHtmlPolicy - as far as this module uses it */

/** @type {{createPolicy: (name: string, rules: TrustedHtmlPolicy) => TrustedHtmlPolicy} | undefined} */
const trustedTypes = Reflect.get(globalThis, "trustedTypes");

/** @type {TrustedHtmlPolicy | undefined} */
let policy;

/**
 * Create the page's policy. `live.js` does so before any other script can: browsers allow one of a name. Not at import,
 * which would fail in a page that loads the client twice.
 */
export function claimPolicy() {
  // The policy changes nothing: the HTML is a row rendered by a Django template, which has escaped what users wrote.
  // Browsers without Trusted Types get the same HTML as a string.
  policy ??= trustedTypes?.createPolicy("realtime", { createHTML: (html) => html });
  return policy;
}

/**
 * Parse one rendered row. Uses a template element, because `<tr>` is not parsed anywhere else.
 * @param {string} html
 * @param {Element} container - of the row: in an SVG picture its elements are those of SVG
 * @returns {{element: HTMLElement, roots: number}} its first root element, and how many it has
 * @throws {Error} if there is no element in it
 */
export function parseRow(html, container) {
  const template = document.createElement("template");
  const isSvg = container instanceof SVGElement && !(container instanceof SVGForeignObjectElement);
  const markup = isSvg ? `<svg>${html}</svg>` : html;
  template.innerHTML = claimPolicy()?.createHTML(markup) ?? markup;
  const root = isSvg ? /** @type {Element} */ (template.content.firstElementChild) : template.content;
  const element = root.firstElementChild;
  if (!element) {
    throw new Error(
      `A row needs a root element; got ${JSON.stringify(html.slice(0, 80))}. ` +
        "Put one element around all that the feed's template_name renders.",
    );
  }
  const roots = root.childElementCount;
  return { element: /** @type {HTMLElement} */ (document.importNode(element, true)), roots };
}

/** Parse a page that was fetched; scripts in it do not run. @param {string} html */
export function parsePage(html) {
  return new DOMParser().parseFromString(claimPolicy()?.createHTML(html) ?? html, "text/html");
}

/** The text of an element, for `parseRow`. @param {Element} element */
export function textOf(element) {
  return element.outerHTML;
}
