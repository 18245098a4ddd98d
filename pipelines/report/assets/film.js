"use strict";
/* One film: its picture with what the tools saw, and what adds to low quality. */
const LAYERS = { field: "field edge", saturated: "saturated", edges: "sharpest edges", noise: "noise", looked: "asked for" };

/** A film with layers that can be shown and hidden. */
function filmFigure({ film, layers }, alt) {
  const pictures = Object.entries(LAYERS)
    .filter(([name]) => layers[name])
    .map(([name, word]) => {
      const layer = el("img", { src: layers[name], class: `layer ${name}`, alt: "", hidden: name === "noise" });
      const box = el("input", {
        type: "checkbox",
        checked: !layer.hidden,
        onchange: (event) => {
          layer.hidden = !event.target.checked;
        },
      });
      return { layer, box: el("label", { class: `layer-name ${name}` }, box, el("i"), word) };
    });
  return el(
    "div",
    { class: "picture" },
    el(
      "div",
      { class: "plates" },
      el("img", { src: film, alt, class: "plate" }),
      ...pictures.map((each) => each.layer),
    ),
    el("div", { class: "layers" }, ...pictures.map((each) => each.box)),
  );
}

/** What adds to low quality beyond what a usual film has, the most first. */
function contributions(top) {
  if (!top.length)
    return el("p", { class: "note" }, "No measure speaks against this film more than against a usual one.");
  const most = Math.max(...top.map((each) => each[3]));
  return el(
    "div",
    { class: "wide" },
    el(
      "table",
      { class: "plain adds" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ...["measure", "value", "robust z", "adds to low quality"].map((name) => el("th", { scope: "col" }, name)),
        ),
      ),
      el(
        "tbody",
        {},
        ...top.map(([name, value, z, by]) =>
          el(
            "tr",
            {},
            el("td", {}, name),
            el("td", { class: "number" }, short(value)),
            el("td", { class: "number" }, short(z)),
            el("td", {}, el("span", { class: "add", style: `width:${(70 * by) / most}%` }), ` ${by.toFixed(2)}`),
          ),
        ),
      ),
    ),
  );
}

/** Severities as small marks. */
function marks(aspects, severities) {
  return el(
    "span",
    { class: "marks" },
    ...aspects.map((aspect, index) => {
      const found = severities[index];
      return found
        ? el("span", { class: `mark s${found}`, title: `${aspect}: severity ${found} of 3` }, `${aspect} ${found}`)
        : null;
    }),
  );
}
