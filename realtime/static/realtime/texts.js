/**
 * The texts of scripts in the language of the page. The modules have them in English; a page in another language has its
 * translations as JSON, which `{% realtime_texts %}` renders there: no further request, and nothing on English pages.
 */

/** @type {Record<string, string> | undefined} */
let translations;

/**
 * A text in the language of the page.
 * @param {string} english
 * @param {Record<string, unknown>} values - of its placeholders, such as {name}
 */
export function text(english, values = {}) {
  translations ??= Object.assign(
    {},
    ...[...document.querySelectorAll("script[data-realtime-texts]")].map((each) =>
      JSON.parse(each.textContent ?? "{}"),
    ),
  );
  const found = /** @type {Record<string, string>} */ (translations)[english] ?? english;
  return found.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}
