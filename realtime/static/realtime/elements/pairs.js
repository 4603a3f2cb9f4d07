/**
 * Which nodes of two lists are the same part of a page: those with the same key; then those that are equal, from both ends;
 * then those of the same kind, in order.
 */

/**
 * @param {ChildNode[]} nodes
 * @param {ChildNode[]} others
 * @returns {Map<ChildNode, ChildNode>} a node of `others` for each node of `nodes` that has one
 */
export function pairs(nodes, others) {
  /** @type {Map<ChildNode, ChildNode>} */
  const found = new Map();
  const [nodesLeft, othersLeft] = trim(nodes, others, found);
  /** @type {Map<string, ChildNode[]>} */
  const byKind = new Map();
  for (const other of othersLeft) {
    const kind = kindOf(other);
    const same = byKind.get(kind);
    if (same) same.push(other);
    else byKind.set(kind, [other]);
  }
  for (const node of nodesLeft) {
    const other = byKind.get(kindOf(node))?.shift();
    if (other) found.set(node, other);
  }
  return found;
}

/**
 * Pair equal nodes at both ends.
 * @param {ChildNode[]} nodes @param {ChildNode[]} others @param {Map<ChildNode, ChildNode>} found
 * @returns {[ChildNode[], ChildNode[]]} the rest
 */
function trim(nodes, others, found) {
  const shorter = Math.min(nodes.length, others.length);
  let start = 0;
  while (start < shorter && isSameNode(nodes[start], others[start])) found.set(nodes[start], others[start++]);
  let end = 0;
  while (end < shorter - start && isSameNode(nodes[nodes.length - 1 - end], others[others.length - 1 - end])) {
    found.set(nodes[nodes.length - 1 - end], others[others.length - 1 - end++]);
  }
  return [nodes.slice(start, nodes.length - end), others.slice(start, others.length - end)];
}

/** Whether two nodes are equal, the contents of templates included. @param {Node} node @param {Node} other */
export function isSameNode(node, other) {
  if (!node.isEqualNode(other)) return false;
  if (!(node instanceof Element) || !(other instanceof Element)) return true;
  const hasTemplate = node.localName === "template" || node.querySelector("template") !== null;
  return !hasTemplate || node.outerHTML === other.outerHTML;
}

/** The topic whose rows an element shows. @param {Element} element */
export function topicOf(element) {
  return element.localName === "live-topic"
    ? element.getAttribute("topic")
    : element.getAttribute("data-realtime-topic");
}

/** Nodes of one kind can become each other; a key names one among its siblings. @param {Node} node */
function kindOf(node) {
  if (!(node instanceof Element)) return node.nodeName;
  const key = node.getAttribute("data-key") ?? (node.id || topicOf(node));
  return key ? `${node.nodeName} ${key}` : node.nodeName;
}
