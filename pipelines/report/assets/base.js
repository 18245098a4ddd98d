"use strict";
/* Shared by every page: the data, small helpers, and how numbers and colours are written. */
const lrrg = { data: null };

/* An old browser lacks what the page needs; the reader should see that and not an empty page. */
window.addEventListener("unhandledrejection", ({ reason }) => {
  byId("lead").textContent = `This page could not draw itself: ${reason}`;
});

/** Unpack what stands in the page: base64 of zlib of JSON. */
lrrg.unpack = async function () {
  const packed = bytes(document.getElementById("data").textContent);
  const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  lrrg.data = JSON.parse(await new Response(plain).text());
};

/** Bytes of a base64 text. */
function bytes(text) {
  const raw = atob(text);
  const found = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) found[i] = raw.charCodeAt(i);
  return found;
}

/** An element with properties and children; text is never read as HTML. */
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") || name === "role" || name === "for") made.setAttribute(name, value);
    else if (name === "style") made.style.cssText = value;
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en").format;
const spoken = (name) => name.replaceAll("_", " ");

/** A share as a person says it; a small one is not rounded away. */
function percent(part, all) {
  if (!all) return "–";
  const share = (100 * part) / all;
  return share > 0 && share < 0.1 ? "<0.1 %" : `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

/** A measured value in a few digits. */
function short(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return whole(Math.round(value));
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3)));
}

const REGIMES = ["high", "borderline", "low"];
const colour = (name) => `var(--${name})`;

/** A regime as a mark of colour and word. */
const badge = (regime) => el("span", { class: `badge ${regime ?? "none"}` }, regime ?? "no verdict");

/** A plain table; numbers align right, short cells stay on one line. */
function table(columns, rows) {
  const kind = (cell) => {
    if (typeof cell === "number" || /^[-–−<]?[\d.,]+( %)?$/.test(cell)) return "number";
    return (cell instanceof Node ? cell.textContent : String(cell)).length < 30 ? "brief" : "";
  };
  const line = (row) =>
    el(
      "tr",
      {},
      ...row.map((cell) => el("td", { class: kind(cell) }, cell instanceof Node ? cell : String(cell ?? ""))),
    );
  const head = columns.some(Boolean)
    ? el("thead", {}, el("tr", {}, ...columns.map((name) => el("th", { scope: "col" }, name))))
    : null;
  return el("div", { class: "wide" }, el("table", { class: "plain" }, head, el("tbody", {}, ...rows.map(line))));
}

/** A titled box. */
const card = (title, ...children) => el("figure", { class: "card" }, el("figcaption", {}, title), ...children);

/** Draw now and whenever the width of the place changes. */
function drawn(place, draw) {
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = Math.round(entry.contentRect.width);
    if (now && now !== width) draw((width = now));
  }).observe(place);
}
