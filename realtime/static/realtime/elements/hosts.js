/**
 * Elements that a page marks by an attribute, wherever HTML allows no element of ours: a `<tbody>`, a `<select>`, a `<g>`.
 * Each has a host, which follows the topic that the attribute names while the element is in the document.
 */

/** @typedef {{connect: () => void, disconnect: () => void}} Host */

/**
 * @param {Document} document
 * @param {Record<string, (element: HTMLElement) => Host>} kinds - by attribute: makes the host of an element
 */
export function watchHosts(document, kinds) {
  const selector = Object.keys(kinds)
    .map((attribute) => `[${attribute}]`)
    .join();
  /** @type {Map<Element, Host>} */
  const hosts = new Map();

  /** @param {Element} element */
  const welcome = (element) => {
    const attribute = Object.keys(kinds).find((each) => element.hasAttribute(each));
    if (!attribute || hosts.has(element)) return;
    const host = kinds[attribute](/** @type {HTMLElement} */ (element));
    hosts.set(element, host);
    host.connect();
  };

  /** @param {Node} node */
  const look = (node) => {
    if (!(node instanceof Element) || !node.isConnected) return;
    welcome(node);
    if (node.firstElementChild) for (const element of node.querySelectorAll(selector)) welcome(element);
  };

  new MutationObserver((records) => {
    for (const [element, host] of hosts) {
      if (element.isConnected) continue;
      hosts.delete(element);
      host.disconnect();
    }
    for (const { addedNodes } of records) for (const node of addedNodes) look(node);
  }).observe(document, { childList: true, subtree: true });
  look(document.documentElement);
}
