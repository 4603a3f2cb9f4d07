/** The base of our elements. Where there is no page, such as in a server that renders components, they can be imported. */

export const PageElement = globalThis.HTMLElement ?? /** @type {typeof HTMLElement} */ (class {});
