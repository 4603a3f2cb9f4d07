/**
 * Whether rows can stand where the page has put them. HTML's parser moves what it does not allow in a table or a select
 * element out of it, without an error: such rows would freeze where they are, and new ones appear elsewhere.
 */

/** @import { Realtime } from "../realtime.js" */

import { text } from "../texts.js";

const DOCUMENTATION = 'See docs/feeds.md, "The row\'s template".';

/** The allowed parents of elements that are allowed in few places. @type {Record<string, string[]>} */
const PARENTS = {
  TR: ["TBODY", "THEAD", "TFOOT"],
  TD: ["TR"],
  TH: ["TR"],
  TBODY: ["TABLE"],
  THEAD: ["TABLE"],
  TFOOT: ["TABLE"],
  COL: ["COLGROUP"],
  OPTGROUP: ["SELECT"],
  OPTION: ["SELECT", "OPTGROUP", "DATALIST"],
};
/** The allowed children of elements that allow few. @type {Record<string, string[]>} */
const CHILDREN = {
  TABLE: ["TBODY", "THEAD", "TFOOT"],
  TBODY: ["TR"],
  THEAD: ["TR"],
  TFOOT: ["TR"],
  TR: ["TD", "TH"],
  COLGROUP: ["COL"],
  SELECT: ["OPTION", "OPTGROUP"],
  OPTGROUP: ["OPTION"],
};

export class MisplacedError extends Error {
  name = "MisplacedError";
}

/**
 * @param {Element} row
 * @param {Element} container
 * @throws {MisplacedError} if the row may not stand in the container
 */
export function checkPlace(row, container) {
  const [child, parent] = [row.tagName, container.tagName];
  const isAllowed = (PARENTS[child]?.includes(parent) ?? true) && (CHILDREN[parent]?.includes(child) ?? true);
  if (isAllowed) return;
  const where = PARENTS[child]?.[0] ?? "another element";
  throw new MisplacedError(
    `a row is <${child.toLowerCase()}> and would stand in <${parent.toLowerCase()}>, which does not show it. ` +
      `Put \`data-rows\` on ${where === "another element" ? where : `a <${where.toLowerCase()}>`} inside of the ` +
      `<live-topic>: ${advice(child)}`,
  );
}

/**
 * Whether the rows that the server rendered are where they can be kept current.
 * @param {Element} element - the <live-topic>
 * @param {Element} container - of its rows
 * @param {number} expected - how many rows the server rendered
 * @throws {MisplacedError} if they are not
 */
export function checkPainted(element, container, expected) {
  if (element.localName === "live-topic" && element.closest("select")) {
    throw new MisplacedError(`<live-topic> may not stand inside of <select>. ${advice("OPTION")}`);
  }
  if (expected === 0 || [...container.children].some((child) => child.hasAttribute("data-key"))) return;
  if (container.querySelector("[data-key]")) {
    throw new MisplacedError(
      `its rows are no children of <${container.tagName.toLowerCase()} data-rows>. Put \`data-rows\` on the element ` +
        `that is their parent; in a table that is the <tbody>. ${DOCUMENTATION}`,
    );
  }
  throw new MisplacedError(
    `the page was rendered with ${expected} rows in it and has none: the browser has moved them out, as it does where ` +
      `<live-topic> stands inside of <table>, <select> or <p>. ${advice("TR")}`,
  );
}

/**
 * Report rows in a select element: older browsers drop the <live-topic> around them, so it cannot report them itself.
 * @param {Realtime} realtime
 */
export function reportSelects(realtime) {
  const selects = new Set(
    [...document.querySelectorAll("select [data-key][data-order]")].map((option) => option.closest("select")),
  );
  for (const select of selects) {
    if (!select || select.closest("live-topic, [data-realtime-topic]") || select.querySelector("live-topic")) continue;
    const reason = `<live-topic> may not stand inside of <select>. ${advice("OPTION")}`;
    console.error("realtime: the rows of this <select> are not live:", select, reason);
    showWords(select, text("These rows do not follow later changes. Reload the page to see them."));
    realtime.setFault(select, { topic: select.name || select.id || "select", state: "misplaced", reason });
  }
}

/**
 * Show readers of the page a text about an element: inside it, or after its container where HTML allows no text in it.
 * @param {Element} element
 * @param {string} words
 */
export function showWords(element, words) {
  const paragraph = document.createElement("p");
  paragraph.className = "realtime-refused";
  paragraph.setAttribute("role", "status");
  paragraph.textContent = words;
  const whole = element.closest("table, select, datalist, ul, ol, dl, svg, p");
  if (whole && element.localName !== "live-topic") whole.after(paragraph);
  else element.append(paragraph);
  return paragraph;
}

/** @param {string} child */
function advice(child) {
  const isOption = child === "OPTION" || child === "OPTGROUP";
  const tag = isOption ? "select" : "tbody";
  const [inner, outer] = isOption
    ? ["<select data-rows>", "</select>"]
    : ["<table><tbody data-rows>", "</tbody></table>"];
  return (
    `Let the tag render the <${tag}>: {% live … tag="${tag}" %}; or put the whole element into a template and that into ` +
    `the tag: {% live … template="…" %}, with ${inner}{{ rows }}${outer} in it. ${DOCUMENTATION}`
  );
}
