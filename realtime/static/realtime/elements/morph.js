/**
 * Bring an element to what the server renders now, in place. What the server has not changed since it last rendered the
 * element is not touched: attributes, text and elements that scripts have set, open details, scroll positions.
 * For that each part is compared with what the server rendered before, not with what the page shows.
 */

import { announce, isControl, restoreChoice, userValue } from "./controls.js";
import { insert } from "./move.js";
import { isSameNode, pairs, topicOf } from "./pairs.js";

const KEEP = "data-realtime-keep";
const EDITABLE = ["", "true", "plaintext-only"];

/**
 * @param {Element} live - in the page
 * @param {Element} base - what the server rendered when `live` was last brought up to date
 * @param {Element} fresh - what it renders now, with the same tag name; its children may be moved into `live`
 * @returns {Set<Element>} the elements that have changed
 */
export function morph(live, base, fresh) {
  /** @type {Set<Element>} */
  const changed = new Set();
  morphElement(live, base, fresh, changed);
  return changed;
}

/** @param {Element} live @param {Element} base @param {Element} fresh @param {Set<Element>} changed */
function morphElement(live, base, fresh, changed) {
  if (live.hasAttribute(KEEP) || isSameNode(base, fresh)) return;
  // Rows inside of a block follow their topic by themselves, and may be newer.
  if (topicOf(live) !== null) return;
  const value = isControl(live) ? userValue(live, base, fresh) : null;
  if (morphAttributes(live, base, fresh)) changed.add(live);
  // The text of a text area is only what it begins with; its value is restored below.
  if (live instanceof HTMLTemplateElement && fresh instanceof HTMLTemplateElement) {
    live.content.replaceChildren(fresh.content.cloneNode(true));
  } else if (!keepsOwnText(live, base, fresh)) {
    morphChildren(live, base, fresh, changed);
  }
  if (value && restoreChoice(value)) changed.add(live);
}

/**
 * @param {Element} live @param {Element} base @param {Element} fresh
 * @returns {boolean} whether a listener keeps the text of an editable element, where the user and the server have changed it
 */
function keepsOwnText(live, base, fresh) {
  const isEditable = EDITABLE.includes(live.getAttribute("contenteditable") ?? "false");
  const [before, yours, theirs] = [base.innerHTML, live.innerHTML, fresh.innerHTML];
  if (!isEditable || before === theirs || yours === before || yours === theirs) return false;
  return !announce(live, live.textContent ?? "", fresh.textContent ?? "");
}

/**
 * @param {Element} live @param {Element} base @param {Element} fresh
 * @returns {boolean} whether the server has changed any
 */
function morphAttributes(live, base, fresh) {
  const names = new Set([...base.getAttributeNames(), ...fresh.getAttributeNames()]);
  let hasChanged = false;
  for (const name of names) {
    const [before, now] = [base.getAttribute(name), fresh.getAttribute(name)];
    if (before === now) continue;
    hasChanged = true;
    if (name === "class") morphClasses(live, base, fresh);
    else if (name === "style" && live.getAttribute(name) !== before) morphStyle(live, base, fresh);
    else if (now === null) live.removeAttribute(name);
    else live.setAttribute(name, now);
  }
  return hasChanged;
}

/** Classes of scripts stay. @param {Element} live @param {Element} base @param {Element} fresh */
function morphClasses(live, base, fresh) {
  for (const name of base.classList) if (!fresh.classList.contains(name)) live.classList.remove(name);
  for (const name of fresh.classList) if (!base.classList.contains(name)) live.classList.add(name);
  if (live.classList.length === 0 && !fresh.hasAttribute("class")) live.removeAttribute("class");
}

/** Properties of scripts, and the size that a user has given, stay. @param {Element} live @param {Element} base @param {Element} fresh */
function morphStyle(live, base, fresh) {
  const [mine, before, now] = [live, base, fresh].map((each) => /** @type {HTMLElement} */ (each).style);
  for (const name of before) if (!now.getPropertyValue(name)) mine.removeProperty(name);
  for (const name of now) {
    const [value, priority] = [now.getPropertyValue(name), now.getPropertyPriority(name)];
    const isNew = value !== before.getPropertyValue(name) || priority !== before.getPropertyPriority(name);
    if (isNew) mine.setProperty(name, value, priority);
  }
}

/** @param {Element} live @param {Element} base @param {Element} fresh @param {Set<Element>} changed */
function morphChildren(live, base, fresh, changed) {
  const before = [...base.childNodes];
  const now = [...fresh.childNodes];
  const shown = pairs(before, [...live.childNodes]);
  const origins = pairs(now, before);
  const kept = new Set(origins.values());
  for (const node of before) {
    if (kept.has(node)) continue;
    shown.get(node)?.remove();
    changed.add(live);
  }

  /** @type {ChildNode | null} */
  let previous = null;
  let furthest = -1;
  for (const node of now) {
    const origin = origins.get(node);
    let mine = origin && shown.get(origin);
    if (origin && mine) {
      morphNode(mine, origin, node, changed);
      const index = before.indexOf(origin);
      if (index > furthest) furthest = index;
      else moveAfter(live, mine, previous);
    } else {
      // A script has removed it: that stays so until the server changes it.
      if (origin && isSameNode(origin, node)) continue;
      mine = node;
      insertAfter(live, mine, previous, origins, shown);
      changed.add(mine instanceof Element ? mine : live);
    }
    previous = mine;
  }
}

/** @param {Node} live @param {Node} base @param {Node} fresh @param {Set<Element>} changed */
function morphNode(live, base, fresh, changed) {
  if (live instanceof Element) {
    morphElement(live, /** @type {Element} */ (base), /** @type {Element} */ (fresh), changed);
  } else if (base.nodeValue !== fresh.nodeValue) {
    live.nodeValue = fresh.nodeValue;
    if (live.parentElement) changed.add(live.parentElement);
  }
}

/** @param {Element} parent @param {Node} node @param {Node | null} previous */
function moveAfter(parent, node, previous) {
  const next = previous ? previous.nextSibling : parent.firstChild;
  if (next === node) return;
  if (node instanceof Element) insert(parent, node, next);
  else parent.insertBefore(node, next);
}

/**
 * Insert a new node; the first of all before the first that the server has rendered, so that those of scripts stay where
 * they are.
 * @param {Element} parent @param {Node} node @param {Node | null} previous
 * @param {Map<ChildNode, ChildNode>} origins @param {Map<ChildNode, ChildNode>} shown
 */
function insertAfter(parent, node, previous, origins, shown) {
  if (previous) {
    parent.insertBefore(node, previous.nextSibling);
    return;
  }
  for (const origin of origins.values()) {
    const first = shown.get(origin);
    if (first) {
      parent.insertBefore(node, first);
      return;
    }
  }
  parent.insertBefore(node, parent.firstChild);
}
